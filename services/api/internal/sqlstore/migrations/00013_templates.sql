-- +goose Up

-- Organizations' own words. contents is a map from language tags to subject,
-- text and html.
CREATE TABLE templates (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    account_id  TEXT NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    active      BOOLEAN NOT NULL,
    contents    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, id),
    CONSTRAINT templates_id_key UNIQUE (id),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
CREATE INDEX templates_kind ON templates (org_id, environment, kind);
-- Of each kind one is used at most.
CREATE UNIQUE INDEX templates_active_key ON templates (org_id, environment, kind) WHERE active;

-- Whether there is any, so that nobody has to look who has none.
ALTER TABLE organizations ADD COLUMN templated BOOLEAN NOT NULL DEFAULT FALSE;

-- The template of the mail with the link; empty for the active one.
ALTER TABLE link_connections ADD COLUMN template_id TEXT NOT NULL DEFAULT '';
