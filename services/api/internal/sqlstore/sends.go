package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var _ challenge.Store = (*Store)(nil)

// The gap doubles with every unanswered send: shifted by one less than their
// number, and by 19 at most, past which every gap is at its longest.
const takeGap = `
INSERT INTO send_gaps (number_index, unanswered, last_sent_at) VALUES ($1, 1, $2)
ON CONFLICT (number_index) DO UPDATE SET unanswered = send_gaps.unanswered + 1, last_sent_at = EXCLUDED.last_sent_at
WHERE send_gaps.unanswered = 0
	OR send_gaps.last_sent_at + CAST($4 AS BIGINT) <= $2
	OR send_gaps.last_sent_at + (CAST($3 AS BIGINT) << CAST(
		CASE WHEN send_gaps.unanswered < 20 THEN send_gaps.unanswered - 1 ELSE 19 END AS INTEGER)) <= $2
RETURNING unanswered`

// A window starts with its first send; one that has ended starts again.
const takeBudget = `
INSERT INTO send_budgets (budget_key, span, started, used) VALUES ($1, $2, $3, 1)
ON CONFLICT (budget_key, span) DO UPDATE SET
	used = CASE WHEN send_budgets.started + send_budgets.span <= $3 THEN 1 ELSE send_budgets.used + 1 END,
	started = CASE WHEN send_budgets.started + send_budgets.span <= $3 THEN $3 ELSE send_budgets.started END
WHERE send_budgets.started + send_budgets.span <= $3 OR send_budgets.used < $4
RETURNING used`

// Reserve implements challenge.Store. Rows are locked in one order, source,
// number, user, block, organization, prefix, so that parallel calls wait and
// never block each other for good. It returns user.ErrNotFound when there is
// no such user.
func (s *Store) Reserve(ctx context.Context, send challenge.Send, d delivery.Delivery) error {
	return s.inTx(ctx, "reserve send", limit, func(ctx context.Context, tx *sql.Tx) error {
		for _, b := range send.Sources {
			if err := reserveSource(ctx, tx, b, send); err != nil {
				return err
			}
		}
		if err := reserveGap(ctx, tx, send); err != nil {
			return err
		}
		for _, b := range send.Budgets {
			if err := reserveBudget(ctx, tx, b, send.At); err != nil {
				return err
			}
		}
		if err := reservePrefix(ctx, tx, send); err != nil {
			return err
		}
		return createDelivery(ctx, tx, d)
	})
}

func reserveGap(ctx context.Context, tx *sql.Tx, send challenge.Send) error {
	if send.Gap <= 0 {
		return nil // there is none to keep
	}
	var unanswered int64
	err := one(ctx, tx, errNone, stmt("reserve gap", takeGap,
		send.Number, millis(send.At), send.Gap.Milliseconds(), send.GapMost.Milliseconds()), &unanswered)
	if !errors.Is(err, errNone) {
		return err
	}
	var last time.Time
	if err := one(ctx, tx, challenge.ErrGap, stmt("read gap",
		`SELECT unanswered, last_sent_at FROM send_gaps WHERE number_index = $1`, send.Number), &unanswered, instant{&last}); err != nil {
		return err
	}
	gap := min(send.Gap<<min(max(unanswered-1, 0), 19), send.GapMost)
	return refused(challenge.ErrGap, last.Add(gap), send.At)
}

// reserveBudgets takes one from each, in their order.
func reserveBudgets(ctx context.Context, tx *sql.Tx, budgets []challenge.Budget, at time.Time) error {
	for _, b := range budgets {
		if err := reserveBudget(ctx, tx, b, at); err != nil {
			return err
		}
	}
	return nil
}

func reserveBudget(ctx context.Context, tx *sql.Tx, b challenge.Budget, now time.Time) error {
	if b.Most < 1 {
		return refused(b.Fault, now.Add(b.Span), now)
	}
	span := b.Span.Milliseconds()
	var used int64
	err := one(ctx, tx, errNone, stmt("reserve budget", takeBudget, b.Key, span, millis(now), b.Most), &used)
	if !errors.Is(err, errNone) {
		return err
	}
	var started time.Time
	if err := one(ctx, tx, b.Fault, stmt("read budget",
		`SELECT started FROM send_budgets WHERE budget_key = $1 AND span = $2`, b.Key, span), instant{&started}); err != nil {
		return err
	}
	return refused(b.Fault, started.Add(b.Span), now)
}

