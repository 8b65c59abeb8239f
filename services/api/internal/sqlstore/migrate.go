package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to what this program needs; where that is so
// already it changes nothing. On Postgres many replicas may call it at once.
// It takes as long as it needs, up to the deadline of ctx.
func (s *Store) Migrate(ctx context.Context) error {
	db := s.write.DB
	var options []goose.ProviderOption
	if s.postgres != nil {
		db = migrating(s.postgres)
		defer func() { _ = db.Close() }()
		// Whoever comes second looks every second whether the first is done.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600))
		if err != nil {
			return fmt.Errorf("migrate database: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := s.provider(db, options...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return wrap("migrate database", err)
}

func (s *Store) provider(db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	options = append(options, goose.WithGoMigrations(goose.NewGoMigration(appendOnlyVersion, &goose.GoFunc{RunTx: s.appendOnly}, nil)))
	provider, err := goose.NewProvider(s.dialect.goose, db, dir, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// Pending reports whether the schema is older than what this program needs.
// It only reads. A newer schema is fine: programs run before and after every
// migration.
func (s *Store) Pending(ctx context.Context) (bool, error) {
	provider, err := s.provider(s.read.DB)
	if err != nil {
		return false, err
	}
	sources := provider.ListSources()
	applied := int64(0)
	err = one(ctx, s.read, nil, stmt("read schema version", `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`), &applied)
	if noTable(err) {
		return true, nil
	}
	return err == nil && applied < sources[len(sources)-1].Version, err
}
