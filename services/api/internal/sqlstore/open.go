package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"countersign.dev/pkg/seal"
)

// Config says which database to open.
type Config struct {
	// DSN is postgres://user:password@host/database, or sqlite:<path> (also
	// file:<path>). It may hold a password and is in no error.
	DSN string
	// Keys seals telephone numbers and the secrets of apps.
	Keys *seal.Keyring
	// Index chains the activity. Without it nothing that is recorded can be
	// written.
	Index *seal.Index
	// MaxConns bounds the open connections; zero means four per core.
	MaxConns int
}

// errDSN does not repeat the DSN, which may hold a password.
var errDSN = errors.New("the database DSN must be postgres://user:password@host/database or sqlite:<path>")

// Open opens the database and reaches it once. It changes nothing in it: see
// Migrate. It returns a fault of kind Unavailable when the database is down.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Keys == nil {
		return nil, errors.New("the database needs a keyring to seal telephone numbers")
	}
	if cfg.MaxConns <= 0 {
		cfg.MaxConns = 4 * runtime.GOMAXPROCS(0)
	}
	scheme, _, _ := strings.Cut(cfg.DSN, ":")
	var s *Store
	var err error
	switch scheme {
	case "postgres", "postgresql":
		s, err = openPostgres(cfg)
	case "sqlite", "file":
		s, err = openSQLite(cfg)
	default:
		err = errDSN
	}
	if err != nil {
		return nil, err
	}
	if cfg.Index != nil {
		s.chain.Index = cfg.Index
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Bounds on the side of Postgres: a query that hangs must not hold a
// connection, and a forgotten transaction must not hold locks. What the DSN
// sets itself stays.
var sessionDefaults = map[string]string{
	"application_name":                    "countersign",
	"statement_timeout":                   "5s",
	"lock_timeout":                        "2s",
	"idle_in_transaction_session_timeout": "10s",
}

func openPostgres(cfg Config) (*Store, error) {
	config, err := pgx.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, errDSN
	}
	for name, value := range sessionDefaults {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	if !strings.Contains(cfg.DSN, "connect_timeout=") {
		config.ConnectTimeout = limit
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxConns) // closing idle ones costs a login each
	pool := newHandle(db, false)
	return &Store{dialect: postgresDialect, keys: cfg.Keys, write: pool, read: pool, postgres: config}, nil
}

// migrating opens a handle of one connection whose statements may take as
// long as they need: building an index on a large table does.
func migrating(config *pgx.ConnConfig) *sql.DB {
	config = config.Copy()
	config.RuntimeParams["statement_timeout"] = "0"
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	return db
}

func openSQLite(cfg Config) (*Store, error) {
	path, err := sqlitePath(cfg.DSN)
	if err != nil {
		return nil, err
	}
	// SQLite would make the file readable for everybody; what it puts beside
	// it (WAL) gets the same rights.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open database file: %w", err)
	}
	write, err := sql.Open("sqlite", sqliteURI(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, fmt.Errorf("open database file: %w", err)
	}
	// SQLite has one writer anyway. Waiting for it in line is fair; waiting by
	// busy_timeout is a lottery that some lose.
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", sqliteURI(path, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database file: %w", err), write.Close())
	}
	read.SetMaxOpenConns(cfg.MaxConns)
	read.SetMaxIdleConns(cfg.MaxConns)
	return &Store{dialect: sqliteDialect, keys: cfg.Keys, write: newHandle(write, true), read: newHandle(read, true)}, nil
}

// sqlitePath reads sqlite:<path> literally and file:<path> as a URI. Neither
// takes parameters: those that keep data safe are not for choosing.
func sqlitePath(dsn string) (string, error) {
	path, literal := strings.CutPrefix(dsn, "sqlite:")
	if !literal {
		var err error
		if path, err = url.PathUnescape(strings.TrimPrefix(dsn, "file:")); err != nil {
			return "", errDSN
		}
	}
	path = strings.TrimPrefix(path, "//")
	if path == "" || path == ":memory:" || strings.ContainsAny(path, "?\x00") {
		return "", errors.New("a sqlite: DSN must name a file and takes no parameters")
	}
	return filepath.Clean(path), nil
}

func sqliteURI(path string, more url.Values) string {
	more.Set("_busy_timeout", "5000") // milliseconds; another process may write, too
	more.Set("_journal_mode", "WAL")
	more.Set("_synchronous", "NORMAL")
	more.Set("_foreign_keys", "1")
	more.Set("_dqs", "0")
	more.Set("_error_rc", "1")
	more.Set("_defensive", "1")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + more.Encode()
}
