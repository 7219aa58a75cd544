-- Refusals that repeat themselves are counted in the record of the first one.
ALTER TABLE decisions ADD COLUMN repeats INT NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN last_at INT;
