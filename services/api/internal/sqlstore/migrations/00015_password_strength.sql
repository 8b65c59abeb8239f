-- +goose Up

-- The least score (0 to 4) that an estimate must give a new password.
ALTER TABLE password_connections ADD COLUMN min_strength BIGINT NOT NULL DEFAULT 3 CHECK (min_strength BETWEEN 0 AND 4);

-- When the password was last looked up among those that have leaked, and was
-- not there. Null for never: the next login with it looks.
ALTER TABLE passwords ADD COLUMN checked_at BIGINT;
