package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
	"countersign.dev/services/api/internal/tenant"
)

var _ relay.Outbox = (*Store)(nil)

// Enqueue writes entries that belong to no other change.
func (s *Store) Enqueue(ctx context.Context, entries ...outbox.Entry) error {
	return s.inTx(ctx, "write outbox", limit, func(ctx context.Context, tx *sql.Tx) error {
		return s.insertEntries(ctx, tx, entries)
	})
}

// EnqueueWithin implements notice.Store.
func (s *Store) EnqueueWithin(ctx context.Context, b challenge.Budget, at time.Time, entries ...outbox.Entry) error {
	return s.inTx(ctx, "write outbox within a budget", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := reserveBudget(ctx, tx, b, at); err != nil {
			return err
		}
		return s.insertEntries(ctx, tx, entries)
	})
}

// insertEntries writes what is to leave after the change that tx makes, with
// the deliveries of its messages and the records of its events. They are due
// at once. Events come last: a record is written under a lock that other users
// may wait for, and after it nothing is locked but, for its key, the
// organization. It returns
// user.ErrNotFound or tenant.ErrNotFound when the one it belongs to is gone.
func (s *Store) insertEntries(ctx context.Context, tx *sql.Tx, entries []outbox.Entry) error {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b outbox.Entry) int { return cmp.Compare(last(a.Kind), last(b.Kind)) })
	for _, e := range entries {
		if err := e.Check(); err != nil {
			return fmt.Errorf("write outbox: %w", err)
		}
		if e.Kind == outbox.Event {
			place, err := s.record(ctx, tx, e.Record)
			if err != nil {
				return err
			}
			if e.Record.Quiet() {
				continue
			}
			if e, err = e.At(place); err != nil {
				return err
			}
		}
		var deliveryID, expires any
		if e.Kind == outbox.Message {
			if err := s.createMailDelivery(ctx, tx, e.Delivery); err != nil {
				return err
			}
			deliveryID, expires = e.Delivery.ID, millis(e.ExpiresAt)
		}
		err := mustTouch(ctx, tx, tenant.ErrNotFound, stmt("write outbox",
			`INSERT INTO outbox (id, account_id, org_id, environment, kind, delivery_id, payload, n, answered, due_at, expires_at, created_at)
			SELECT $4, account_id, id, $3, $5, $6, $7, 0, 0, $9, $8, $9 FROM organizations WHERE account_id = $1 AND id = $2`,
			e.Tenant.Account, e.Tenant.Org, e.Tenant.Env, e.ID, string(e.Kind), deliveryID, e.Payload, expires, millis(e.CreatedAt)))
		if err != nil {
			return err
		}
	}
	return nil
}

// insertMail writes mails that are to leave, or, of void ones, only the
// deliveries, as failed.
func (s *Store) insertMail(ctx context.Context, tx *sql.Tx, mail []outbox.Entry, void bool) error {
	if !void {
		return s.insertEntries(ctx, tx, mail)
	}
	for _, m := range mail {
		d := m.Delivery
		d.State, d.Reason = delivery.State(event.Failed), "no_user"
		if err := s.createMailDelivery(ctx, tx, d); err != nil {
			return err
		}
	}
	return nil
}

// last orders entries: see insertEntries.
func last(kind outbox.Kind) int {
	if kind == outbox.Event {
		return 1
	}
	return 0
}

// createMailDelivery writes the record of a mail, which may go to somebody who
// is no user yet. Then it holds the organization, so that a parallel
// DeleteOrganization cannot miss the record.
func (s *Store) createMailDelivery(ctx context.Context, tx *sql.Tx, d delivery.Delivery) error {
	if d.UserID != "" {
		return createDelivery(ctx, tx, d)
	}
	return mustTouch(ctx, tx, tenant.ErrNotFound, stmt("create delivery to nobody",
		`INSERT INTO deliveries (account_id, org_id, environment, user_id, id, request_id, trace_id, channel, recipient, state,
			provider_id, receipt, reason, expires_at, created_at, updated_at)
		SELECT account_id, id, $3, NULL, $4, $5, $6, $7, $8, $9, '', '', $10, $11, $12, $13
		FROM organizations WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL`+s.dialect.forShare,
		d.Tenant.Account, d.Tenant.Org, d.Tenant.Env, d.ID, d.RequestID, d.TraceID, d.Channel, d.To, string(d.State),
		d.Reason, millis(d.ExpiresAt), millis(d.CreatedAt), millis(d.UpdatedAt)))
}

// removeMailToNobody removes the deliveries that no user takes along.
func removeMailToNobody(ctx context.Context, tx *sql.Tx, t tenant.ID) error {
	for {
		removed, err := exec(ctx, tx, stmt("delete deliveries to nobody",
			`DELETE FROM deliveries WHERE org_id = $2 AND environment = $3 AND id IN (
				SELECT id FROM deliveries WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND user_id IS NULL LIMIT $4)`,
			t.Account, t.Org, t.Env, portion))
		if err != nil || removed == 0 {
			return err
		}
	}
}

