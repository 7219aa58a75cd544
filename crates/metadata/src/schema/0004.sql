-- Databases of the first days lack this index: it came into migration 1 after they were made.
CREATE INDEX IF NOT EXISTS audit_events_time ON audit_events (happened_at, id);

-- When a verdict was made: one from a clock that ran ahead does not hold.
ALTER TABLE verdicts ADD COLUMN judged_at INT NOT NULL DEFAULT 0;