// refused tells in whole seconds, rounded up, when to return: earlier would
// be refused again.
func refused(why *fault.Error, free, now time.Time) error {
	wait := free.Sub(now)
	if rest := wait % time.Second; rest > 0 {
		wait += time.Second - rest
	}
	return why.RetryIn(max(wait, time.Second))
}

func createDelivery(ctx context.Context, tx *sql.Tx, d delivery.Delivery) error {
	err := mustTouch(ctx, tx, user.ErrNotFound, stmt("create delivery",
		`INSERT INTO deliveries (account_id, org_id, environment, user_id, id, request_id, trace_id, channel, recipient, state,
			provider_id, receipt, reason, expires_at, created_at, updated_at)
		SELECT account_id, org_id, environment, id, $5, $6, $7, $8, $9, $10, '', '', $14,
			$11, $12, $13
		FROM users`+oneUser,
		d.Tenant.Account, d.Tenant.Org, d.Tenant.Env, d.UserID, d.ID, d.RequestID, d.TraceID, d.Channel, d.To, string(d.State),
		millis(d.ExpiresAt), millis(d.CreatedAt), millis(d.UpdatedAt), d.Reason))
	if orphan(err) {
		return user.ErrNotFound.Because(err)
	}
	return err
}

// Unreserve implements challenge.Store. A delivery that is pending no more
// has been taken back before, or has left: then nothing changes. A budget
// whose window has started anew since the send has nothing to get back. A
// source gets nothing back: its number is asked for again at no charge.
func (s *Store) Unreserve(ctx context.Context, send challenge.Send, deliveryID, reason string) error {
	return s.inTx(ctx, "take send back", limit, func(ctx context.Context, tx *sql.Tx) error {
		ended, err := exec(ctx, tx, stmt("end delivery",
			`UPDATE deliveries SET state = 'failed', reason = $2, updated_at = $3 WHERE id = $1 AND state = 'pending'`,
			deliveryID, reason, millis(send.At)))
		if err != nil || ended == 0 {
			return err
		}
		if err := returnGap(ctx, tx, send); err != nil {
			return err
		}
		for _, b := range send.Budgets {
			if _, err := exec(ctx, tx, stmt("return budget",
				`UPDATE send_budgets SET used = used - 1 WHERE budget_key = $1 AND span = $2 AND used > 0 AND started <= $3`,
				b.Key, b.Span.Milliseconds(), millis(send.At))); err != nil {
				return err
			}
		}
		return returnPrefix(ctx, tx, send)
	})
}

func returnGap(ctx context.Context, tx *sql.Tx, send challenge.Send) error {
	if send.Gap <= 0 {
		return nil
	}
	_, err := exec(ctx, tx, stmt("return gap",
		`UPDATE send_gaps SET unanswered = unanswered - 1 WHERE number_index = $1 AND unanswered > 0`, send.Number))
	return err
}

// Answered implements challenge.Store. It looks before it writes: most numbers
// have nothing to clear, and looking tells when the message was sent, too.
func (s *Store) Answered(ctx context.Context, number []byte, t tenant.ID, deliveryID string) (sentAt time.Time, err error) {
	var unanswered int64
	err = one(ctx, s.read, nil, stmt("look for gap",
		`SELECT COALESCE((SELECT unanswered FROM send_gaps WHERE number_index = $1), 0),
			(SELECT accepted_at FROM deliveries WHERE account_id = $2 AND org_id = $3 AND environment = $4 AND id = $5)`,
		number, t.Account, t.Org, t.Env, deliveryID), &unanswered, instant{&sentAt})
	if err != nil || unanswered == 0 {
		return sentAt, err
	}
	_, err = exec(ctx, s.write, stmt("end gap",
		`UPDATE send_gaps SET unanswered = 0 WHERE number_index = $1 AND unanswered > 0`, number))
	return sentAt, err
}
