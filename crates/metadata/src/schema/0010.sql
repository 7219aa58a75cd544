-- What Harbor's API keeps of people, projects and repositories.
ALTER TABLE users ADD COLUMN comment TEXT NOT NULL DEFAULT '';
ALTER TABLE repositories ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE repositories ADD COLUMN updated_at INT;

-- Harbor's metadata of a project, as its clients set it; `public` is a column of the project.
CREATE TABLE project_settings (
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- Groups of people, by Harbor's kinds: 1 LDAP, 2 HTTP, 3 OIDC.
CREATE TABLE user_groups (
    id ID,
    name TEXT NOT NULL,
    kind INT NOT NULL,
    ldap_dn TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL,
    UNIQUE (kind, name)
);

-- A member is a person or a group. Numbers of memberships were shown to nobody before, so they are given anew.
CREATE TABLE memberships (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id INT REFERENCES users (id) ON DELETE CASCADE,
    group_id INT REFERENCES user_groups (id) ON DELETE CASCADE,
    role INT NOT NULL,
    created_at INT NOT NULL,
    CHECK ((user_id IS NULL) <> (group_id IS NULL)),
    UNIQUE (project_id, user_id),
    UNIQUE (project_id, group_id)
);
INSERT INTO memberships (project_id, user_id, role, created_at)
    SELECT project_id, user_id, role, created_at FROM members ORDER BY id;
DROP TABLE members;
ALTER TABLE memberships RENAME TO members;
CREATE INDEX members_user ON members (user_id);
CREATE INDEX members_group ON members (group_id);

-- Labels: of a project, or of the whole system where there is none.
CREATE TABLE labels (
    id ID,
    project_id INT REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    color TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE UNIQUE INDEX labels_project ON labels (project_id, name) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX labels_global ON labels (name) WHERE project_id IS NULL;
