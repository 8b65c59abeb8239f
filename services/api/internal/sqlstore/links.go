package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ link.Store = (*Store)(nil)

// PutLink implements link.Store. The row of a budget, which is the address's,
// keeps parallel calls for an address in a queue, so that the link before is
// always seen.
func (s *Store) PutLink(ctx context.Context, l link.Link, budgets []challenge.Budget, mail []outbox.Entry) (superseded []string, err error) {
	err = s.inTx(ctx, "put link", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := reserveBudgets(ctx, tx, budgets, l.CreatedAt); err != nil {
			return err
		}
		if superseded, err = replaceLinks(ctx, tx, l.Tenant, l.Email.Canonical, l.Purpose.Slot(), l.CreatedAt); err != nil {
			return err
		}
		if err := insertLink(ctx, tx, l); err != nil {
			return err
		}
		return s.insertMail(ctx, tx, mail, l.Void)
	})
	return superseded, err
}

// replaceLinks ends the live links of an address, with the mails of them that
// have not left, and returns the deliveries of those.
func replaceLinks(ctx context.Context, tx *sql.Tx, t tenant.ID, canonical, slot string, now time.Time) ([]string, error) {
	deliveries, err := many(ctx, tx, stmt("replace link",
		`UPDATE links SET state = 'dead' WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND email_canonical = $4 AND slot = $5
		AND state = 'live' RETURNING delivery_id`, t.Account, t.Org, t.Env, canonical, slot), scanID)
	if err != nil {
		return nil, err
	}
	return supersede(ctx, tx, deliveries, now)
}

func insertLink(ctx context.Context, tx *sql.Tx, l link.Link) error {
	state := "live"
	if l.Void {
		state = "void"
	}
	err := mustTouch(ctx, tx, tenant.ErrNotFound, stmt("create link",
		`INSERT INTO links (account_id, org_id, environment, digest, user_id, request_id, email, email_canonical, purpose, slot,
			state, redirect_uri, client_id, delivery_id, created_at, expires_at, flow)
		SELECT account_id, id, $3, $4, $5, $6, $7, $8, $9, $10,
			$11, $12, $13, $14, $15, $16, $17
		FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`,
		l.Tenant.Account, l.Tenant.Org, l.Tenant.Env, l.Digest, orNull(l.UserID), l.RequestID, l.Email.Written, l.Email.Canonical, string(l.Purpose), l.Purpose.Slot(),
		state, l.RedirectURI, l.ClientID, l.DeliveryID, millis(l.CreatedAt), millis(l.ExpiresAt), l.Flow))
	if orphan(err) {
		return user.ErrNotFound.Because(err)
	}
	return err
}

// liveLink is what a link needs to be followed: it is live and in time, its
// organization is there, and its user, if it has one, is active and still has
// its address. The digest is $1, the time $2.
const liveLink = `digest = $1 AND state = 'live' AND expires_at > $2
	AND EXISTS (SELECT 1 FROM organizations o WHERE o.id = links.org_id AND o.account_id = links.account_id AND o.deleted_at IS NULL)
	AND (user_id IS NULL OR EXISTS (SELECT 1 FROM users u WHERE u.org_id = links.org_id AND u.environment = links.environment
		AND u.id = links.user_id AND u.active = TRUE AND u.email_canonical = links.email_canonical))`

const linkColumns = `account_id, org_id, environment, digest, user_id, request_id, email, email_canonical, purpose,
	redirect_uri, client_id, delivery_id, created_at, expires_at, flow`

func scanLink(row scanner) (l link.Link, err error) {
	var userID sql.NullString
	err = row.Scan(&l.Tenant.Account, &l.Tenant.Org, &l.Tenant.Env, &l.Digest, &userID, &l.RequestID, &l.Email.Written, &l.Email.Canonical, &l.Purpose,
		&l.RedirectURI, &l.ClientID, &l.DeliveryID, instant{&l.CreatedAt}, instant{&l.ExpiresAt}, &l.Flow)
	l.UserID = userID.String
	return l, err
}

// Link implements link.Store.
func (s *Store) Link(ctx context.Context, digest []byte, now time.Time) (l link.Link, o tenant.Organization, err error) {
	err = oneBy(ctx, s.read, link.ErrDead, stmt("read link",
		`SELECT `+linkColumns+` FROM links WHERE `+liveLink, digest, millis(now)), func(row scanner) (err error) {
		l, err = scanLink(row)
		return err
	})
	if err != nil {
		return link.Link{}, tenant.Organization{}, err
	}
	o, err = s.organizationByID(ctx, s.read, l.Tenant.Account, l.Tenant.Org)
	return l, o, err
}

