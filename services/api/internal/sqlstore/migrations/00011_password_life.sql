-- +goose Up

-- How long passwords are good, in milliseconds; zero is for ever.
ALTER TABLE password_connections ADD COLUMN time_to_live BIGINT NOT NULL DEFAULT 0;
ALTER TABLE password_connections ADD COLUMN grace_period BIGINT NOT NULL DEFAULT 0;
ALTER TABLE password_connections ADD COLUMN history_depth BIGINT NOT NULL DEFAULT 0;
CREATE INDEX password_connections_expiring ON password_connections (org_id, environment) WHERE time_to_live > 0;

ALTER TABLE passwords ADD COLUMN hashed_at BIGINT NOT NULL DEFAULT 0;
UPDATE passwords SET hashed_at = changed_at;
-- How old the password was to be for the last reminder that was sent. An age
-- and no stage: where passwords live longer from now on, the next reminder is
-- due at a greater age, and nothing has to be rewritten.
ALTER TABLE passwords ADD COLUMN reminded_age BIGINT NOT NULL DEFAULT 0;
CREATE INDEX passwords_age ON passwords (org_id, environment, changed_at, reminded_age) WHERE must_change = FALSE;

-- The newest of a user's former passwords, where they may not come back.
CREATE TABLE password_history (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    number      BIGINT NOT NULL,
    account_id  TEXT NOT NULL,
    hash        TEXT NOT NULL,
    PRIMARY KEY (org_id, environment, user_id, number),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
