-- +goose Up

-- Wrong passwords. The key is a keyed digest: of a user, or of an address that
-- is nobody's, which is counted like one. Only what has a user hangs on
-- something; organizations that do not exist are counted, too.
CREATE TABLE password_budgets (
    budget_key  BYTEA NOT NULL PRIMARY KEY,
    account_id  TEXT NOT NULL,
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    user_id     TEXT,            -- null for nobody's
    fails       BIGINT NOT NULL, -- since the last right one, or the last quiet time
    in_a_row    BIGINT NOT NULL, -- since the last right one
    pause       BIGINT NOT NULL, -- after failed_at
    failed_at   BIGINT NOT NULL,
    kept_until  BIGINT NOT NULL, -- where it is nobody's
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX password_budgets_user ON password_budgets (org_id, environment, user_id);
CREATE INDEX password_budgets_kept ON password_budgets (kept_until) WHERE user_id IS NULL;
