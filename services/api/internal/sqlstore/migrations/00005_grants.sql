-- +goose Up

-- What somebody has let a client have. Not before it has ended for good is it
-- deleted: until then a used code or token must be known as used.
CREATE TABLE grants (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    client_id   TEXT NOT NULL, -- of an API key
    scope       TEXT NOT NULL,
    amr         TEXT NOT NULL,
    acr         TEXT NOT NULL,
    auth_time   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT grants_id_key UNIQUE (id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX grants_user ON grants (org_id, environment, user_id);
CREATE INDEX grants_ended ON grants (expires_at);

-- Codes and tokens are SHA-256 digests of 256 random bits.
CREATE TABLE authorization_codes (
    code_digest    BYTEA NOT NULL PRIMARY KEY,
    org_id         TEXT NOT NULL,
    environment    TEXT NOT NULL,
    grant_id       TEXT NOT NULL,
    redirect_uri   TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    nonce          TEXT NOT NULL,
    expires_at     BIGINT NOT NULL,
    used_at        BIGINT,
    FOREIGN KEY (org_id, environment, grant_id) REFERENCES grants (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX authorization_codes_grant ON authorization_codes (org_id, environment, grant_id);
CREATE INDEX authorization_codes_lapsed ON authorization_codes (expires_at) WHERE used_at IS NULL;

CREATE TABLE refresh_tokens (
    token_digest BYTEA NOT NULL PRIMARY KEY,
    org_id       TEXT NOT NULL,
    environment  TEXT NOT NULL,
    grant_id     TEXT NOT NULL,
    number       BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    -- Sealed, for a client that lost the answer; gone a few seconds later.
    successor    BYTEA,
    CONSTRAINT refresh_tokens_number_key UNIQUE (org_id, environment, grant_id, number),
    FOREIGN KEY (org_id, environment, grant_id) REFERENCES grants (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_answered ON refresh_tokens (used_at) WHERE successor IS NOT NULL;

-- When a key begins to sign; from when it was made on when that is not said.
ALTER TABLE signing_keys ADD COLUMN starts_at BIGINT;
