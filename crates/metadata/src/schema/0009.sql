-- Rules by which tags do not move. `selectors` is their JSON in one form: a rule stands once in a
-- project.
CREATE TABLE immutable_rules (
    id ID,
    project_id INT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    priority INT NOT NULL,
    disabled INT NOT NULL,
    selectors TEXT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL,
    UNIQUE (project_id, selectors)
);

-- Lists of vulnerabilities that are to count for nothing, in Harbor's form: one of each project,
-- and the system's, whose project is 0. They are read as waivers (decision D20).
CREATE TABLE cve_allowlists (
    project_id INT PRIMARY KEY,
    items TEXT NOT NULL,
    expires_at INT,
    reuse_system INT NOT NULL,
    written_by TEXT NOT NULL,
    writer_id INT NOT NULL,
    granted_by TEXT,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
