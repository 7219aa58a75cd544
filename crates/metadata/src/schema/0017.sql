-- Names that people and projects had before. What names them in words, as policies do, must not
-- come to mean somebody else. `holder_id` is a number of users or projects, and stays when the row
-- behind it goes.
CREATE TABLE former_names (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    holder_id INT NOT NULL,
    left_at INT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX former_names_folded ON former_names (kind, lower(name));
CREATE INDEX users_folded ON users (lower(name));
INSERT INTO former_names (kind, name, holder_id, left_at)
    SELECT 'user', g.name, max(g.id), max(g.deleted_at) FROM (
        SELECT substr(u.name, 1, length(u.name) - length('#' || u.id)) AS name, u.id AS id,
            u.deleted_at AS deleted_at
        FROM users u WHERE u.deleted_at IS NOT NULL) g
    GROUP BY g.name;

-- An upload belongs to a number, not to a name. Those of robots of the system, and of nobody who is
-- here any more, begin again.
UPDATE uploads SET principal = 'user ' || (SELECT u.id FROM users u WHERE u.name = uploads.principal)
    WHERE EXISTS (SELECT 1 FROM users u WHERE u.name = uploads.principal);
UPDATE uploads SET principal = 'robot ' || (
        SELECT r.id FROM robots r JOIN projects p ON p.id = r.project_id
        WHERE 'robot$' || p.name || '+' || r.name = uploads.principal)
    WHERE EXISTS (
        SELECT 1 FROM robots r JOIN projects p ON p.id = r.project_id
        WHERE 'robot$' || p.name || '+' || r.name = uploads.principal);
