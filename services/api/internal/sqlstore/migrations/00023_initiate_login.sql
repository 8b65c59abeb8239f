-- +goose Up

-- Where an app begins sign-ins (OpenID Connect Core 4); empty where it has not said.
ALTER TABLE apps ADD COLUMN initiate_uri TEXT NOT NULL DEFAULT '';
