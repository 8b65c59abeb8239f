-- +goose Up

-- One text for Postgres and SQLite. Times are unix milliseconds, ids are text
-- made by the service, JSON is kept as text. What hangs below a tenant carries
-- account, organization and environment, and foreign keys include them, so
-- that a row of one tenant cannot point at a row of another.

CREATE TABLE accounts (
    id         TEXT NOT NULL PRIMARY KEY,
    domain     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT accounts_domain_key UNIQUE (domain)
);

CREATE TABLE organizations (
    id            TEXT NOT NULL PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    domain        TEXT NOT NULL,
    name          TEXT NOT NULL,
    email_domains TEXT NOT NULL,
    color         TEXT NOT NULL,
    locale        TEXT NOT NULL,
    logo_url      TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    deleted_at    BIGINT,
    CONSTRAINT organizations_account_id_key UNIQUE (account_id, id)
);
-- A deleted organization leaves its domain to a new one, with a new id.
CREATE UNIQUE INDEX organizations_living_domain_key ON organizations (domain) WHERE deleted_at IS NULL;
CREATE INDEX organizations_account_domain ON organizations (account_id, domain, deleted_at);
CREATE INDEX organizations_list ON organizations (account_id, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE connections (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    active       BOOLEAN NOT NULL,
    delivery     TEXT NOT NULL,
    countries    TEXT NOT NULL,
    sms_per_hour BIGINT NOT NULL,
    sms_per_day  BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment),
    CONSTRAINT connections_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);

CREATE TABLE api_keys (
    id            TEXT NOT NULL PRIMARY KEY,
    account_id    TEXT NOT NULL REFERENCES accounts (id),
    environment   TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    organizations TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    secret_digest BYTEA NOT NULL,
    created_at    BIGINT NOT NULL,
    revoked_at    BIGINT
);
CREATE INDEX api_keys_list ON api_keys (account_id, environment, created_at, id);

CREATE TABLE signing_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    -- 1, 2, 3: of many replicas that add the next one at once, one succeeds.
    number     BIGINT NOT NULL,
    CONSTRAINT signing_keys_number_key UNIQUE (number)
);

CREATE TABLE users (
    org_id          TEXT NOT NULL,
    environment     TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    id              TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_canonical TEXT NOT NULL,
    email_verified  BOOLEAN NOT NULL,
    phone_sealed    BYTEA,
    phone_verified  BOOLEAN NOT NULL,
    active          BOOLEAN NOT NULL,
    profile         TEXT NOT NULL,
    address         TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT users_email_key UNIQUE (org_id, environment, email_canonical),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
CREATE INDEX users_list ON users (account_id, org_id, environment, created_at, id);

-- A user has at most one factor in force and one that waits for its first code.
CREATE TABLE sms_factors (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    pending      BOOLEAN NOT NULL,
    account_id   TEXT NOT NULL,
    id           TEXT NOT NULL,
    phone_sealed BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    confirmed_at BIGINT,
    PRIMARY KEY (org_id, environment, user_id, pending),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);

CREATE TABLE guess_budgets (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    class       TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    fails       BIGINT NOT NULL,
    in_a_row    BIGINT NOT NULL,
    level       BIGINT NOT NULL,
    window_ends BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, user_id, class),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);

-- Sends are counted across tenants and outlive whom they were sent to:
-- otherwise making a user or an organization anew would hand out new budgets.
CREATE TABLE send_gaps (
    number_index BYTEA NOT NULL PRIMARY KEY,
    unanswered   BIGINT NOT NULL,
    last_sent_at BIGINT NOT NULL
);
CREATE INDEX send_gaps_last_sent ON send_gaps (last_sent_at);

CREATE TABLE send_budgets (
    budget_key TEXT NOT NULL,
    span       BIGINT NOT NULL,
    started    BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    PRIMARY KEY (budget_key, span)
);
CREATE INDEX send_budgets_started ON send_budgets (started);

CREATE TABLE deliveries (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    user_id     TEXT, -- NULL: to somebody who is no user yet
    request_id  TEXT NOT NULL,
    trace_id    TEXT NOT NULL,
    channel     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    state       TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    receipt     TEXT NOT NULL,
    reason      TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT deliveries_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX deliveries_user ON deliveries (org_id, environment, user_id);
CREATE INDEX deliveries_request ON deliveries (account_id, org_id, environment, request_id);
CREATE INDEX deliveries_list ON deliveries (account_id, org_id, environment, created_at, id);
-- What the sweep looks for. Partial: nearly all rows are past both states.
CREATE INDEX deliveries_overdue ON deliveries (expires_at) WHERE state = 'pending';
CREATE INDEX deliveries_unheard ON deliveries (updated_at) WHERE state = 'accepted';

CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL,
    number      BIGINT NOT NULL,
    answer      TEXT NOT NULL,
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    tried_at    BIGINT NOT NULL,
    provider    TEXT NOT NULL,
    PRIMARY KEY (delivery_id, number, answer),
    FOREIGN KEY (org_id, environment, delivery_id) REFERENCES deliveries (org_id, environment, id) ON DELETE CASCADE
);

CREATE TABLE sandbox_messages (
    id          TEXT NOT NULL PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    channel     TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    sealed      BYTEA NOT NULL,
    to_index    BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    FOREIGN KEY (org_id, environment, delivery_id) REFERENCES deliveries (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX sandbox_messages_delivery ON sandbox_messages (org_id, environment, delivery_id);
CREATE INDEX sandbox_messages_list ON sandbox_messages (account_id, org_id, environment, created_at, id);
CREATE INDEX sandbox_messages_to ON sandbox_messages (account_id, org_id, environment, to_index, created_at);
CREATE INDEX sandbox_messages_request ON sandbox_messages (account_id, org_id, environment, request_id);
CREATE INDEX sandbox_messages_age ON sandbox_messages (created_at, id);
