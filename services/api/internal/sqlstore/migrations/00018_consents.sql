-- +goose Up

-- What users have allowed apps that are not the organization's own.
CREATE TABLE consents (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    app_id      TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    scopes      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, user_id, app_id),
    FOREIGN KEY (org_id, environment, user_id) REFERENCES users (org_id, environment, id) ON DELETE CASCADE,
    FOREIGN KEY (org_id, environment, app_id) REFERENCES apps (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX consents_app ON consents (org_id, environment, app_id);
