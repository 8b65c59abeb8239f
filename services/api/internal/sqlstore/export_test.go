package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/tenant"
)

// DB is the handle that writes, for tests that look behind the store.
func (s *Store) DB() *sql.DB { return s.write.DB }

// Supersede runs what rules do within a transaction of theirs.
func (s *Store) Supersede(ctx context.Context, deliveryIDs []string, now time.Time) (ended []string, err error) {
	err = s.inTx(ctx, "supersede", limit, func(ctx context.Context, tx *sql.Tx) (err error) {
		ended, err = supersede(ctx, tx, deliveryIDs, now)
		return err
	})
	return ended, err
}

// CommitLate commits a transaction whose time ran out after its last statement.
func (s *Store) CommitLate(ctx context.Context) error {
	return s.inTx(ctx, "commit late", time.Millisecond, func(ctx context.Context, tx *sql.Tx) error {
		<-ctx.Done()
		for { // until the driver has rolled it back
			if _, err := tx.ExecContext(context.WithoutCancel(ctx), `SELECT 1`); err != nil {
				return nil
			}
		}
	})
}

// MigrateTo brings the schema to an older version.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	provider, err := s.provider(s.write.DB)
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}

// SealPhone seals a number as a factor of the first versions was.
func (s *Store) SealPhone(t tenant.ID, userID, factorID, number string) ([]byte, error) {
	return s.keys.Seal(sealFactorPhone, rowOf(t, userID, factorID), []byte(number))
}

// Kept is how many statements the reading side keeps prepared.
func (s *Store) Kept() int {
	s.read.mu.Lock()
	defer s.read.mu.Unlock()
	return len(s.read.kept)
}
