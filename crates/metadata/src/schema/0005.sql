-- A referrers list that is filtered by type reads only what it shows, however many others there are; and a manifest
-- without a subject, as nearly every one is, writes to neither index.
DROP INDEX manifests_subject;
CREATE INDEX manifests_subject ON manifests (repository_id, subject_digest, digest)
    WHERE subject_digest IS NOT NULL;
CREATE INDEX manifests_subject_type ON manifests (repository_id, subject_digest, artifact_type, digest)
    WHERE subject_digest IS NOT NULL;
