-- +goose Up

CREATE TABLE password_connections (
    org_id          TEXT NOT NULL,
    environment     TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id      TEXT NOT NULL,
    id              TEXT NOT NULL,
    min_length      BIGINT NOT NULL,
    max_length      BIGINT NOT NULL,
    pepper_rotation BIGINT NOT NULL, -- milliseconds
    template_id     TEXT NOT NULL,
    delivery        TEXT NOT NULL,
    verbose_errors  BOOLEAN NOT NULL,
    direct_creation BOOLEAN NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment),
    CONSTRAINT password_connections_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);

-- What was said about logins by link; before that the connection is inactive.
CREATE TABLE link_connections (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id  TEXT NOT NULL,
    active      BOOLEAN NOT NULL,
    may_create  BOOLEAN NOT NULL,
    delivery    TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);

CREATE TABLE passwords (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    number      BIGINT NOT NULL, -- 1, 2, 3: of the user's passwords
    hash        TEXT NOT NULL,
    must_change BOOLEAN NOT NULL,
    changed_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, user_id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);

-- A link without a user is for an address that following it makes a user of,
-- or void: it opens nothing.
CREATE TABLE links (
    digest          BYTEA NOT NULL PRIMARY KEY,
    org_id          TEXT NOT NULL,
    environment     TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id      TEXT NOT NULL,
    user_id         TEXT,
    request_id      TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_canonical TEXT NOT NULL,
    purpose         TEXT NOT NULL,
    slot            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('live', 'void', 'used', 'dead')),
    redirect_uri    TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    delivery_id     TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT,
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX links_live_key ON links (org_id, environment, email_canonical, slot) WHERE state = 'live';
CREATE INDEX links_user ON links (org_id, environment, user_id);
CREATE INDEX links_expired ON links (expires_at);

CREATE TABLE password_codes (
    digest          BYTEA NOT NULL PRIMARY KEY,
    org_id          TEXT NOT NULL,
    environment     TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id      TEXT NOT NULL,
    user_id         TEXT,
    request_id      TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_canonical TEXT NOT NULL,
    purpose         TEXT NOT NULL,
    proofs          TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    used_at         BIGINT,
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX password_codes_address ON password_codes (org_id, environment, email_canonical) WHERE used_at IS NULL;
CREATE INDEX password_codes_user ON password_codes (org_id, environment, user_id);
CREATE INDEX password_codes_expired ON password_codes (expires_at);
