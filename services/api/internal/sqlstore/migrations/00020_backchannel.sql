-- +goose Up

-- Where an app wants to hear that a session has ended (OpenID Connect
-- Back-Channel Logout 1.0); empty for nowhere.
ALTER TABLE apps ADD COLUMN backchannel_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE apps ADD COLUMN backchannel_session BOOLEAN NOT NULL DEFAULT FALSE;

-- What apps have still to be told. Its user and session may be gone by then.
CREATE TABLE logout_notices (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    app_id      TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    tries       BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (org_id, environment, session_id, app_id),
    FOREIGN KEY (org_id, environment, app_id) REFERENCES apps (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX logout_notices_due ON logout_notices (due_at);
CREATE INDEX logout_notices_app ON logout_notices (org_id, environment, app_id);
