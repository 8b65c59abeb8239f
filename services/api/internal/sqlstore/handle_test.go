package sqlstore_test

import (
	"context"
	"fmt"
	"testing"

	"countersign.dev/services/api/internal/tenant"
)

// Kept statements are few, are kept on SQLite alone, and see what changes
// under them: rows, and the schema.
func TestStatementsStayPrepared(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		look := func(active bool) {
			t.Helper()
			if got, err := b.UserByID(t.Context(), u.Tenant, u.ID); err != nil || got.Active != active {
				t.Fatalf("UserByID = %+v, %v, want it active: %v", got, err, active)
			}
		}
		change := func(statement string, args ...any) {
			t.Helper()
			if _, err := b.DB().ExecContext(t.Context(), statement, args...); err != nil {
				t.Fatal(err)
			}
		}
		look(true)
		before := b.Kept()
		tally(t, together(t, 32, func(ctx context.Context, _ int) error {
			_, err := b.UserByID(ctx, u.Tenant, u.ID)
			return err
		}), nil)
		if b.Kept() != before || (before > 0) != (b.Dialect() == "sqlite") {
			t.Errorf("%d statements are kept on %s, %d before", b.Kept(), b.Dialect(), before)
		}
		change(`UPDATE users SET active = FALSE WHERE id = $1`, u.ID)
		look(false)
		change(`ALTER TABLE users ADD COLUMN later TEXT`)
		look(false)
		change(`UPDATE users SET active = TRUE WHERE id = $1`, u.ID)
		look(true)

		// Texts of many lengths do not pile up.
		for n := range 130 {
			within := make([]string, n+1)
			for i := range within {
				within[i] = fmt.Sprint(i)
			}
			if _, err := b.Organizations(t.Context(), u.Tenant.Account, within, first(1)); err != nil {
				t.Fatal(err)
			}
		}
		if b.Kept() > 250 {
			t.Errorf("%d statements are kept", b.Kept())
		}
		if _, err := b.Organization(t.Context(), u.Tenant.Account, "nobody"); err == nil {
			t.Error("an organization of nobody was found")
		} else {
			b.isErr(err, tenant.ErrNotFound)
		}
	})
}
