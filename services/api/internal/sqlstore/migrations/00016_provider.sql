-- +goose Up

-- Apps: the OAuth clients of an organization's environment.
CREATE TABLE apps (
    org_id        TEXT NOT NULL,
    environment   TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    id            TEXT NOT NULL, -- the client_id
    account_id    TEXT NOT NULL,
    name          TEXT NOT NULL,
    client_type   TEXT NOT NULL CHECK (client_type IN ('public', 'confidential')),
    native        BOOLEAN NOT NULL,
    secret_digest BYTEA NOT NULL, -- empty: a public app
    redirect_uris TEXT NOT NULL,
    logout_uris   TEXT NOT NULL,
    origins       TEXT NOT NULL,
    methods       TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    first_party   BOOLEAN NOT NULL,
    token_profile TEXT NOT NULL CHECK (token_profile IN ('standard', 'gateway')),
    audience      TEXT NOT NULL, -- of tokens of the gateway profile; empty: the client_id
    id_token_alg  TEXT NOT NULL CHECK (id_token_alg IN ('ES256', 'RS256')),
    active        BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT apps_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
CREATE INDEX apps_list ON apps (account_id, org_id, environment, created_at, id);

-- The origins of apps once more, to be found by: a preflight names no app.
CREATE TABLE app_origins (
    origin      TEXT NOT NULL,
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    app_id      TEXT NOT NULL,
    PRIMARY KEY (origin, org_id, environment, app_id),
    FOREIGN KEY (org_id, environment, app_id) REFERENCES apps (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX app_origins_app ON app_origins (org_id, environment, app_id);

-- Sessions of browsers. One that has ended is deleted: nothing of it is worth
-- anything, and what came of it has a table of its own.
CREATE TABLE sessions (
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    id           TEXT NOT NULL, -- the sid of tokens, and no secret
    account_id   TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    token_digest BYTEA NOT NULL, -- SHA-256 of what the browser has; another one after each proof
    amr          TEXT NOT NULL,
    acr          TEXT NOT NULL,
    auth_time    BIGINT NOT NULL,
    source       TEXT NOT NULL, -- masked
    created_at   BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT sessions_token_key UNIQUE (token_digest),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX sessions_user ON sessions (org_id, environment, user_id);
CREATE INDEX sessions_ended ON sessions (expires_at);

-- The browser session that a grant came of; empty for logins over the API.
ALTER TABLE grants ADD COLUMN session_id TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_session ON grants (org_id, environment, session_id) WHERE session_id <> '';
-- What an app was granted ends with it.
CREATE INDEX grants_client ON grants (org_id, environment, client_id) WHERE revoked_at IS NULL;

-- Each algorithm has its own row of keys.
CREATE TABLE algorithm_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL CHECK (algorithm IN ('ES256', 'RS256')),
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    starts_at  BIGINT,
    -- 1, 2, 3: of many replicas that add the next one at once, one succeeds.
    number     BIGINT NOT NULL,
    CONSTRAINT signing_keys_algorithm_number_key UNIQUE (algorithm, number)
);
INSERT INTO algorithm_keys (id, algorithm, sealed, created_at, starts_at, number)
SELECT id, algorithm, sealed, created_at, starts_at, number FROM signing_keys;
DROP TABLE signing_keys;
ALTER TABLE algorithm_keys RENAME TO signing_keys;
