package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/transfer"
)

var _ transfer.Store = (*Store)(nil)

// LivingOrganization finds a living organization of any account by its domain,
// or returns tenant.ErrNotFound. It is for an operator's tools.
func (s *Store) LivingOrganization(ctx context.Context, domain string) (o tenant.Organization, err error) {
	st := stmt("read organization", `SELECT `+organizationColumns+` FROM organizations WHERE domain = $1 AND deleted_at IS NULL`, domain)
	err = oneBy(ctx, s.read, tenant.ErrNotFound, st, func(row scanner) (err error) {
		o, err = scanOrganization(row)
		return err
	})
	return o, err
}

// shareOrganization holds a living organization, so that a parallel
// DeleteOrganization cannot miss what is written below it.
func (s *Store) shareOrganization(ctx context.Context, tx *sql.Tx, t tenant.ID) error {
	var found string
	return one(ctx, tx, tenant.ErrNotFound, stmt("hold organization",
		`SELECT id FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`+s.dialect.forShare, t.Account, t.Org), &found)
}

// BeginImport implements transfer.Store.
func (s *Store) BeginImport(ctx context.Context, f transfer.File, at time.Time, entries []outbox.Entry) (c transfer.Checkpoint, err error) {
	err = s.inTx(ctx, "begin import", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.shareOrganization(ctx, tx, f.Tenant); err != nil {
			return err
		}
		if f.Digest != "" {
			if err := one(ctx, tx, nil, stmt("begin import",
				`INSERT INTO user_imports (account_id, org_id, environment, digest, run_id, lines, created, updated, skipped, failed, report, started_at, updated_at)
				VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 0, $6, $6)
				ON CONFLICT (org_id, environment, digest) DO UPDATE SET run_id = EXCLUDED.run_id, updated_at = EXCLUDED.updated_at, finished_at = NULL,
					started_at = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.started_at ELSE EXCLUDED.started_at END,
					lines = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.lines ELSE 0 END,
					created = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.created ELSE 0 END,
					updated = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.updated ELSE 0 END,
					skipped = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.skipped ELSE 0 END,
					failed = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.failed ELSE 0 END,
					report = CASE WHEN user_imports.finished_at IS NULL THEN user_imports.report ELSE 0 END
				RETURNING lines, created, updated, skipped, failed, report`,
				f.Tenant.Account, f.Tenant.Org, f.Tenant.Env, f.Digest, f.Run, millis(at)),
				&c.Lines, &c.Created, &c.Updated, &c.Skipped, &c.Failed, &c.Report); err != nil {
				return err
			}
		}
		return s.insertEntries(ctx, tx, entries)
	})
	return c, err
}

// FinishImport implements transfer.Store.
func (s *Store) FinishImport(ctx context.Context, f transfer.File, at time.Time, entries []outbox.Entry) error {
	return s.inTx(ctx, "finish import", limit, func(ctx context.Context, tx *sql.Tx) error {
		if f.Digest != "" {
			if err := mustTouch(ctx, tx, transfer.ErrTakenOver, stmt("finish import",
				`UPDATE user_imports SET finished_at = $6, updated_at = $6
				WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND digest = $4 AND run_id = $5 AND finished_at IS NULL`,
				f.Tenant.Account, f.Tenant.Org, f.Tenant.Env, f.Digest, f.Run, millis(at))); err != nil {
				return err
			}
		}
		return s.insertEntries(ctx, tx, entries)
	})
}

// errDry takes a dry run back.
var errDry = errors.New("a dry run")

// ImportUsers implements transfer.Store. The checkpoint is written last, by
// one conditional statement: of two runs of one file the later wins, and the
// other one's portion is taken back.
func (s *Store) ImportUsers(ctx context.Context, b transfer.Batch, conclude func([]transfer.Outcome) (transfer.Checkpoint, error)) error {
	var c transfer.Checkpoint
	err := s.inTx(ctx, "import users", longLimit, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.shareOrganization(ctx, tx, b.Tenant); err != nil {
			return err
		}
		outcomes, err := s.importRows(ctx, tx, b)
		if err != nil {
			return err
		}
		c, err = conclude(outcomes)
		switch {
		case err != nil:
			return err
		case b.DryRun:
			return errDry
		case b.Digest == "":
			return nil
		}
		return mustTouch(ctx, tx, transfer.ErrTakenOver, stmt("move import on",
			`UPDATE user_imports SET lines = $6, created = $7, updated = $8, skipped = $9, failed = $10, report = $11, updated_at = $12
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND digest = $4 AND run_id = $5 AND finished_at IS NULL`,
			b.Tenant.Account, b.Tenant.Org, b.Tenant.Env, b.Digest, b.Run, c.Lines, c.Created, c.Updated, c.Skipped, c.Failed, c.Report, millis(b.At)))
	})
	if errors.Is(err, errDry) {
		return nil
	}
	if err == nil {
		s.learn(ctx, c.Lines, int64(len(b.Rows)))
	}
	return err
}

// learn has Postgres look at a table that has grown from nothing. Until then
// it may plan to check the foreign key of each password by all users of the
// organization, and its own look comes a minute later. It is done when the
// first rows are there and whenever there are ten times as many; that it fails
// costs only time.
func (s *Store) learn(ctx context.Context, lines, rows int64) {
	if s.postgres == nil {
		return
	}
	for step := int64(1); step <= lines; step *= 10 {
		if lines-rows < step {
			_, _ = exec(ctx, s.write, stmt("analyze users", `ANALYZE users`))
			return
		}
	}
}

