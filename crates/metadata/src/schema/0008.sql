-- Storage quotas (decision D15). A blob or manifest counts once in a project, however many of its
-- manifests name it: `refs` is how many do, the manifest itself included. What no manifest names
-- has no row here. No foreign keys: a key to the project would lock its row in every push.
CREATE TABLE project_quotas (
    project_id INT PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    hard INT NOT NULL,
    created_at INT NOT NULL,
    updated_at INT NOT NULL
);
CREATE TABLE project_blobs (
    project_id INT NOT NULL,
    digest TEXT NOT NULL,
    size INT NOT NULL,
    refs INT NOT NULL,
    PRIMARY KEY (project_id, digest)
);
-- Named, but not here when it was named: layers that clients may fetch from elsewhere.
CREATE INDEX project_blobs_absent ON project_blobs (digest) WHERE size = 0;

-- The sum of a project's sizes, in as many rows as it ever had writers at once: each adds to a row
-- that nobody holds, so none waits for another.
CREATE TABLE project_usage (
    id ID,
    project_id INT NOT NULL,
    bytes INT NOT NULL
);
CREATE INDEX project_usage_project ON project_usage (project_id, id);

INSERT INTO project_quotas (project_id, hard, created_at, updated_at)
    SELECT id, -1, created_at, created_at FROM projects;
INSERT INTO project_blobs (project_id, digest, size, refs)
    SELECT n.project_id, n.digest, max(n.size), count(*) FROM (
        SELECT r.project_id AS project_id, m.digest AS digest, m.size AS size
        FROM manifests m JOIN repositories r ON r.id = m.repository_id
        UNION ALL
        SELECT r.project_id AS project_id, b.digest AS digest, max(coalesce(x.size, 0)) AS size
        FROM manifest_blobs b JOIN repositories r ON r.id = b.repository_id
        LEFT JOIN repository_blobs l ON l.repository_id = b.repository_id AND l.digest = b.digest
        LEFT JOIN blobs x ON x.digest = l.digest
        GROUP BY r.project_id, b.digest, b.manifest_id
    ) n GROUP BY n.project_id, n.digest;
INSERT INTO project_usage (project_id, bytes)
    SELECT project_id, CAST(sum(size) AS BIGINT) FROM project_blobs GROUP BY project_id;
