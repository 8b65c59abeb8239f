package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

var _ delivery.Store = (*Store)(nil)

const deliveryColumns = `id, account_id, org_id, environment, COALESCE(user_id, ''), request_id, trace_id, channel, recipient, state,
	provider_id, receipt, reason, expires_at, accepted_at, created_at, updated_at`

func scanDelivery(row scanner) (delivery.Delivery, error) {
	var d delivery.Delivery
	err := row.Scan(&d.ID, &d.Tenant.Account, &d.Tenant.Org, &d.Tenant.Env, &d.UserID, &d.RequestID, &d.TraceID, &d.Channel, &d.To, &d.State,
		&d.ProviderID, &d.Receipt, &d.Reason, instant{&d.ExpiresAt}, instant{&d.AcceptedAt}, instant{&d.CreatedAt}, instant{&d.UpdatedAt})
	return d, err
}

// Apply implements delivery.Store. Outcomes come in any order, so what an
// outcome may write depends on the state alone: reason and receipt belong to
// the state and move with it; without a new state a reason counts while the
// delivery is pending, and a receipt until one has decided the state. What has
// a row in the outbox leaves it with its first word that is not "later".
func (s *Store) Apply(ctx context.Context, u delivery.Update) error {
	return s.inTx(ctx, "apply outcome", limit, func(ctx context.Context, tx *sql.Tx) error {
		open, err := applyFacts(ctx, tx, u)
		if err != nil {
			return err
		}
		if u.Attempt != nil {
			if err := addAttempt(ctx, tx, u.DeliveryID, *u.Attempt); err != nil {
				return err
			}
		}
		if u.Message != nil {
			if err := addMessage(ctx, tx, u.DeliveryID, *u.Message); err != nil {
				return err
			}
		}
		if open {
			if open, err = applyToOutbox(ctx, tx, u); err != nil {
				return err
			}
		}
		if u.State == "" || open {
			return applyWord(ctx, tx, u)
		}
		return applyState(ctx, tx, u)
	})
}

// applyFacts locks the delivery and stores what is true in every state. It
// reports whether the outbox has a row of the delivery.
func applyFacts(ctx context.Context, tx *sql.Tx, u delivery.Update) (open bool, err error) {
	var accepted any
	if u.Accepted {
		accepted = millis(u.At)
	}
	err = one(ctx, tx, delivery.ErrNotFound, stmt("apply outcome",
		`UPDATE deliveries SET provider_id = CASE WHEN $2 = '' THEN provider_id ELSE $2 END, accepted_at = COALESCE(accepted_at, $3)
		WHERE id = $1 RETURNING EXISTS (SELECT 1 FROM outbox WHERE id = $1)`, u.DeliveryID, u.ProviderID, accepted), &open)
	return open, err
}

// applyToOutbox ends the row of the delivery, or makes it due again; then it
// stays open.
func applyToOutbox(ctx context.Context, tx *sql.Tx, u delivery.Update) (open bool, err error) {
	switch {
	case !u.AskAgain.IsZero():
		return askAgain(ctx, tx, u.DeliveryID, u.AskAgain)
	case u.State != "":
		return false, closeEntries(ctx, tx, u.DeliveryID)
	}
	return true, nil
}

// applyState moves the state if it may follow the one that is there.
func applyState(ctx context.Context, tx *sql.Tx, u delivery.Update) error {
	if len(u.From) == 0 {
		return nil
	}
	c := &conditions{}
	state, reason, receipt, at := c.next(string(u.State)), c.next(u.Reason), c.next(u.Receipt), c.next(millis(u.At))
	c.and("id", u.DeliveryID)
	from := make([]string, len(u.From))
	for i, f := range u.From {
		from[i] = string(f)
	}
	c.andAny("state", from)
	_, err := exec(ctx, tx, stmt("move delivery",
		`UPDATE deliveries SET state = `+state+`, reason = `+reason+`, receipt = CASE WHEN `+receipt+` = '' THEN receipt ELSE `+receipt+` END,
			updated_at = CASE WHEN updated_at < `+at+` THEN `+at+` ELSE updated_at END
		WHERE `+c.text, c.args...))
	return err
}

// applyWord stores a provider's word that changes no state.
func applyWord(ctx context.Context, tx *sql.Tx, u delivery.Update) error {
	if u.Reason == "" && u.Receipt == "" {
		return nil
	}
	_, err := exec(ctx, tx, stmt("note word",
		`UPDATE deliveries SET reason = CASE WHEN $2 <> '' AND state = 'pending' THEN $2 ELSE reason END,
			receipt = CASE WHEN $3 = '' THEN receipt ELSE $3 END,
			updated_at = CASE WHEN updated_at < $4 THEN $4 ELSE updated_at END
		WHERE id = $1 AND state NOT IN ('delivered', 'undelivered')`, u.DeliveryID, u.Reason, u.Receipt, millis(u.At)))
	return err
}

