-- +goose Up

-- E-mail domains that living organizations claim, each a domain in its one
-- form among the texts of organizations.email_domains. They have no
-- environment: the sandbox takes the claim, the default environment the proof.
CREATE TABLE organization_domains (
    org_id     TEXT NOT NULL,
    domain     TEXT NOT NULL,
    account_id TEXT NOT NULL,
    token      TEXT, -- what the DNS must show, made when it is asked for first
    proven_at  BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, domain),
    CHECK (proven_at IS NULL OR token IS NOT NULL),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
CREATE INDEX organization_domains_claims ON organization_domains (account_id, domain, org_id);
-- Of all organizations of the installation one at most has proven a domain.
CREATE UNIQUE INDEX organization_domains_proven_key ON organization_domains (domain) WHERE proven_at IS NOT NULL;
