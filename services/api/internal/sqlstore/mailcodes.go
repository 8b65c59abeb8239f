package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/outbox"
)

var _ mailcode.Store = (*Store)(nil)

// PutMailCode implements mailcode.Store. The row of a budget, which is the
// address's, keeps parallel calls for an address in a queue, so that codes are
// armed in the order in which their mails are written.
func (s *Store) PutMailCode(ctx context.Context, p mailcode.Put) (superseded []string, err error) {
	err = s.inTx(ctx, "put mail code", limit, func(ctx context.Context, tx *sql.Tx) error {
		if err := reserveBudgets(ctx, tx, p.Budgets, p.At); err != nil {
			return err
		}
		if err := s.insertMail(ctx, tx, []outbox.Entry{p.Mail}, p.Void); err != nil {
			return err
		}
		replaced, err := p.Arm(ctx)
		if err != nil || replaced == "" {
			return err
		}
		superseded, err = supersede(ctx, tx, []string{replaced}, p.At)
		return err
	})
	return superseded, err
}

// TakeBudgets implements mailcode.Store.
func (s *Store) TakeBudgets(ctx context.Context, budgets []challenge.Budget, at time.Time) error {
	return s.inTx(ctx, "take budgets", limit, func(ctx context.Context, tx *sql.Tx) error {
		return reserveBudgets(ctx, tx, budgets, at)
	})
}
