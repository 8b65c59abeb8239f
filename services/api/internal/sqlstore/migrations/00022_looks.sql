-- +goose Up

-- The logo that an organization's pages show, served by us. Its address is made
-- of its hash, so that browsers may keep it.
CREATE TABLE organization_logos (
    org_id     TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    hash       TEXT NOT NULL, -- SHA-256 of the picture in hexadecimal digits
    media_type TEXT NOT NULL CHECK (media_type IN ('image/png', 'image/jpeg')),
    picture    BYTEA NOT NULL,
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
-- Two organizations may show the same picture.
CREATE INDEX organization_logos_hash ON organization_logos (hash);

-- Which logo it is, so that no page has to look for it; empty for none.
ALTER TABLE organizations ADD COLUMN logo_hash TEXT NOT NULL DEFAULT '';

-- What its pages say: a map from language tags to welcome and help; NULL for nothing.
ALTER TABLE organizations ADD COLUMN page_texts TEXT;