func (s *Store) organizationByID(ctx context.Context, q querier, account, orgID string) (o tenant.Organization, err error) {
	err = oneBy(ctx, q, tenant.ErrNotFound, stmt("read organization",
		`SELECT `+organizationColumns+` FROM organizations WHERE account_id = $1 AND id = $2`, account, orgID), func(row scanner) (err error) {
		o, err = scanOrganization(row)
		return err
	})
	return o, err
}

// useLink ends a live link: one of many parallel calls finds it so.
func useLink(ctx context.Context, tx *sql.Tx, digest []byte, now time.Time) (l link.Link, err error) {
	err = oneBy(ctx, tx, link.ErrDead, stmt("use link",
		`UPDATE links SET state = 'used', used_at = $2 WHERE `+liveLink+` RETURNING `+linkColumns, digest, millis(now)), func(row scanner) (err error) {
		l, err = scanLink(row)
		return err
	})
	return l, err
}

// UseForCode implements link.Store.
func (s *Store) UseForCode(ctx context.Context, digest []byte, code link.Code, now time.Time) error {
	return s.inTx(ctx, "follow link", limit, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := useLink(ctx, tx, digest, now); err != nil {
			return err
		}
		return insertCode(ctx, tx, code)
	})
}

// UseForLogin implements link.Store.
func (s *Store) UseForLogin(ctx context.Context, digest []byte, fresh user.User, entries []outbox.Entry, now time.Time) (u user.User, err error) {
	err = s.inTx(ctx, "follow link", limit, func(ctx context.Context, tx *sql.Tx) error {
		l, err := useLink(ctx, tx, digest, now)
		if err != nil {
			return err
		}
		var created bool
		if u, created, err = s.userOfLink(ctx, tx, l.Tenant, l.UserID, fresh, now); err != nil || !created {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
	if errors.Is(err, user.ErrNotFound) || errors.Is(err, user.ErrInactive) {
		return user.User{}, link.ErrDead.Because(err)
	}
	return u, err
}

// userOfLink returns the user that a proven address belongs to, with the
// address marked as verified: the one with the id, or one with the address,
// or else fresh, which is made.
func (s *Store) userOfLink(ctx context.Context, tx *sql.Tx, t tenant.ID, userID string, fresh user.User, now time.Time) (u user.User, created bool, err error) {
	if userID == "" {
		if created, err = s.createUserOnce(ctx, tx, fresh); err != nil {
			return user.User{}, false, err
		}
	}
	err = oneBy(ctx, tx, user.ErrInactive, stmt("verify address",
		`UPDATE users SET email_verified = TRUE, updated_at = CASE WHEN email_verified = TRUE THEN updated_at ELSE $5 END
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND email_canonical = $4 AND active = TRUE RETURNING `+userColumns,
		t.Account, t.Org, t.Env, fresh.Email.Canonical, millis(now)), func(row scanner) (err error) {
		u, err = s.scanUser(row)
		return err
	})
	if err == nil && userID != "" && u.ID != userID {
		return user.User{}, false, user.ErrNotFound // the address went to somebody else
	}
	return u, created, err
}

// createUserOnce makes a user unless there is one with the address.
func (s *Store) createUserOnce(ctx context.Context, tx *sql.Tx, u user.User) (bool, error) {
	touched, err := exec(ctx, tx, stmt("create user",
		`INSERT INTO users (account_id, org_id, environment, id, email, email_canonical, email_verified, phone_sealed, phone_verified,
			active, profile, address, created_at, updated_at)
		SELECT account_id, id, $3, $4, $5, $6, TRUE, NULL, FALSE,
			TRUE, $7, NULL, $8, $9
		FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
		ON CONFLICT (org_id, environment, email_canonical) DO NOTHING`,
		u.Tenant.Account, u.Tenant.Org, u.Tenant.Env, u.ID, u.Email.Written, u.Email.Canonical, document{u.Profile}, millis(u.CreatedAt), millis(u.UpdatedAt)))
	return touched == 1, err
}

func insertCode(ctx context.Context, q querier, c link.Code) error {
	_, err := exec(ctx, q, stmt("create password code",
		`INSERT INTO password_codes (account_id, org_id, environment, digest, user_id, request_id, email, email_canonical, purpose, proofs,
			client_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		c.Tenant.Account, c.Tenant.Org, c.Tenant.Env, c.Digest, orNull(c.UserID), c.RequestID, c.Email.Written, c.Email.Canonical, string(c.Purpose), list(c.Proofs),
		c.ClientID, millis(c.CreatedAt), millis(c.ExpiresAt)))
	if orphan(err) {
		return user.ErrNotFound.Because(err)
	}
	return err
}