// The wait for the next publication doubles with every one that ended in
// silence, up to 32 times the first.
const takeDue = `
UPDATE outbox SET n = n + 1,
	due_at = $2 + (CAST($3 AS BIGINT) << CAST(CASE WHEN n - answered < 5 THEN n - answered ELSE 5 END AS INTEGER))
WHERE due_at <= $2 AND id IN (
	SELECT id FROM outbox WHERE kind = $1 AND due_at <= $2 AND (expires_at IS NULL OR expires_at > $2) ORDER BY due_at LIMIT $4`

// TakeDue implements relay.Outbox. Of parallel calls each row goes to one: the
// statement that raises n also moves the row out of sight.
func (s *Store) TakeDue(ctx context.Context, kind outbox.Kind, most int, again time.Duration, now time.Time) ([]outbox.Row, error) {
	rows, err := many(ctx, s.write, stmt("take outbox", takeDue+s.dialect.skipLocked+`) RETURNING id, kind, n, payload, expires_at`,
		string(kind), millis(now), again.Milliseconds(), most), func(row scanner) (r outbox.Row, err error) {
		err = row.Scan(&r.ID, &r.Kind, &r.N, &r.Payload, instant{&r.ExpiresAt})
		return r, err
	})
	slices.SortFunc(rows, func(a, b outbox.Row) int { return cmp.Compare(a.ID, b.ID) }) // ids begin with the time
	return rows, err
}

// PutBack implements relay.Outbox. What was taken again since stays as it is.
func (s *Store) PutBack(ctx context.Context, rows []outbox.Row, due time.Time) error {
	return s.inTx(ctx, "put back outbox", limit, func(ctx context.Context, tx *sql.Tx) error {
		for _, r := range rows {
			if _, err := exec(ctx, tx, stmt("put back outbox",
				`UPDATE outbox SET due_at = $3, answered = answered + 1 WHERE id = $1 AND n = $2`, r.ID, r.N, millis(due))); err != nil {
				return err
			}
		}
		return nil
	})
}

// StillOpen implements relay.Outbox.
func (s *Store) StillOpen(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return []string{}, nil
	}
	c := &conditions{}
	c.andAny("id", ids)
	// The handle that writes: the answer must not be older than the question.
	return many(ctx, s.write, stmt("look at outbox", `SELECT id FROM outbox WHERE `+c.text, c.args...),
		scanID)
}

// Done implements relay.Outbox.
func (s *Store) Done(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	c := &conditions{}
	c.andAny("id", ids)
	_, err := exec(ctx, s.write, stmt("close outbox", `DELETE FROM outbox WHERE `+c.text, c.args...))
	return err
}

// Backlog implements relay.Outbox.
func (s *Store) Backlog(ctx context.Context) ([]outbox.Backlog, error) {
	return many(ctx, s.read, stmt("count outbox", `SELECT kind, COUNT(*), MIN(created_at) FROM outbox GROUP BY kind ORDER BY kind`),
		func(row scanner) (b outbox.Backlog, err error) {
			err = row.Scan(&b.Kind, &b.Open, instant{&b.Oldest})
			return b, err
		})
}

// closeEntries ends the entries of deliveries, in the transaction that ends
// those.
func closeEntries(ctx context.Context, tx *sql.Tx, deliveryIDs ...string) error {
	if len(deliveryIDs) == 0 {
		return nil
	}
	c := &conditions{}
	c.andAny("id", deliveryIDs) // of a message, the entry's and the delivery's are one
	_, err := exec(ctx, tx, stmt("close outbox", `DELETE FROM outbox WHERE `+c.text, c.args...))
	return err
}

// askAgain makes the entry of a delivery due at a time, and reports whether
// there is one.
func askAgain(ctx context.Context, tx *sql.Tx, deliveryID string, due time.Time) (bool, error) {
	touched, err := exec(ctx, tx, stmt("ask again", `UPDATE outbox SET due_at = $2, answered = n WHERE id = $1`, deliveryID, millis(due)))
	return touched > 0, err
}

// askAllAgain makes what an organization's worker has put off due now.
func askAllAgain(ctx context.Context, tx *sql.Tx, t tenant.ID, now time.Time) error {
	_, err := exec(ctx, tx, stmt("ask for all again",
		`UPDATE outbox SET due_at = $4
		WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND delivery_id IS NOT NULL AND answered = n AND due_at > $4`,
		t.Account, t.Org, t.Env, millis(now)))
	return err
}

// supersede ends deliveries whose mail has become pointless: a newer one
// replaces it, or its link was used. They are not published any more; what is
// on its way is stopped by whoever withdraws the claims of those returned,
// after the commit.
func supersede(ctx context.Context, tx *sql.Tx, deliveryIDs []string, now time.Time) ([]string, error) {
	if len(deliveryIDs) == 0 {
		return nil, nil
	}
	c := &conditions{}
	at := c.next(millis(now))
	c.andAny("id", deliveryIDs)
	ended, err := many(ctx, tx, stmt("supersede deliveries",
		`UPDATE deliveries SET state = 'superseded', updated_at = `+at+` WHERE state = 'pending' AND `+c.text+` RETURNING id`, c.args...),
		scanID)
	if err != nil {
		return nil, err
	}
	return ended, closeEntries(ctx, tx, ended...)
}

func scanID(row scanner) (id string, err error) {
	err = row.Scan(&id)
	return id, err
}
