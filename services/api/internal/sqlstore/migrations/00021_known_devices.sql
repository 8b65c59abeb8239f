-- +goose Up

-- Browsers that a user has signed in with, each with the wrong passwords of
-- that user that came from it. A browser that several users have signed in
-- with has a row for each, under one digest.
CREATE TABLE known_devices (
    device_digest BYTEA NOT NULL, -- SHA-256 of its cookie; another one after each sign-in
    org_id        TEXT NOT NULL,
    environment   TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    account_id    TEXT NOT NULL,
    fails         BIGINT NOT NULL, -- as in password_budgets
    in_a_row      BIGINT NOT NULL,
    pause         BIGINT NOT NULL,
    failed_at     BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL, -- the last sign-in
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (device_digest, org_id, environment, user_id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX known_devices_user ON known_devices (org_id, environment, user_id);
CREATE INDEX known_devices_expired ON known_devices (expires_at);
