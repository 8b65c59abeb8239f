-- +goose Up

-- What is to leave the house: written with the change of state that it
-- belongs to, deleted when the bus has it (an event) or when its delivery has
-- ended (a message).
CREATE TABLE outbox (
    id          TEXT NOT NULL PRIMARY KEY,
    account_id  TEXT NOT NULL,
    org_id      TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('sandbox', 'default')),
    kind        TEXT NOT NULL CHECK (kind IN ('message', 'event')),
    delivery_id TEXT, -- of a message
    payload     BYTEA NOT NULL, -- what the content says is sealed in it
    -- How often it was taken to be published, and how many of those times did
    -- not end in silence: the bus refused, or the worker said when to ask
    -- again. The wait for the next time doubles with the difference.
    n           BIGINT NOT NULL,
    answered    BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    expires_at  BIGINT, -- of a message
    created_at  BIGINT NOT NULL,
    CHECK ((kind = 'message') = (delivery_id IS NOT NULL) AND (kind = 'message') = (expires_at IS NOT NULL)),
    FOREIGN KEY (account_id, org_id) REFERENCES organizations (account_id, id),
    FOREIGN KEY (org_id, environment, delivery_id) REFERENCES deliveries (org_id, environment, id) ON DELETE CASCADE
);
CREATE INDEX outbox_due ON outbox (kind, due_at);
CREATE INDEX outbox_delivery ON outbox (org_id, environment, delivery_id) WHERE delivery_id IS NOT NULL;

-- Mail servers send no receipts: that they took a mail is the last that is
-- heard of it.
DROP INDEX deliveries_unheard;
CREATE INDEX deliveries_unheard ON deliveries (updated_at) WHERE state = 'accepted' AND channel <> 'email';
