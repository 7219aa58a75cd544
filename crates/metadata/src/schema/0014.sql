-- Members may be limited to repositories whose names match a pattern; nothing is no limit.
ALTER TABLE members ADD COLUMN repositories TEXT NOT NULL DEFAULT '';

-- A robot belongs to a project, or to the whole system where there is none. The number of a robot
-- was shown to nobody before, so they are given anew. `duration` is in days, -1 without an end.
CREATE TABLE new_robots (
    id ID,
    project_id INT REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_hash BYTES NOT NULL,
    disabled INT NOT NULL,
    duration INT NOT NULL,
    expires_at INT,
    created_by TEXT NOT NULL,
    creator_kind TEXT NOT NULL,
    creator_id INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
INSERT INTO new_robots (project_id, name, description, secret_hash, disabled, duration, expires_at,
    created_by, creator_kind, creator_id, created_at, updated_at)
    SELECT r.project_id, r.name, r.description, r.secret_hash, r.disabled,
        coalesce((r.expires_at - r.created_at) / 86400000000, -1), r.expires_at, r.created_by,
        'local', coalesce((SELECT u.id FROM users u WHERE u.name = r.created_by), 0),
        r.created_at, r.created_at
    FROM robots r ORDER BY r.id;

-- What a robot may do, by Harbor's words: in one project, in every one, or in the system as a whole
-- where it is neither. `repositories` is a pattern as members have it. A grant ends with its
-- project: a later one of the same name is another one.
CREATE TABLE robot_grants (
    id ID,
    robot_id INT NOT NULL REFERENCES new_robots (id) ON DELETE CASCADE,
    project_id INT REFERENCES projects (id) ON DELETE CASCADE,
    every_project INT NOT NULL,
    repositories TEXT NOT NULL,
    permissions TEXT NOT NULL
);
INSERT INTO robot_grants (robot_id, project_id, every_project, repositories, permissions)
    SELECT n.id, n.project_id, 0, '',
        '["repository:list","repository:read","repository:pull","artifact:list","artifact:read",'
        || '"artifact-addition:read","accessory:list","tag:list"'
        || CASE WHEN r.rights LIKE '%"push"%'
            THEN ',"repository:push","artifact:create","tag:create"' ELSE '' END
        || CASE WHEN r.rights LIKE '%"attest"%' THEN ',"accessory:create"' ELSE '' END
        || CASE WHEN r.rights LIKE '%"promote"%' THEN ',"promotion:create"' ELSE '' END
        || ']'
    FROM robots r JOIN new_robots n ON n.project_id = r.project_id AND n.name = r.name
    ORDER BY n.id;

-- Who may examine, with the robots' new numbers.
CREATE TABLE new_examiners (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id INT REFERENCES users (id) ON DELETE CASCADE,
    robot_id INT REFERENCES new_robots (id) ON DELETE CASCADE,
    granted_by TEXT NOT NULL,
    created_at INT NOT NULL,
    CHECK ((user_id IS NULL) <> (robot_id IS NULL)),
    UNIQUE (project_id, user_id),
    UNIQUE (project_id, robot_id)
);
INSERT INTO new_examiners (project_id, user_id, robot_id, granted_by, created_at)
    SELECT e.project_id, e.user_id, n.id, e.granted_by, e.created_at FROM examiners e
    LEFT JOIN robots r ON r.id = e.robot_id
    LEFT JOIN new_robots n ON n.project_id = r.project_id AND n.name = r.name
    ORDER BY e.id;

DROP TABLE examiners;
DROP TABLE robots;
ALTER TABLE new_robots RENAME TO robots;
ALTER TABLE new_examiners RENAME TO examiners;
CREATE UNIQUE INDEX robots_project ON robots (project_id, name) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX robots_system ON robots (name) WHERE project_id IS NULL;
CREATE INDEX robot_grants_robot ON robot_grants (robot_id);
CREATE INDEX robot_grants_project ON robot_grants (project_id);
CREATE INDEX examiners_user ON examiners (user_id);
CREATE INDEX examiners_robot ON examiners (robot_id);
