-- Collection (decision D13). What may have lost its last user is due for review at `review_at`: a
-- link that no manifest of its repository may name any more, a blob that no repository may hold any
-- more, contents that no manifest may have any more. None means that there is a user. What lies
-- here already and has none gets a day.
ALTER TABLE repository_blobs ADD COLUMN review_at INT;
ALTER TABLE repository_blobs ADD COLUMN review_reason TEXT;
ALTER TABLE blobs ADD COLUMN review_at INT;
ALTER TABLE blobs ADD COLUMN review_reason TEXT;
ALTER TABLE image_contents ADD COLUMN review_at INT;

-- So that whether a repository names a blob is one look into an index, however many others do.
ALTER TABLE manifest_blobs ADD COLUMN repository_id INT NOT NULL DEFAULT 0;
UPDATE manifest_blobs SET repository_id =
    (SELECT m.repository_id FROM manifests m WHERE m.id = manifest_blobs.manifest_id);
DROP INDEX manifest_blobs_digest;
CREATE INDEX manifest_blobs_digest ON manifest_blobs (digest, repository_id, manifest_id);

UPDATE repository_blobs SET review_at = linked_at + 86400000000, review_reason = 'unnamed'
    WHERE NOT EXISTS (SELECT 1 FROM manifest_blobs b WHERE b.digest = repository_blobs.digest
    AND b.repository_id = repository_blobs.repository_id);
UPDATE blobs SET review_at = created_at + 86400000000, review_reason = 'unnamed'
    WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest);
UPDATE image_contents SET review_at = created_at + 86400000000
    WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.contents_id = image_contents.id);
CREATE INDEX repository_blobs_review ON repository_blobs (review_at) WHERE review_at IS NOT NULL;
CREATE INDEX blobs_review ON blobs (review_at) WHERE review_at IS NOT NULL;
CREATE INDEX image_contents_review ON image_contents (review_at) WHERE review_at IS NOT NULL;

-- Files whose row is gone and whose bytes are not: blobs by digest and generation, uploads by id.
CREATE TABLE dying_files (
    id ID,
    digest TEXT,
    generation INT,
    upload TEXT,
    size INT NOT NULL,
    reason TEXT NOT NULL,
    attempts INT NOT NULL,
    lease INT NOT NULL,
    run_after INT NOT NULL,
    created_at INT NOT NULL
);
CREATE INDEX dying_files_due ON dying_files (run_after, id);
CREATE INDEX dying_files_digest ON dying_files (digest) WHERE digest IS NOT NULL;
CREATE INDEX dying_files_upload ON dying_files (upload) WHERE upload IS NOT NULL;

-- Runs of the collector that somebody asked for, or that found something.
CREATE TABLE collections (
    id ID,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    options TEXT NOT NULL,
    report TEXT NOT NULL,
    error TEXT,
    leased_until INT NOT NULL,
    started_at INT NOT NULL,
    finished_at INT
);
CREATE UNIQUE INDEX collections_running ON collections (state) WHERE state = 'running';
