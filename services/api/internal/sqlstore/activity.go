package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

var (
	_ activity.Store  = (*Store)(nil)
	_ activity.Ledger = (*Store)(nil)
)

// errNoIndex stops what would write a record without a hash.
var errNoIndex = errors.New("the store was opened without an index key, so it cannot record activity")

// record writes one record at the end of its chain. The first statement locks
// the end until the transaction is over, so records stand in the order of
// their commits; it comes last in a transaction, since others wait for it.
func (s *Store) record(ctx context.Context, tx *sql.Tx, r activity.Record) (activity.Place, error) {
	if s.chain.Index == nil {
		return activity.Place{}, errNoIndex
	}
	t, chain := r.Tenant, activity.ChainOf(r.UserID)
	var number int64
	var before string
	if err := one(ctx, tx, tenant.ErrNotFound, stmt("lock activity",
		`INSERT INTO activity_ends (account_id, org_id, environment, chain, number, hash, seal)
		SELECT account_id, id, $3, $4, 1, '', '' FROM organizations WHERE account_id = $1 AND id = $2
		ON CONFLICT (org_id, environment, chain) DO UPDATE SET number = activity_ends.number + 1
		RETURNING number, hash`, t.Account, t.Org, t.Env, chain), &number, &before); err != nil {
		return activity.Place{}, err
	}
	end, err := s.chain.Next(before, number, r)
	if err != nil {
		return activity.Place{}, err
	}
	data := r.Data
	if data == nil {
		data = map[string]string{}
	}
	if _, err := exec(ctx, tx, stmt("record activity",
		`INSERT INTO activity (account_id, org_id, environment, chain, number, id, action, result, actor, user_id, trace_id, data, created_at, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		t.Account, t.Org, t.Env, chain, number, r.ID, r.Action, r.Result, r.Actor, r.UserID, r.TraceID, document{data}, millis(r.At), end.Hash)); err != nil {
		return activity.Place{}, err
	}
	_, err = exec(ctx, tx, stmt("end activity",
		`UPDATE activity_ends SET hash = $5, seal = $6 WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND chain = $4`,
		t.Account, t.Org, t.Env, chain, end.Hash, end.Seal))
	return end.Place, err
}

const activityColumns = `account_id, org_id, environment, chain, number, id, action, result, actor, user_id, trace_id, data, created_at, hash`

func scanEntry(row scanner) (e activity.Entry, err error) {
	err = row.Scan(&e.Tenant.Account, &e.Tenant.Org, &e.Tenant.Env, &e.Chain, &e.Number, &e.ID, &e.Action, &e.Result, &e.Actor, &e.UserID, &e.TraceID,
		document{&e.Data}, instant{&e.At}, &e.Hash)
	return e, err
}

var activityRows = source[activity.Entry]{"activity", activityColumns, scanEntry}

// Activity implements activity.Store. How many records there are without a
// filter is said by the ends of the chains: the table may have grown for years.
func (s *Store) Activity(ctx context.Context, t tenant.ID, f activity.Filter, page listing.Page) (listing.Result[activity.Entry], error) {
	c := below(t)
	if f == (activity.Filter{}) {
		total := 0
		if err := one(ctx, s.read, nil, stmt("count activity", `SELECT CAST(COALESCE(SUM(number), 0) AS BIGINT) FROM activity_ends WHERE `+c.text, c.args...), &total); err != nil {
			return listing.Result[activity.Entry]{}, err
		}
		return activityRows.read(ctx, s.read, c, page, total)
	}
	if f.UserID != "" {
		c.and("user_id", f.UserID)
	}
	if f.Action != "" {
		c.and("action", f.Action)
	}
	return activityRows.page(ctx, s.read, c, page)
}

const endColumns = `account_id, org_id, environment, chain, number, hash, seal`

func scanEnd(row scanner) (e activity.End, err error) {
	err = row.Scan(&e.Tenant.Account, &e.Tenant.Org, &e.Tenant.Env, &e.Chain, &e.Number, &e.Hash, &e.Seal)
	return e, err
}

// Ends implements activity.Ledger.
func (s *Store) Ends(ctx context.Context, after activity.End, most int) ([]activity.End, error) {
	chain := after.Chain
	if after.Tenant.Org == "" {
		chain = -1
	}
	return many(ctx, s.read, stmt("list ends of activity",
		`SELECT `+endColumns+` FROM activity_ends WHERE (org_id, environment, chain) > ($1, $2, $3) ORDER BY org_id, environment, chain LIMIT $4`,
		after.Tenant.Org, after.Tenant.Env, chain, most), scanEnd)
}

// End implements activity.Ledger. It reads what was committed last, not what
// a reader beside it may still see.
func (s *Store) End(ctx context.Context, t tenant.ID, chain int) (end activity.End, ok bool, err error) {
	err = oneBy(ctx, s.write, errNone, stmt("read end of activity",
		`SELECT `+endColumns+` FROM activity_ends WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND chain = $4`,
		t.Account, t.Org, t.Env, chain), func(row scanner) (err error) {
		end, err = scanEnd(row)
		return err
	})
	if errors.Is(err, errNone) {
		return activity.End{}, false, nil
	}
	return end, err == nil, err
}

// Chain implements activity.Ledger.
func (s *Store) Chain(ctx context.Context, t tenant.ID, chain int, after int64, most int) ([]activity.Entry, error) {
	return many(ctx, s.read, stmt("read activity",
		`SELECT `+activityColumns+` FROM activity
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND chain = $4 AND number > $5 ORDER BY number LIMIT $6`,
		t.Account, t.Org, t.Env, chain, after, most), scanEntry)
}

// Loose implements activity.Ledger. It goes from chain to chain by the key, so
// that no statement reads a table that has grown for years.
func (s *Store) Loose(ctx context.Context) (loose []activity.End, err error) {
	at := activity.End{Place: activity.Place{Chain: -1}}
	for {
		var next activity.End
		err := one(ctx, s.read, errNone, stmt("look for loose activity",
			`SELECT account_id, org_id, environment, chain FROM activity WHERE (org_id, environment, chain) > ($1, $2, $3)
			ORDER BY org_id, environment, chain LIMIT 1`, at.Tenant.Org, at.Tenant.Env, at.Chain),
			&next.Tenant.Account, &next.Tenant.Org, &next.Tenant.Env, &next.Chain)
		if errors.Is(err, errNone) {
			return loose, nil
		}
		if err != nil {
			return loose, err
		}
		if _, ok, err := s.End(ctx, next.Tenant, next.Chain); err != nil {
			return loose, err
		} else if !ok {
			loose = append(loose, next)
		}
		at = next
	}
}

// appendOnlyVersion is the place of appendOnly among the migrations. The
// engines have no text in common for it.
const appendOnlyVersion = 10

// appendOnly is the migration that keeps every program, this one included,
// from changing records. Who owns the tables can take the triggers away, and
// is found out by activity.Verifier.
func (s *Store) appendOnly(ctx context.Context, tx *sql.Tx) error {
	if s.dialect.name == sqliteDialect.name {
		_, err := exec(ctx, tx, stmt("protect activity", `CREATE TRIGGER activity_no_update BEFORE UPDATE ON activity
			BEGIN SELECT RAISE(ABORT, 'activity is append-only'); END`))
		if err == nil {
			_, err = exec(ctx, tx, stmt("protect activity", `CREATE TRIGGER activity_no_delete BEFORE DELETE ON activity
				BEGIN SELECT RAISE(ABORT, 'activity is append-only'); END`))
		}
		return err
	}
	_, err := exec(ctx, tx, stmt("protect activity", `CREATE FUNCTION activity_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'activity is append-only'; END $$`))
	if err == nil {
		_, err = exec(ctx, tx, stmt("protect activity", `CREATE TRIGGER activity_append_only BEFORE UPDATE OR DELETE ON activity
			FOR EACH ROW EXECUTE FUNCTION activity_is_append_only()`))
	}
	return err
}
