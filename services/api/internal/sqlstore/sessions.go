package sqlstore

import (
	"context"
	"errors"
	"time"

	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ session.Store = (*Store)(nil)

const (
	sessionColumns = `id, account_id, org_id, environment, user_id, token_digest, amr, acr, auth_time, source, created_at, seen_at, expires_at`
	oneSession     = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4`
	// goodSession is what a session needs to be believed at $1. It was used
	// after $2.
	goodSession = ` expires_at > $1 AND seen_at > $2
		AND EXISTS (SELECT 1 FROM users u WHERE u.account_id = sessions.account_id AND u.org_id = sessions.org_id
			AND u.environment = sessions.environment AND u.id = sessions.user_id AND u.active = TRUE)
		AND EXISTS (SELECT 1 FROM organizations o WHERE o.account_id = sessions.account_id AND o.id = sessions.org_id AND o.deleted_at IS NULL)`
)

func scanSession(row scanner) (f session.Session, err error) {
	err = row.Scan(&f.ID, &f.Tenant.Account, &f.Tenant.Org, &f.Tenant.Env, &f.User.ID, &f.Digest, document{&f.AMR}, &f.ACR, instant{&f.AuthTime},
		&f.Source, instant{&f.CreatedAt}, instant{&f.SeenAt}, instant{&f.ExpiresAt})
	return f, err
}

// AddSession implements session.Store.
func (s *Store) AddSession(ctx context.Context, f session.Session) (session.Session, error) {
	t := f.Tenant
	err := mustTouch(ctx, s.write, user.ErrNotFound, stmt("add session",
		`INSERT INTO sessions (account_id, org_id, environment, user_id, id, token_digest, amr, acr, auth_time, source, created_at, seen_at, expires_at)
		SELECT u.account_id, u.org_id, u.environment, u.id, $5, $6, $7, $8, $9, $10, $11, $12, $13
		FROM users u JOIN organizations o ON o.account_id = u.account_id AND o.id = u.org_id
		WHERE u.account_id = $1 AND u.org_id = $2 AND u.environment = $3 AND u.id = $4 AND u.active = TRUE AND o.deleted_at IS NULL`,
		t.Account, t.Org, t.Env, f.User.ID, f.ID, f.Digest, list(f.AMR), f.ACR, millis(f.AuthTime), f.Source,
		millis(f.CreatedAt), millis(f.SeenAt), millis(f.ExpiresAt)))
	if orphan(err) {
		return session.Session{}, user.ErrNotFound.Because(err) // deleted at this moment
	}
	if err != nil {
		return session.Session{}, err
	}
	if f, err = s.withOwner(ctx, f); errors.Is(err, session.ErrNone) {
		return session.Session{}, user.ErrNotFound.Because(err)
	}
	return f, err
}

// FindSession implements session.Store. The condition is part of the statement
// that notes the use: no session comes back to life by being looked at.
func (s *Store) FindSession(ctx context.Context, q session.Query) (found session.Session, err error) {
	st := stmt("find session",
		`UPDATE sessions SET seen_at = $1 WHERE`+goodSession+` AND token_digest = $3 AND account_id = $4 AND org_id = $5 AND environment = $6
		RETURNING `+sessionColumns, millis(q.At), millis(q.At.Add(-q.Idle)), q.Digest, q.Tenant.Account, q.Tenant.Org, q.Tenant.Env)
	if q.Org != "" {
		st = stmt("find session",
			`UPDATE sessions SET seen_at = $1 WHERE`+goodSession+` AND token_digest = $3 AND environment = $5
				AND org_id = (SELECT id FROM organizations WHERE domain = $4 AND deleted_at IS NULL)
			RETURNING `+sessionColumns, millis(q.At), millis(q.At.Add(-q.Idle)), q.Digest, q.Org, q.Env)
	}
	if err := oneBy(ctx, s.write, session.ErrNone, st, func(row scanner) (err error) {
		found, err = scanSession(row)
		return err
	}); err != nil {
		return session.Session{}, err
	}
	return s.withOwner(ctx, found)
}

// RaiseSession implements session.Store.
func (s *Store) RaiseSession(ctx context.Context, old []byte, f session.Session, idle time.Duration) (raised session.Session, err error) {
	t := f.Tenant
	if err := oneBy(ctx, s.write, session.ErrNone, stmt("raise session",
		`UPDATE sessions SET token_digest = $3, amr = $4, acr = $5, auth_time = $6, seen_at = $1
		WHERE`+goodSession+` AND account_id = $7 AND org_id = $8 AND environment = $9 AND id = $10 AND token_digest = $11
		RETURNING `+sessionColumns,
		millis(f.SeenAt), millis(f.SeenAt.Add(-idle)), f.Digest, list(f.AMR), f.ACR, millis(f.AuthTime), t.Account, t.Org, t.Env, f.ID, old), func(row scanner) (err error) {
		raised, err = scanSession(row)
		return err
	}); err != nil {
		return session.Session{}, err
	}
	return s.withOwner(ctx, raised)
}

// withOwner reads whose a session is.
func (s *Store) withOwner(ctx context.Context, f session.Session) (session.Session, error) {
	t := f.Tenant
	var sealed []byte
	err := oneBy(ctx, s.read, session.ErrNone, stmt("read user of session",
		`SELECT o.domain, `+userColumns+` FROM users JOIN organizations o ON o.account_id = users.account_id AND o.id = users.org_id
		WHERE users.account_id = $1 AND users.org_id = $2 AND users.environment = $3 AND users.id = $4 AND users.active = TRUE AND o.deleted_at IS NULL`,
		t.Account, t.Org, t.Env, f.User.ID), func(row scanner) error {
		return row.Scan(append([]any{&f.Org}, userInto(&f.User, &sealed)...)...)
	})
	if err == nil {
		f.User.Phone, err = s.openPhone(t, f.User.ID, sealed)
	}
	if err != nil {
		return session.Session{}, err
	}
	return f, nil
}

// Sessions implements session.Store.
func (s *Store) Sessions(ctx context.Context, t tenant.ID, userID string, at time.Time, idle time.Duration) ([]session.Session, error) {
	return many(ctx, s.read, stmt("list sessions",
		`SELECT `+sessionColumns+` FROM sessions WHERE`+goodSession+` AND account_id = $3 AND org_id = $4 AND environment = $5 AND user_id = $6
		ORDER BY seen_at DESC, created_at DESC, id`,
		millis(at), millis(at.Add(-idle)), t.Account, t.Org, t.Env, userID), scanSession)
}

// SweepSessions implements session.Store.
func (s *Store) SweepSessions(ctx context.Context, at time.Time) (more bool, err error) {
	touched, err := exec(ctx, s.write, stmt("delete sessions that ended",
		`DELETE FROM sessions WHERE token_digest IN (SELECT token_digest FROM sessions WHERE expires_at <= $1 LIMIT $2)`, millis(at), portion))
	return touched == portion, err
}
