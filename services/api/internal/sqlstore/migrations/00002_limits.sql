-- +goose Up

-- Which numbers a source has asked for, each counted once per span. Sources
-- and numbers are keyed digests.
CREATE TABLE source_numbers (
    source_key   TEXT NOT NULL,
    number_index BYTEA NOT NULL,
    counted_at   BIGINT NOT NULL,
    PRIMARY KEY (source_key, number_index)
);
CREATE INDEX source_numbers_counted ON source_numbers (counted_at);

-- Numbers that have answered a code, last and the time before.
CREATE TABLE known_numbers (
    number_index BYTEA NOT NULL PRIMARY KEY,
    verified_at  BIGINT NOT NULL,
    before_that  BIGINT
);
CREATE INDEX known_numbers_verified ON known_numbers (verified_at);

-- How many of the codes sent to the unknown numbers of a prefix are answered:
-- the hour at hand and the one before.
CREATE TABLE prefix_conversions (
    prefix          TEXT NOT NULL PRIMARY KEY,
    since           BIGINT NOT NULL,
    sends           BIGINT NOT NULL,
    verified        BIGINT NOT NULL,
    sends_before    BIGINT NOT NULL,
    verified_before BIGINT NOT NULL,
    closed_until    BIGINT
);
CREATE INDEX prefix_conversions_since ON prefix_conversions (since);

-- Wrong codes of an organization in the window at hand, and of which users.
CREATE TABLE sprays (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id   TEXT NOT NULL,
    started      BIGINT NOT NULL,
    fails        BIGINT NOT NULL,
    users        BIGINT NOT NULL,
    paused_until BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);

CREATE TABLE spray_users (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    started     BIGINT NOT NULL, -- of the window in which the user was counted
    PRIMARY KEY (org_id, environment, user_id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
