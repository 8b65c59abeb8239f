package sqlstore

import "database/sql"

// DB is the handle that writes, for tests that look behind the store.
func (s *Store) DB() *sql.DB { return s.write }
