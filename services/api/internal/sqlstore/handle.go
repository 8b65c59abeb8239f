package sqlstore

import (
	"context"
	"database/sql"
	"sync"
)

// handle is a pool of connections. On SQLite, where a third of a call was the
// parsing of its statements, it keeps them prepared; the driver of Postgres
// does that by itself. Statements in a transaction are left alone.
type handle struct {
	*sql.DB
	keeps bool

	mu   sync.Mutex
	kept map[string]*sql.Stmt
}

// mostKept bounds what is kept: the length of some lists is a part of a text.
const mostKept = 250

func newHandle(db *sql.DB, keeps bool) *handle {
	return &handle{DB: db, keeps: keeps, kept: map[string]*sql.Stmt{}}
}

// ExecContext implements querier.
func (h *handle) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if st := h.prepared(ctx, text); st != nil { //nolint:sqlclosecheck // it is kept; closing the pool closes it
		return st.ExecContext(ctx, args...)
	}
	return h.DB.ExecContext(ctx, text, args...)
}

// QueryContext implements querier.
func (h *handle) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if st := h.prepared(ctx, text); st != nil { //nolint:sqlclosecheck // it is kept; closing the pool closes it
		return st.QueryContext(ctx, args...)
	}
	return h.DB.QueryContext(ctx, text, args...)
}

// QueryRowContext implements querier.
func (h *handle) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if st := h.prepared(ctx, text); st != nil { //nolint:sqlclosecheck // it is kept; closing the pool closes it
		return st.QueryRowContext(ctx, args...)
	}
	return h.DB.QueryRowContext(ctx, text, args...)
}

// prepared returns the kept statement, or nil where the text has to be run as
// it is: nothing is kept, or it cannot be prepared, which running it will say.
func (h *handle) prepared(ctx context.Context, text string) *sql.Stmt {
	if !h.keeps {
		return nil
	}
	h.mu.Lock()
	st, full := h.kept[text], len(h.kept) >= mostKept
	h.mu.Unlock()
	if st != nil || full {
		return st
	}
	// Not under the lock: it may wait for a connection.
	fresh, err := h.PrepareContext(ctx, text)
	if err != nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if st := h.kept[text]; st != nil {
		_ = fresh.Close() //nolint:sqlclosecheck // somebody else was first, and only then
		return st
	}
	h.kept[text] = fresh
	return fresh
}
