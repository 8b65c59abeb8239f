-- +goose Up

-- How far the import of a file has come. It moves in the transaction that
-- writes the users.
CREATE TABLE user_imports (
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    digest      TEXT NOT NULL,   -- of the file
    account_id  TEXT NOT NULL,
    run_id      TEXT NOT NULL,   -- who works on it; whoever was before stops
    lines       BIGINT NOT NULL, -- read and done
    created     BIGINT NOT NULL,
    updated     BIGINT NOT NULL,
    skipped     BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    report      BIGINT NOT NULL, -- bytes of the report that belong to it
    started_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (org_id, environment, digest),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id)
);
