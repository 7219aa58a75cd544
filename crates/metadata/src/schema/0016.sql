-- Tokens that people make for themselves, in place of their password. `projects` is a JSON list of
-- numbers, so that a token for a project says nothing in a later one of its name; null for all.
CREATE TABLE personal_tokens (
    id ID,
    user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    secret_hash BYTES NOT NULL,
    scopes TEXT NOT NULL,
    projects TEXT,
    expires_at INT,
    created_at INT NOT NULL,
    used_at INT,
    UNIQUE (user_id, name)
);
CREATE UNIQUE INDEX personal_tokens_secret ON personal_tokens (secret_hash);
