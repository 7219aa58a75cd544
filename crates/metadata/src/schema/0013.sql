-- People who are logged in with a browser. Of the cookie only a hash is kept; `mark` ties the row to
-- the password that it was given for.
CREATE TABLE sessions (
    id ID,
    user_id INT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret_hash BYTES NOT NULL,
    mark TEXT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at INT NOT NULL,
    used_at INT NOT NULL
);
CREATE UNIQUE INDEX sessions_secret ON sessions (secret_hash);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_used ON sessions (used_at);
