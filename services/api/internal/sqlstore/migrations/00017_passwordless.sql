-- +goose Up

-- Whether users may sign in by a code alone, where the app allows the method.
ALTER TABLE connections ADD COLUMN passwordless BOOLEAN NOT NULL DEFAULT FALSE;
