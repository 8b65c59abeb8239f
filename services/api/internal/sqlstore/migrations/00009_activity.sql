-- +goose Up

-- What happened, in chains: each record's hash covers the record before. An
-- environment has several, so that users do not wait for each other's. Records
-- outlive the users that they are about. Nothing here is ever changed or
-- deleted: triggers see to that, see migrate.go.
CREATE TABLE activity (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    chain       BIGINT NOT NULL,
    number      BIGINT NOT NULL, -- 1, 2, 3: in its chain
    account_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    action      TEXT NOT NULL,
    result      TEXT NOT NULL,
    actor       TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    trace_id    TEXT NOT NULL,
    data        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    hash        TEXT NOT NULL,
    PRIMARY KEY (org_id, environment, chain, number),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
CREATE INDEX activity_list ON activity (account_id, org_id, environment, created_at, id);
CREATE INDEX activity_user ON activity (account_id, org_id, environment, user_id, created_at, id);
CREATE INDEX activity_action ON activity (account_id, org_id, environment, action, created_at, id);

-- The end of each chain. Its seal is no hash of a record, so that cutting off
-- the last records is noticed, too.
CREATE TABLE activity_ends (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    chain       BIGINT NOT NULL,
    account_id  TEXT NOT NULL,
    number      BIGINT NOT NULL,
    hash        TEXT NOT NULL,
    seal        TEXT NOT NULL,
    PRIMARY KEY (org_id, environment, chain),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
