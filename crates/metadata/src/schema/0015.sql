-- Who begins an upload has theirs in that repository counted; the index alone answers it.
CREATE INDEX uploads_owner ON uploads (repository_id, principal);
DROP INDEX uploads_repository;
