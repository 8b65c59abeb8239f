package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

const messageColumns = `id, delivery_id, account_id, org_id, environment, channel, request_id, sealed, to_index, created_at`

func scanMessage(row scanner) (delivery.SealedMessage, error) {
	var m delivery.SealedMessage
	err := row.Scan(&m.ID, &m.DeliveryID, &m.Tenant.Account, &m.Tenant.Org, &m.Tenant.Env, &m.Channel, &m.RequestID,
		&m.Sealed, &m.ToIndex, instant{&m.CreatedAt})
	return m, err
}

// addMessage stores what the sandbox would have sent. Whose it is comes from
// the delivery, not from the message: that came over the bus.
func addMessage(ctx context.Context, tx *sql.Tx, deliveryID string, m delivery.SealedMessage) error {
	_, err := exec(ctx, tx, stmt("store message",
		`INSERT INTO sandbox_messages (id, delivery_id, account_id, org_id, environment, channel, request_id, sealed, to_index, created_at)
		SELECT $2, id, account_id, org_id, environment, channel, request_id, $3, $4, $5
		FROM deliveries WHERE id = $1
		ON CONFLICT (id) DO NOTHING`,
		deliveryID, m.ID, m.Sealed, m.ToIndex, millis(m.CreatedAt)))
	return err
}

// Messages implements delivery.Store.
func (s *Store) Messages(ctx context.Context, t tenant.ID, f delivery.Filter, page listing.Page) (listing.Result[delivery.SealedMessage], error) {
	c := below(t)
	if f.RequestID != "" {
		c.and("request_id", f.RequestID)
	}
	if len(f.ToIndex) > 0 {
		c.and("to_index", f.ToIndex)
	}
	return source[delivery.SealedMessage]{"sandbox_messages", messageColumns, scanMessage}.page(ctx, s.read, c, page)
}

// AllMessages implements delivery.Store.
func (s *Store) AllMessages(ctx context.Context, most int) ([]delivery.SealedMessage, error) {
	return many(ctx, s.read, stmt("list messages of all tenants",
		`SELECT `+messageColumns+` FROM sandbox_messages ORDER BY created_at DESC, id DESC LIMIT $1`,
		min(max(most, 0), listing.MaxPer)), scanMessage)
}

// forget drops what has served its time: old messages, windows of budgets
// that have ended, and gaps of numbers that nothing was sent to since.
func (s *Store) forget(ctx context.Context, before, now time.Time) error {
	for _, drop := range []statement{
		stmt("drop messages",
			`DELETE FROM sandbox_messages WHERE id IN (
				SELECT id FROM sandbox_messages WHERE created_at < $1 ORDER BY created_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
		stmt("drop budgets",
			`DELETE FROM send_budgets WHERE started + span <= $2 AND (budget_key, span) IN (
				SELECT budget_key, span FROM send_budgets WHERE started < $1 AND started + span <= $2 ORDER BY started LIMIT $3`+s.dialect.skipLocked+`)`,
			millis(before), millis(now), portion),
		stmt("drop gaps",
			`DELETE FROM send_gaps WHERE last_sent_at < $1 AND number_index IN (
				SELECT number_index FROM send_gaps WHERE last_sent_at < $1 ORDER BY last_sent_at LIMIT $2`+s.dialect.skipLocked+`)`,
			millis(before), portion),
	} {
		if _, err := s.inPortions(ctx, drop); err != nil {
			return err
		}
	}
	return s.forgetLimits(ctx, before, now)
}
