-- +goose Up

-- The key of the sign-in that a link was asked for on our own page, which it
-- then goes on with. It is a digest: nobody opens the sign-in with it.
ALTER TABLE links ADD COLUMN flow TEXT NOT NULL DEFAULT '';
