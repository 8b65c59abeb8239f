-- +goose Up

-- Mail servers of organizations. The secrets, which are the password and the
-- key that signs, are one sealed part: who reads the database has neither.
CREATE TABLE smtp_connections (
    org_id        TEXT NOT NULL,
    environment   TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id    TEXT NOT NULL,
    id            TEXT NOT NULL,
    active        BOOLEAN NOT NULL,
    host          TEXT NOT NULL,
    port          BIGINT NOT NULL,
    security      TEXT NOT NULL CHECK (security IN ('starttls', 'tls')),
    username      TEXT NOT NULL,
    from_email    TEXT NOT NULL,
    from_name     TEXT NOT NULL,
    dkim_domain   TEXT NOT NULL, -- empty: nothing is signed
    dkim_selector TEXT NOT NULL,
    sealed        BYTEA NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment),
    CONSTRAINT smtp_connections_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
