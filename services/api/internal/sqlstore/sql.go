// Package sqlstore keeps what lasts: tenants, keys, users, factors, budgets,
// deliveries and the sandbox inbox, in Postgres or in an embedded SQLite file.
//
// It implements the Store interfaces of the rules and is called by nobody
// else. Both engines run the same statements; where they must differ there is
// a dialect word. All times come in as arguments. What must not be counted or
// used twice is one conditional statement, or a transaction whose first
// statement takes the lock.
//
// Every method has a deadline of its own and never asks for a second
// connection while it holds one, so that a pool of one works.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/activity"
)

// How long one call may take, waiting for a connection included.
const (
	limit = 5 * time.Second
	// Removing an organization with many users takes longer.
	longLimit = 30 * time.Second
)

// Store is the database. It is safe for concurrent use.
type Store struct {
	dialect dialect
	keys    *seal.Keyring
	chain   activity.Chain
	// Two handles on SQLite, where one connection writes and others read
	// beside it; the same one twice on Postgres.
	write, read *handle
	// postgres is nil on SQLite.
	postgres *pgx.ConnConfig
}

// dialect holds the few words in which the engines differ.
type dialect struct {
	name  string
	goose goose.Dialect
	// Row locks. SQLite needs none: its transactions hold the only write lock
	// from their start.
	forUpdate, forNoKeyUpdate, forShare, skipLocked string
}

var (
	postgresDialect = dialect{
		name: "postgres", goose: goose.DialectPostgres,
		forUpdate: " FOR UPDATE", forNoKeyUpdate: " FOR NO KEY UPDATE", forShare: " FOR SHARE", skipLocked: " FOR UPDATE SKIP LOCKED",
	}
	sqliteDialect = dialect{name: "sqlite", goose: goose.DialectSQLite3}
)

// Dialect is "postgres" or "sqlite".
func (s *Store) Dialect() string { return s.dialect.name }

// Ping asks the database whether it is there. It returns a fault of kind
// Unavailable when it is not.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return wrap("reach database", s.write.PingContext(ctx))
}

// Close closes the connections once the calls in hand are done.
func (s *Store) Close() error {
	err := s.read.Close()
	if s.write != s.read {
		err = errors.Join(err, s.write.Close())
	}
	if err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// querier is a handle or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// scanner is one row.
type scanner interface{ Scan(into ...any) error }

// statement is a text with its arguments and what it does, for errors.
type statement struct {
	what string
	text string
	args []any
}

func stmt(what, text string, args ...any) statement { return statement{what, text, args} }

// inTx runs fn in a transaction: all of it or nothing.
func (s *Store) inTx(ctx context.Context, what string, within time.Duration, fn func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return wrap(what, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := fn(ctx, tx); err != nil {
		return err
	}
	return wrap(what, tx.Commit())
}

// triesOfDeadlocks is how often what was undone by a deadlock is done again.
const triesOfDeadlocks = 4

// undeadlocked does again what Postgres has undone so that somebody else could
// go on. Whoever deletes a user meets on the way, in another order, what the
// results of that user's messages are being written to.
func undeadlocked(ctx context.Context, do func() error) (err error) {
	for range triesOfDeadlocks {
		err = do()
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != deadlock || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// exec runs a statement and returns how many rows it touched.
func exec(ctx context.Context, q querier, st statement) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result, err := q.ExecContext(ctx, st.text, st.args...)
	if err != nil {
		return 0, wrap(st.what, err)
	}
	touched, err := result.RowsAffected()
	return touched, wrap(st.what, err)
}

// mustTouch is exec for statements that miss their row when it is not there.
func mustTouch(ctx context.Context, q querier, missing error, st statement) error {
	touched, err := exec(ctx, q, st)
	if err == nil && touched == 0 {
		return missing
	}
	return err
}

// errNone tells this package that a conditional statement touched nothing. It
// never leaves it.
var errNone = errors.New("no row")

// one reads one row, or returns missing.
func one(ctx context.Context, q querier, missing error, st statement, into ...any) error {
	return oneBy(ctx, q, missing, st, func(row scanner) error { return row.Scan(into...) })
}

// oneBy is one with a function that reads the row.
func oneBy(ctx context.Context, q querier, missing error, st statement, scan func(scanner) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := scan(q.QueryRowContext(ctx, st.text, st.args...))
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return wrap(st.what, err)
}

// many reads all rows. The result is never nil.
func many[T any](ctx context.Context, q querier, st statement, scan func(scanner) (T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	rows, err := q.QueryContext(ctx, st.text, st.args...)
	if err != nil {
		return nil, wrap(st.what, err)
	}
	defer func() { _ = rows.Close() }()
	out := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, wrap(st.what, err)
		}
		out = append(out, item)
	}
	return out, wrap(st.what, rows.Err())
}
