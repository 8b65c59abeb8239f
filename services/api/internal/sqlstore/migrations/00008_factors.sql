-- +goose Up

-- Second factors of every kind. One that has not been confirmed waits for its
-- first code; of those a user has one, whatever its method. One that is
-- disabled takes no code any more and still counts as a factor: who has no
-- other cannot log in without.
CREATE TABLE factors (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    id           TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    method       TEXT NOT NULL CHECK (method IN ('sms', 'totp')),
    name         TEXT NOT NULL,
    sealed       BYTEA NOT NULL,  -- the telephone number, or the secret of the app
    algorithm    TEXT NOT NULL,   -- of an app, as it was enrolled
    digits       BIGINT NOT NULL,
    period       BIGINT NOT NULL, -- seconds
    last_step    BIGINT NOT NULL, -- the last time step that was accepted
    drift        BIGINT NOT NULL, -- of the app's clock then, in steps
    mode         TEXT NOT NULL CHECK (mode IN ('first', 'add', 'renew', 'reset')),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,          -- while it waits
    confirmed_at BIGINT,
    used_at      BIGINT,
    disabled_at  BIGINT,
    disabled_by  TEXT NOT NULL CHECK (disabled_by IN ('', 'guesses', 'recovery', 'administrator')),
    PRIMARY KEY (org_id, environment, user_id, id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX factors_waiting_key ON factors (org_id, environment, user_id) WHERE confirmed_at IS NULL;
CREATE UNIQUE INDEX factors_phone_key ON factors (org_id, environment, user_id) WHERE method = 'sms' AND confirmed_at IS NOT NULL;

INSERT INTO factors (org_id, environment, user_id, id, account_id, method, name, sealed, algorithm, digits, period, last_step, drift, mode,
    created_at, expires_at, confirmed_at, used_at, disabled_at, disabled_by)
SELECT org_id, environment, user_id, id, account_id, 'sms', '', phone_sealed, '', 0, 0, 0, 0, 'first', created_at, expires_at, confirmed_at, NULL, NULL, ''
FROM sms_factors;
DROP TABLE sms_factors;

-- The recovery codes of a user, in one row, so that using one is one
-- conditional statement. It outlives the codes: the day between two uses is
-- the user's, not the set's.
CREATE TABLE recovery_sets (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    id           TEXT NOT NULL,    -- of the set; empty: there is none
    made         TEXT NOT NULL,    -- parameters and salt of Argon2id, in PHC form
    tags         BYTEA NOT NULL,   -- five of 32 bytes
    used         BIGINT NOT NULL,  -- a bit for each
    obliged      BOOLEAN NOT NULL, -- one was used, and no factor was enrolled since
    renewals     BIGINT NOT NULL,  -- enrolments that a used code has led to
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, user_id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);

-- What apps are enrolled with. Without an issuer it is the organization's name.
ALTER TABLE connections ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'SHA1';
ALTER TABLE connections ADD COLUMN digits BIGINT NOT NULL DEFAULT 6;
ALTER TABLE connections ADD COLUMN period BIGINT NOT NULL DEFAULT 30;
