package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ grant.Store = (*Store)(nil)

const (
	grantColumns = `id, account_id, org_id, environment, user_id, client_id, session_id, scope, amr, acr, auth_time, created_at, expires_at, revoked_at`
	oneGrant     = ` WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND id = $4`
)

func grantFields(g *grant.Grant) []any {
	return []any{
		&g.ID, &g.Tenant.Account, &g.Tenant.Org, &g.Tenant.Env, &g.UserID, &g.ClientID, &g.SessionID, document{&g.Scope},
		document{&g.AMR}, &g.ACR, instant{&g.AuthTime}, instant{&g.CreatedAt}, instant{&g.ExpiresAt}, instant{&g.RevokedAt},
	}
}

// AddGrant implements grant.Store.
func (s *Store) AddGrant(ctx context.Context, d grant.Draft) error {
	return s.inTx(ctx, "add grant", limit, func(ctx context.Context, tx *sql.Tx) error { return addGrant(ctx, tx, d) })
}

// addGrant stores a grant with its code in a transaction. It returns
// user.ErrNotFound when the user or the app cannot have one, also for want of
// consent to an app that is not the organization's own, and session.ErrNone
// when the browser's session has ended.
func addGrant(ctx context.Context, tx *sql.Tx, d grant.Draft) error {
	g, c := d.Grant, d.Code
	if err := holdSession(ctx, tx, g); err != nil {
		return err
	}
	consented, err := holdConsent(ctx, tx, g)
	if err != nil {
		return err
	}
	client := "" // an API key needs no row of an app
	if app.IsID(g.ClientID) {
		client = g.ClientID
	}
	err = mustTouch(ctx, tx, user.ErrNotFound, stmt("add grant",
		`INSERT INTO grants (account_id, org_id, environment, user_id, id, client_id, session_id, scope, amr, acr, auth_time, created_at, expires_at)
		SELECT u.account_id, u.org_id, u.environment, u.id, $5, $6, $7, $8, $9, $10, $11, $12, $13
		FROM users u JOIN organizations o ON o.account_id = u.account_id AND o.id = u.org_id
		WHERE u.account_id = $1 AND u.org_id = $2 AND u.environment = $3 AND u.id = $4 AND u.active = TRUE AND o.deleted_at IS NULL
			AND ($14 = '' OR EXISTS (SELECT 1 FROM apps a
				WHERE a.account_id = $1 AND a.org_id = $2 AND a.environment = $3 AND a.id = $14 AND a.active = TRUE
					AND (a.first_party = TRUE OR $15 = TRUE)))`,
		g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.UserID, g.ID, g.ClientID, g.SessionID, list(g.Scope), list(g.AMR), g.ACR,
		millis(g.AuthTime), millis(g.CreatedAt), millis(g.ExpiresAt), client, consented))
	if orphan(err) {
		return user.ErrNotFound.Because(err) // deleted at this moment
	}
	if err != nil {
		return err
	}
	_, err = exec(ctx, tx, stmt("add authorization code",
		`INSERT INTO authorization_codes (code_digest, org_id, environment, grant_id, redirect_uri, code_challenge, nonce, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.Digest, g.Tenant.Org, g.Tenant.Env, g.ID, c.RedirectURI, c.Challenge, c.Nonce, millis(c.ExpiresAt)))
	return err
}

// holdSession keeps the session that a grant comes of from ending before the
// grant is stored: it writes the row, so that who ends the session waits, and
// revokes the grant with the others. What was ended before is not there.
func holdSession(ctx context.Context, tx *sql.Tx, g grant.Grant) error {
	if g.SessionID == "" {
		return nil
	}
	return mustTouch(ctx, tx, session.ErrNone, stmt("hold session",
		`UPDATE sessions SET seen_at = seen_at`+oneSession+` AND user_id = $5 AND expires_at > $6`,
		g.Tenant.Account, g.Tenant.Org, g.Tenant.Env, g.SessionID, g.UserID, millis(g.CreatedAt)))
}

// RedeemCode implements grant.Store. What is refused commits too: the code is
// used up, and the grant of a used one revoked.
func (s *Store) RedeemCode(ctx context.Context, digest []byte, at time.Time, accept func(grant.Code, grant.Session) (grant.Token, error)) (session grant.Session, err error) {
	var refused error
	err = s.inTx(ctx, "redeem authorization code", limit, func(ctx context.Context, tx *sql.Tx) error {
		code, grantID := grant.Code{Digest: digest}, ""
		err := one(ctx, tx, errNone, stmt("use authorization code",
			`UPDATE authorization_codes SET used_at = $2 WHERE code_digest = $1 AND used_at IS NULL
			RETURNING grant_id, redirect_uri, code_challenge, nonce, expires_at`, digest, millis(at)),
			&grantID, &code.RedirectURI, &code.Challenge, &code.Nonce, instant{&code.ExpiresAt})
		if errors.Is(err, errNone) {
			refused, err = revokeReused(ctx, tx, "code", stmt("revoke grant of a used code",
				`UPDATE grants SET revoked_at = $2 WHERE revoked_at IS NULL AND id = (
					SELECT grant_id FROM authorization_codes WHERE code_digest = $1) RETURNING `+grantColumns, digest, millis(at)))
			return err
		}
		if err != nil {
			return err
		}
		if session, err = s.liveGrant(ctx, tx, grantID, at); errors.Is(err, grant.ErrInvalid) {
			refused = err
			return nil
		}
		if err != nil {
			return err
		}
		session.Nonce = code.Nonce
		token, err := accept(code, session)
		if err != nil {
			refused = err
			return nil
		}
		return addRefresh(ctx, tx, session.Grant, token)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return grant.Session{}, err
	}
	return session, nil
}

// revokeReused runs a statement that revokes the grant of what was used
// before, and says what to answer.
func revokeReused(ctx context.Context, tx *sql.Tx, what string, st statement) (refused, err error) {
	var g grant.Grant
	err = one(ctx, tx, errNone, st, grantFields(&g)...)
	if errors.Is(err, errNone) { // there is none, or it was revoked before
		return grant.ErrInvalid, nil
	}
	return grant.Reuse{What: what, Grant: g}, err
}

func addRefresh(ctx context.Context, tx *sql.Tx, g grant.Grant, t grant.Token) error {
	_, err := exec(ctx, tx, stmt("add refresh token",
		`INSERT INTO refresh_tokens (token_digest, org_id, environment, grant_id, number, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		t.Digest, g.Tenant.Org, g.Tenant.Env, g.ID, t.Number, millis(t.CreatedAt), millis(t.ExpiresAt)))
	if orphan(err) {
		return grant.ErrInvalid.Because(err) // the user was deleted at this moment
	}
	return err
}

// RotateRefresh implements grant.Store.
func (s *Store) RotateRefresh(ctx context.Context, r grant.Rotation) (rotated grant.Rotated, err error) {
	var refused error
	err = s.inTx(ctx, "rotate refresh token", limit, func(ctx context.Context, tx *sql.Tx) error {
		next, grantID := grant.Token{Digest: r.Next, CreatedAt: r.At, ExpiresAt: r.At.Add(r.Idle)}, ""
		err := one(ctx, tx, errNone, stmt("use refresh token",
			`UPDATE refresh_tokens SET used_at = $2, successor = $3 WHERE token_digest = $1 AND used_at IS NULL AND expires_at > $2
				AND EXISTS (SELECT 1 FROM grants g WHERE g.id = refresh_tokens.grant_id AND g.client_id = $4)
			RETURNING grant_id, number + 1`, r.Digest, millis(r.At), r.Sealed, r.ClientID), &grantID, &next.Number)
		if errors.Is(err, errNone) {
			rotated, refused, err = s.answeredBefore(ctx, tx, r)
			return err
		}
		if err != nil {
			return err
		}
		// An error undoes the use: nobody gains from a token of a grant that
		// is not good, and a user who is activated again goes on.
		if rotated.Session, err = s.liveGrant(ctx, tx, grantID, r.At); err != nil {
			return err
		}
		if err := r.Accept(rotated.Session); err != nil {
			return err
		}
		return addRefresh(ctx, tx, rotated.Grant, next)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return grant.Rotated{}, err
	}
	return rotated, nil
}

// answeredBefore looks at a token that could not be used. The commit of
// whoever used it has been waited for, so its successor is here to be read.
func (s *Store) answeredBefore(ctx context.Context, tx *sql.Tx, r grant.Rotation) (rotated grant.Rotated, refused, err error) {
	var grantID string
	err = one(ctx, tx, errNone, stmt("read successor of refresh token",
		`SELECT t.grant_id, t.successor FROM refresh_tokens t JOIN grants g ON g.id = t.grant_id
		WHERE t.token_digest = $1 AND t.used_at >= $2 AND t.successor IS NOT NULL AND g.client_id = $3`,
		r.Digest, millis(r.At.Add(-r.Grace)), r.ClientID), &grantID, &rotated.Successor)
	if errors.Is(err, errNone) {
		refused, err = revokeReused(ctx, tx, "refresh_token", stmt("revoke grant of a used refresh token",
			`UPDATE grants SET revoked_at = $2 WHERE revoked_at IS NULL AND id = (
				SELECT grant_id FROM refresh_tokens WHERE token_digest = $1 AND used_at IS NOT NULL) RETURNING `+grantColumns,
			r.Digest, millis(r.At)))
		return grant.Rotated{}, refused, err
	}
	if err != nil {
		return grant.Rotated{}, nil, err
	}
	if rotated.Session, err = s.liveGrant(ctx, tx, grantID, r.At); err != nil {
		return grant.Rotated{}, nil, err
	}
	return rotated, nil, r.Accept(rotated.Session)
}

// RefreshHolder implements grant.Store.
func (s *Store) RefreshHolder(ctx context.Context, digest []byte, at time.Time) (held grant.Held, err error) {
	var grantID string
	err = one(ctx, s.read, grant.ErrInvalid, stmt("read refresh token",
		`SELECT grant_id, created_at, expires_at FROM refresh_tokens WHERE token_digest = $1 AND used_at IS NULL AND expires_at > $2`,
		digest, millis(at)), &grantID, instant{&held.CreatedAt}, instant{&held.ExpiresAt})
	if err != nil {
		return grant.Held{}, err
	}
	held.Session, err = s.liveGrant(ctx, s.read, grantID, at)
	return held, err
}

// RevokeRefresh implements grant.Store.
func (s *Store) RevokeRefresh(ctx context.Context, digest []byte, clientID string, at time.Time) (g grant.Grant, err error) {
	err = one(ctx, s.write, errNone, stmt("revoke grant of a refresh token",
		`UPDATE grants SET revoked_at = $2 WHERE revoked_at IS NULL AND client_id = $3 AND id = (
			SELECT grant_id FROM refresh_tokens WHERE token_digest = $1) RETURNING `+grantColumns, digest, millis(at), clientID),
		grantFields(&g)...)
	if errors.Is(err, errNone) {
		return grant.Grant{}, nil
	}
	return g, err
}

// LiveGrant implements grant.Store.
func (s *Store) LiveGrant(ctx context.Context, grantID string, at time.Time) (grant.Session, error) {
	return s.liveGrant(ctx, s.read, grantID, at)
}

// liveGrant reads a grant whose user, organization and client all are alive.
func (s *Store) liveGrant(ctx context.Context, q querier, grantID string, at time.Time) (found grant.Session, err error) {
	err = one(ctx, q, grant.ErrInvalid, stmt("read grant",
		`SELECT o.domain, COALESCE(a.token_profile, ''), COALESCE(a.audience, ''), COALESCE(a.id_token_alg, ''), g.id, g.account_id, g.org_id, g.environment, g.user_id,
			g.client_id, g.session_id, g.scope, g.amr, g.acr, g.auth_time, g.created_at, g.expires_at, g.revoked_at
		FROM grants g
		JOIN organizations o ON o.account_id = g.account_id AND o.id = g.org_id
		LEFT JOIN api_keys k ON k.id = g.client_id AND k.account_id = g.account_id AND k.environment = g.environment AND k.revoked_at IS NULL
		LEFT JOIN apps a ON a.id = g.client_id AND a.account_id = g.account_id AND a.org_id = g.org_id AND a.environment = g.environment
			AND a.active = TRUE
		WHERE g.id = $1 AND g.revoked_at IS NULL AND g.expires_at > $2 AND o.deleted_at IS NULL AND (k.id IS NOT NULL OR a.id IS NOT NULL)`,
		grantID, millis(at)), append([]any{&found.Org, &found.Profile, &found.Audience, &found.IDTokenAlg}, grantFields(&found.Grant)...)...)
	if err != nil {
		return grant.Session{}, err
	}
	t := found.Tenant
	found.User, err = s.user(ctx, q, stmt("read user of grant",
		`SELECT `+userColumns+` FROM users`+oneUser+` AND active = TRUE`, t.Account, t.Org, t.Env, found.UserID))
	if errors.Is(err, user.ErrNotFound) {
		return grant.Session{}, grant.ErrInvalid.Because(err)
	}
	return found, err
}

// RevokeGrant implements grant.Store.
func (s *Store) RevokeGrant(ctx context.Context, t tenant.ID, grantID string, at time.Time) error {
	_, err := exec(ctx, s.write, stmt("revoke grant",
		`UPDATE grants SET revoked_at = $5`+oneGrant+` AND revoked_at IS NULL`, t.Account, t.Org, t.Env, grantID, millis(at)))
	return err
}

// RevokeUserGrants implements grant.Store.
func (s *Store) RevokeUserGrants(ctx context.Context, t tenant.ID, userID, except string, at time.Time) error {
	_, err := exec(ctx, s.write, stmt("revoke grants of user",
		`UPDATE grants SET revoked_at = $5 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4
			AND id <> $6 AND revoked_at IS NULL`, t.Account, t.Org, t.Env, userID, millis(at), except))
	return err
}

// SweepGrants implements grant.Store. Each statement takes a portion.
func (s *Store) SweepGrants(ctx context.Context, ended, lapsed, answered time.Time) (more bool, err error) {
	for _, st := range []statement{
		stmt("delete grants that ended",
			`DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at <= $1 LIMIT $2)`, millis(ended), portion),
		stmt("delete grants whose code lapsed",
			`DELETE FROM grants WHERE id IN (SELECT grant_id FROM authorization_codes WHERE used_at IS NULL AND expires_at <= $1 LIMIT $2)`,
			millis(lapsed), portion),
		stmt("forget successors",
			`UPDATE refresh_tokens SET successor = NULL WHERE token_digest IN (
				SELECT token_digest FROM refresh_tokens WHERE successor IS NOT NULL AND used_at < $1 LIMIT $2)`, millis(answered), portion),
	} {
		touched, err := exec(ctx, s.write, st)
		if err != nil {
			return false, err
		}
		more = more || touched == portion
	}
	return more, nil
}