func addAttempt(ctx context.Context, tx *sql.Tx, deliveryID string, a delivery.Attempt) error {
	_, err := exec(ctx, tx, stmt("record attempt",
		`INSERT INTO delivery_attempts (org_id, environment, delivery_id, number, answer, tried_at, provider)
		SELECT org_id, environment, id, $2, $3, $4, $5 FROM deliveries WHERE id = $1
		ON CONFLICT (delivery_id, number, answer) DO NOTHING`,
		deliveryID, a.Number, a.Answer, millis(a.At), a.Provider))
	return err
}

// Deliveries implements delivery.Store. A filter by number finds deliveries
// whose message is in the inbox, since only there its digest is kept.
func (s *Store) Deliveries(ctx context.Context, t tenant.ID, f delivery.Filter, page listing.Page) (listing.Result[delivery.Delivery], error) {
	c := below(t)
	if f.RequestID != "" {
		c.and("request_id", f.RequestID)
	}
	if len(f.ToIndex) > 0 {
		m := c.next(f.ToIndex)
		c.join(`id IN (SELECT delivery_id FROM sandbox_messages
			WHERE account_id = $1 AND org_id = $2 AND environment = $3 AND to_index = ` + m + `)`)
	}
	result, err := source[delivery.Delivery]{"deliveries", deliveryColumns, scanDelivery}.page(ctx, s.read, c, page)
	if err != nil || len(result.Items) == 0 {
		return result, err
	}
	return result, s.fillAttempts(ctx, result.Items)
}

// fillAttempts reads the attempts of all deliveries of a page at once.
func (s *Store) fillAttempts(ctx context.Context, deliveries []delivery.Delivery) error {
	byID := make(map[string]*delivery.Delivery, len(deliveries))
	ids := make([]string, len(deliveries))
	for i := range deliveries {
		deliveries[i].Attempts = []delivery.Attempt{}
		ids[i] = deliveries[i].ID
		byID[ids[i]] = &deliveries[i]
	}
	c := &conditions{}
	c.andAny("delivery_id", ids)
	st := stmt("list attempts",
		`SELECT delivery_id, number, tried_at, provider, answer FROM delivery_attempts WHERE `+c.text+`
		ORDER BY delivery_id, number, tried_at, answer`, c.args...)
	_, err := many(ctx, s.read, st, func(row scanner) (a delivery.Attempt, err error) {
		var of string
		if err := row.Scan(&of, &a.Number, instant{&a.At}, &a.Provider, &a.Answer); err != nil {
			return a, err
		}
		if d := byID[of]; d != nil {
			d.Attempts = append(d.Attempts, a)
		}
		return a, nil
	})
	return err
}

// EndSilent implements delivery.Store. It also drops send budgets and gaps
// that bound nothing any more. It works in portions that commit on their own
// and skips rows that somebody else is changing.
func (s *Store) EndSilent(ctx context.Context, overdue, unheard, forget, now time.Time) (ended int, err error) {
	if ended, err = s.expire(ctx, overdue, now); err != nil {
		return ended, err
	}
	unknown, err := s.inPortions(ctx, stmt("give up on deliveries",
		`UPDATE deliveries SET state = 'unknown', updated_at = $2 WHERE state = 'accepted' AND id IN (
			SELECT id FROM deliveries WHERE state = 'accepted' AND channel <> 'email' AND updated_at < $1 ORDER BY updated_at LIMIT $3`+s.dialect.skipLocked+`)`,
		millis(unheard), millis(now), portion))
	ended += unknown
	if err != nil {
		return ended, err
	}
	return ended, s.forget(ctx, forget, now)
}

// expire ends deliveries with their rows in the outbox, each portion in a
// transaction.
func (s *Store) expire(ctx context.Context, overdue, now time.Time) (total int, err error) {
	for {
		var ended []string
		err := s.inTx(ctx, "expire deliveries", limit, func(ctx context.Context, tx *sql.Tx) (err error) {
			ended, err = many(ctx, tx, stmt("expire deliveries",
				`UPDATE deliveries SET state = 'expired', updated_at = $2 WHERE state = 'pending' AND id IN (
					SELECT id FROM deliveries WHERE state = 'pending' AND expires_at < $1 ORDER BY expires_at LIMIT $3`+s.dialect.skipLocked+`) RETURNING id`,
				millis(overdue), millis(now), portion), scanID)
			if err != nil {
				return err
			}
			return closeEntries(ctx, tx, ended...)
		})
		if err != nil {
			return total, err
		}
		if total += len(ended); len(ended) < portion {
			return total, nil
		}
	}
}

// inPortions repeats a statement until it finds less than a full portion.
func (s *Store) inPortions(ctx context.Context, st statement) (total int, err error) {
	for {
		n, err := exec(ctx, s.write, st)
		total += int(n)
		if err != nil || n < portion {
			return total, err
		}
	}
}
