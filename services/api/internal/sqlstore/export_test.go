package sqlstore

import (
	"context"
	"database/sql"
	"time"
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

// Kept is how many statements the reading side keeps prepared.
func (s *Store) Kept() int {
	s.read.mu.Lock()
	defer s.read.mu.Unlock()
	return len(s.read.kept)
}
