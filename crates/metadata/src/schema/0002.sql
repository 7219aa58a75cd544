-- The client certificate with which a cluster may ask (decision D11): SHA-256 of its DER, in hex.
ALTER TABLE clusters ADD COLUMN certificate TEXT;
CREATE UNIQUE INDEX clusters_certificate ON clusters (certificate);

-- Who may read what the pull door refuses (decision D10): users and robots, by name.
CREATE TABLE examiners (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id INT REFERENCES users (id) ON DELETE CASCADE,
    robot_id INT REFERENCES robots (id) ON DELETE CASCADE,
    granted_by TEXT NOT NULL,
    created_at INT NOT NULL,
    CHECK ((user_id IS NULL) <> (robot_id IS NULL)),
    UNIQUE (project_id, user_id),
    UNIQUE (project_id, robot_id)
);
CREATE INDEX examiners_user ON examiners (user_id);
CREATE INDEX examiners_robot ON examiners (robot_id);