// perStatement is how many rows one statement writes. SQLite looks a
// placeholder up among all of a statement, one after the other: more rows take
// longer each.
const perStatement = 50

// importRows writes the users that are new, and then what the mode says for
// the others.
func (s *Store) importRows(ctx context.Context, tx *sql.Tx, b transfer.Batch) ([]transfer.Outcome, error) {
	created := map[string]bool{}
	for rows := range slices.Chunk(b.Rows, perStatement) {
		if err := s.insertUsers(ctx, tx, b.Tenant, rows, created); err != nil {
			return nil, err
		}
	}
	var fresh []transfer.Row
	for _, row := range b.Rows {
		if created[row.User.ID] && row.Hash != "" {
			fresh = append(fresh, row)
		}
	}
	for rows := range slices.Chunk(fresh, perStatement) {
		if err := insertPasswords(ctx, tx, b.Tenant, rows); err != nil {
			return nil, err
		}
	}
	outcomes := make([]transfer.Outcome, len(b.Rows))
	for i, row := range b.Rows {
		switch {
		case created[row.User.ID]:
			outcomes[i] = transfer.Created
		case b.Mode == transfer.Fail:
			outcomes[i] = transfer.Taken
		case b.Mode == transfer.Leave:
			outcomes[i] = transfer.Skipped
		default:
			outcomes[i] = transfer.Updated
			if err := s.importOnto(ctx, tx, row); err != nil {
				return nil, err
			}
		}
	}
	return outcomes, nil
}

// insertUsers notes the ids of those who are new. Two rows of one address are
// one user: the first.
func (s *Store) insertUsers(ctx context.Context, tx *sql.Tx, t tenant.ID, of []transfer.Row, created map[string]bool) error {
	c := &conditions{}
	whose := c.next(t.Account) + ", " + c.next(t.Org) + ", " + c.next(t.Env)
	rows := make([]string, len(of))
	for i, row := range of {
		u := row.User
		sealed, err := s.sealPhone(u)
		if err != nil {
			return err
		}
		rows[i] = "(" + whose + ", " + c.next(u.ID) + ", " + c.next(u.Email.Written) + ", " + c.next(u.Email.Canonical) + ", " + c.next(u.EmailVerified) + ", " +
			c.next(sealed) + ", " + c.next(u.PhoneVerified) + ", " + c.next(u.Active) + ", " + c.next(document{u.Profile}) + ", " + c.next(document{u.Address}) + ", " +
			c.next(millis(u.CreatedAt)) + ", " + c.next(millis(u.UpdatedAt)) + ")"
	}
	ids, err := many(ctx, tx, stmt("import users",
		`INSERT INTO users (account_id, org_id, environment, id, email, email_canonical, email_verified, phone_sealed, phone_verified,
			active, profile, address, created_at, updated_at)
		VALUES `+strings.Join(rows, ", ")+` ON CONFLICT (org_id, environment, email_canonical) DO NOTHING RETURNING id`, c.args...),
		func(row scanner) (id string, err error) { return id, row.Scan(&id) })
	for _, id := range ids {
		created[id] = true
	}
	return err
}

// insertPasswords writes the passwords of new users. They count as never
// looked up among leaked ones: the first login does that.
func insertPasswords(ctx context.Context, tx *sql.Tx, t tenant.ID, of []transfer.Row) error {
	c := &conditions{}
	whose := c.next(t.Account) + ", " + c.next(t.Org) + ", " + c.next(t.Env)
	rows := make([]string, len(of))
	for i, row := range of {
		changed := c.next(millis(row.ChangedAt))
		rows[i] = "(" + whose + ", " + c.next(row.User.ID) + ", 1, " + c.next(row.Hash) + ", " + c.next(row.MustChange) + ", " + changed + ", " + changed + ")"
	}
	_, err := exec(ctx, tx, stmt("import passwords",
		`INSERT INTO passwords (account_id, org_id, environment, user_id, number, hash, must_change, changed_at, hashed_at)
		VALUES `+strings.Join(rows, ", "), c.args...))
	return err
}

// importOnto applies a row to the user who has its address. A password that
// was set or used here is not replaced: the other system knows an older one.
func (s *Store) importOnto(ctx context.Context, tx *sql.Tx, row transfer.Row) error {
	t := row.User.Tenant
	u, err := s.user(ctx, tx, stmt("read user",
		`SELECT `+userColumns+` FROM users WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND email_canonical = $4`+s.dialect.forUpdate,
		t.Account, t.Org, t.Env, row.User.Email.Canonical))
	if err != nil {
		return err
	}
	if err := row.Onto(&u); err != nil {
		return err
	}
	if _, err := s.writeUser(ctx, tx, u); err != nil || row.Hash == "" {
		return err
	}
	var hash string
	err = one(ctx, tx, errNone, stmt("read password",
		`SELECT hash FROM passwords WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4`, t.Account, t.Org, t.Env, u.ID), &hash)
	switch {
	case errors.Is(err, errNone):
		row.User.ID = u.ID
		return insertPasswords(ctx, tx, t, []transfer.Row{row})
	case err != nil || !password.IsForeign(hash):
		return err
	}
	_, err = exec(ctx, tx, stmt("import password",
		`UPDATE passwords SET hash = $6, must_change = $7, changed_at = $8, hashed_at = $8, checked_at = NULL, reminded_age = 0
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id = $4 AND hash = $5`,
		t.Account, t.Org, t.Env, u.ID, hash, row.Hash, row.MustChange, millis(row.ChangedAt)))
	return err
}
