package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
)

// Of many logins that find a leaked password one makes it a password that must
// change, and tells of it; one that was replaced meanwhile is left alone.
func TestALeakIsToldOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		composer := &outbox.Composer{Now: func() time.Time { return noon }}
		of := b.tenant()
		const rounds = 100
		for round := range rounds {
			u := b.user(of)
			p := password.Password{Tenant: of, UserID: u.ID, Number: 1, Hash: id.UUID(), ChangedAt: noon}
			_, err := b.CreatePassword(t.Context(), p, silent)
			b.must(err)
			var first atomic.Int64
			tally(t, together(t, 32, func(ctx context.Context, _ int) error {
				told := composer.Event(activity.Record{Tenant: of, UserID: u.ID, Action: event.TypePasswordLeaked, By: activity.By{Actor: activity.System}})
				did, err := b.PasswordLeaked(ctx, p, noon.Add(time.Hour), []outbox.Entry{told})
				if did {
					first.Add(1)
				}
				return err
			}), nil)
			got, err := b.Password(t.Context(), of, u.ID)
			b.must(err)
			if first.Load() != 1 || !got.MustChange || !got.CheckedAt.Equal(noon.Add(time.Hour)) || got.Hash != p.Hash {
				t.Fatalf("round %d: %d were the first, %+v", round, first.Load(), got)
			}
		}
		if n := b.count("activity"); n != rounds {
			t.Errorf("%d records, want %d", n, rounds)
		}
	})
}

func TestWhatIsKnownOfAReplacedPasswordIsNotNoted(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		p := password.Password{Tenant: of, UserID: u.ID, Number: 1, Hash: "present", ChangedAt: noon}
		_, err := b.CreatePassword(t.Context(), p, silent)
		b.must(err)
		before := p
		before.Hash = "before"
		b.must(b.PasswordChecked(t.Context(), before, noon))
		if did, err := b.PasswordLeaked(t.Context(), before, noon, nil); did || err != nil {
			t.Errorf("a password that was replaced must change: %v, %v", did, err)
		}
		if got, err := b.Password(t.Context(), of, u.ID); err != nil || got.MustChange || !got.CheckedAt.IsZero() {
			t.Errorf("it is %+v, %v", got, err)
		}
		b.must(b.PasswordChecked(t.Context(), p, noon))
		if got, err := b.Password(t.Context(), of, u.ID); err != nil || got.MustChange || !got.CheckedAt.Equal(noon) {
			t.Errorf("it is %+v, %v", got, err)
		}
	})
}
