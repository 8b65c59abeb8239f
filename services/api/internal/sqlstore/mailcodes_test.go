package sqlstore_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// armory holds one code, as the ephemeral store does for a user.
type armory struct {
	mu   sync.Mutex
	live string
	err  *fault.Error
}

func (a *armory) put(m outbox.Entry, void bool, most int) mailcode.Put {
	return mailcode.Put{
		Mail: m, Void: void, At: m.CreatedAt, Budgets: []challenge.Budget{{Key: "mail|x", Span: time.Hour, Most: most, Fault: link.ErrMails}},
		Arm: func(context.Context) (string, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.err != nil {
				return "", a.err
			}
			before := a.live
			a.live = m.ID
			return before, nil
		},
	}
}

// codeMail is the mail with a code to a user, or to nobody.
func (b *bench) codeMail(of tenant.ID, userID string) outbox.Entry {
	b.t.Helper()
	composer := &outbox.Composer{Keys: b.keys, Host: "login.example.com", Now: func() time.Time { return noon }}
	m, err := composer.Mail(outbox.Mail{
		Tenant: of, UserID: userID, Kind: event.KindMagicLink, RequestID: "verification_1", To: "ana@example.com", Life: 5 * time.Minute,
		Content: event.Mail{Template: event.TemplateCode, Code: "123456"},
	})
	b.must(err)
	return m
}

// state returns the states of all deliveries of a tenant, by id, and which of
// them are in the outbox.
func (b *bench) states(of tenant.ID) (states map[string]delivery.State, open []string) {
	b.t.Helper()
	found, err := b.Deliveries(b.t.Context(), of, delivery.Filter{}, first(200))
	b.must(err)
	states, ids := map[string]delivery.State{}, []string{}
	for _, d := range found.Items {
		states[d.ID] = d.State
		ids = append(ids, d.ID)
	}
	open, err = b.StillOpen(b.t.Context(), ids)
	b.must(err)
	return states, open
}

func TestAMailCodeIsWrittenWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ctx, of, a := t.Context(), b.tenant(), &armory{}
		u := b.user(of)
		one, two, refused := b.codeMail(of, u.ID), b.codeMail(of, u.ID), b.codeMail(of, u.ID)
		ended, err := b.PutMailCode(ctx, a.put(one, false, 3))
		b.must(err)
		if len(ended) != 0 {
			t.Errorf("the first ends %v", ended)
		}
		ended, err = b.PutMailCode(ctx, a.put(two, false, 3))
		b.must(err)
		if len(ended) != 1 || ended[0] != one.ID {
			t.Errorf("the second ends %v", ended)
		}
		a.err = fault.New(fault.Unavailable, "state_unavailable", "down")
		for range 5 {
			_, err = b.PutMailCode(ctx, a.put(refused, false, 3))
			b.isErr(err, a.err)
		}
		a.err = nil
		void := b.codeMail(of, "")
		before := a.live
		a.live = "" // nobody's slot
		_, err = b.PutMailCode(ctx, a.put(void, true, 3))
		b.must(err)
		a.live = before
		_, err = b.PutMailCode(ctx, a.put(refused, false, 3))
		b.isErr(err, link.ErrMails)
		if a.live != two.ID {
			t.Error("a send that was refused has armed its code")
		}
		a.live = ""
		_, err = b.PutMailCode(ctx, a.put(b.codeMail(of, "gone"), false, 10))
		b.isErr(err, user.ErrNotFound)
		if a.live != "" {
			t.Error("the code of a user who is gone was armed")
		}
		states, open := b.states(of)
		if len(states) != 3 || states[one.ID] != "superseded" || states[two.ID] != delivery.Pending || states[void.ID] != "failed" {
			t.Errorf("the deliveries are %v", states)
		}
		if len(open) != 1 || open[0] != two.ID {
			t.Errorf("in the outbox are %v", open)
		}
	})
}

// Of many sends to an address at once the one whose code is live is the one
// whose mail leaves.
func TestTheLiveCodeIsTheOneThatIsMailed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		for range 20 {
			a := &armory{}
			mails := make([]outbox.Entry, 8)
			for i := range mails {
				mails[i] = b.codeMail(of, u.ID)
			}
			errs := together(t, len(mails), func(ctx context.Context, i int) error {
				_, err := b.PutMailCode(ctx, a.put(mails[i], false, 1000))
				return err
			})
			tally(t, errs, nil)
			states, open := b.states(of)
			if len(open) != 1 || open[0] != a.live || states[a.live] != delivery.Pending {
				t.Fatalf("in the outbox are %v, armed is %s", open, a.live)
			}
			b.must(b.Done(t.Context(), open))
		}
	})
}

func TestBudgetsAreTakenTogetherOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		wide := challenge.Budget{Key: "nobody|x", Span: 2 * time.Hour, Most: 3, Fault: link.ErrMails}
		narrow := challenge.Budget{Key: "nobody|x", Span: time.Hour, Most: 2, Fault: link.ErrMails}
		take := func(at time.Time) error { return b.TakeBudgets(t.Context(), []challenge.Budget{wide, narrow}, at) }
		b.must(take(noon))
		b.must(take(noon))
		b.isErr(take(noon), link.ErrMails)
		b.must(take(noon.Add(time.Hour))) // the one that was refused took nothing
		b.isErr(take(noon.Add(time.Hour)), link.ErrMails)
	})
}
