package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

const again = 2 * time.Minute

func (b *bench) composer(at time.Time) *outbox.Composer {
	b.t.Helper()
	return &outbox.Composer{Keys: keyring(b.t), Host: "login.example.com", Now: func() time.Time { return at }}
}

// newMail composes a mail that lives an hour from noon.
func (b *bench) newMail(of tenant.ID, userID string) outbox.Entry {
	b.t.Helper()
	e, err := b.composer(noon).Mail(outbox.Mail{
		Tenant: of, UserID: userID, Kind: event.KindPassword, TraceID: "trace", To: "ana@example.com", Life: time.Hour,
		Content: event.Mail{Template: event.TemplatePasswordReset, Link: "https://login.example.com/x", Brand: "Acme", Locale: "de"},
	})
	b.must(err)
	return e
}

func (b *bench) mail(of tenant.ID, userID string) outbox.Entry {
	b.t.Helper()
	e := b.newMail(of, userID)
	b.must(b.Enqueue(b.t.Context(), e))
	return e
}

func (b *bench) take(kind outbox.Kind, at time.Time) []outbox.Row {
	b.t.Helper()
	rows, err := b.TakeDue(b.t.Context(), kind, 100, again, at)
	b.must(err)
	return rows
}

// takes is take for a test with one row, of which it returns the n; 0 means
// that nothing was due.
func (b *bench) takes(at time.Time) int {
	b.t.Helper()
	rows := b.take(outbox.Message, at)
	if len(rows) == 0 {
		return 0
	}
	return rows[0].N
}

func (b *bench) isOpen(id string) bool {
	b.t.Helper()
	open, err := b.StillOpen(b.t.Context(), []string{id, "another"})
	b.must(err)
	return slices.Contains(open, id)
}

func (b *bench) state(of tenant.ID, e outbox.Entry) delivery.State {
	b.t.Helper()
	return b.delivery(of, e.Delivery.RequestID).State
}

func TestEntriesAreTakenAsTheyWereWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		mail, toNobody := b.newMail(u.Tenant, u.ID), b.newMail(u.Tenant, "")
		public := b.composer(noon).Event(happened(u.Tenant, u.ID, event.TypePasswordChanged, map[string]string{"by": "link"}))
		b.must(b.Enqueue(t.Context(), mail, toNobody, public))
		for _, e := range []outbox.Entry{mail, toNobody} {
			want := e.Delivery
			want.Attempts = []delivery.Attempt{}
			if got := b.delivery(u.Tenant, want.RequestID); !reflect.DeepEqual(got, want) || got.To != "a•••@e•••.com" {
				t.Errorf("delivery\n%+v, want\n%+v", got, want)
			}
		}
		wantBacklog := []outbox.Backlog{{Kind: outbox.Event, Open: 1, Oldest: noon}, {Kind: outbox.Message, Open: 2, Oldest: noon}}
		if backlog, err := b.Backlog(t.Context()); err != nil || !reflect.DeepEqual(backlog, wantBacklog) {
			t.Errorf("backlog %+v, %v, want %+v", backlog, err, wantBacklog)
		}

		rows := b.take(outbox.Message, noon)
		if len(rows) != 2 || len(b.take(outbox.Message, noon)) != 0 {
			t.Fatalf("took %+v, want the two mails, once", rows)
		}
		for _, row := range rows {
			requested, err := row.Requested()
			if err != nil || requested.N != 1 || requested.DeliveryID != row.ID || !row.ExpiresAt.Equal(noon.Add(time.Hour)) || !requested.Expires().Equal(row.ExpiresAt) {
				t.Errorf("took %+v, %v", requested, err)
			}
		}
		rows = b.take(outbox.Event, noon)
		if len(rows) != 1 {
			t.Fatalf("took %+v, want the event", rows)
		}
		if got, err := rows[0].Public(); err != nil || got.ID != public.ID || got.UserID != u.ID || got.At != noon.UnixMilli() || !rows[0].ExpiresAt.IsZero() {
			t.Errorf("took %+v, %v", got, err)
		}
		b.must(b.Done(t.Context(), []string{public.ID}))
		b.must(b.Done(t.Context(), nil))
		if b.isOpen(public.ID) || !b.isOpen(mail.ID) {
			t.Error("closing the event closed another row, or none")
		}
	})
}

// What cannot be written undoes all that was to be written with it.
func TestEntriesAreWrittenTogetherOrNotAtAll(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		deleted := b.organization(u.Tenant.Account)
		_, err := b.DeleteOrganization(t.Context(), u.Tenant.Account, deleted.ID, "", noon)
		b.must(err)
		gone := tenant.ID{Account: u.Tenant.Account, Org: deleted.ID, Env: tenant.Sandbox}
		elsewhere := b.tenant()
		change := func(e outbox.Entry, f func(*outbox.Entry)) outbox.Entry { f(&e); return e }
		composer := b.composer(noon)
		for name, bad := range map[string]outbox.Entry{
			"a user who is gone":                 b.newMail(u.Tenant, "nobody"),
			"a user of another tenant":           b.newMail(elsewhere, u.ID),
			"nobody, in a deleted place":         b.newMail(gone, ""),
			"an event that is no contract":       composer.Event(happened(u.Tenant, u.ID, "moon.landed", nil)),
			"an event with a key of its own":     composer.Event(happened(u.Tenant, u.ID, event.TypePasswordChanged, map[string]string{"E-Mail": "x"})),
			"a payload of another":               change(b.newMail(u.Tenant, u.ID), func(e *outbox.Entry) { e.Payload = b.newMail(u.Tenant, u.ID).Payload }),
			"a payload of another tenant":        change(b.newMail(u.Tenant, u.ID), func(e *outbox.Entry) { e.Tenant = elsewhere }),
			"a payload that cannot be read":      change(b.newMail(u.Tenant, u.ID), func(e *outbox.Entry) { e.Payload = []byte("{") }),
			"no kind":                            change(b.newMail(u.Tenant, u.ID), func(e *outbox.Entry) { e.Kind = "" }),
			"an event of a place that never was": composer.Event(happened(tenant.ID{Account: u.Tenant.Account, Org: "never-was", Env: tenant.Sandbox}, "", event.TypePasswordChanged, nil)),
		} {
			if err := b.Enqueue(t.Context(), b.newMail(u.Tenant, u.ID), composer.Event(happened(u.Tenant, u.ID, event.TypePasswordChanged, nil)), bad); err == nil {
				t.Errorf("%s: was written", name)
			}
		}
		b.isErr(b.Enqueue(t.Context(), b.newMail(u.Tenant, "nobody")), user.ErrNotFound)
		b.isErr(b.Enqueue(t.Context(), b.newMail(gone, "")), tenant.ErrNotFound)
		if rows, deliveries := b.count("outbox"), b.count("deliveries"); rows+deliveries != 0 {
			t.Errorf("%d rows and %d deliveries were left behind", rows, deliveries)
		}
	})
}

func TestSilenceIsFollowedByAnotherPublication(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		e := b.mail(u.Tenant, u.ID)
		at := noon
		expect := func(n int, wait time.Duration) {
			t.Helper()
			if got := b.takes(at); got != n {
				t.Fatalf("took n %d, want %d", got, n)
			}
			at = at.Add(wait)
			if got := b.takes(at.Add(-time.Millisecond)); got != 0 {
				t.Fatalf("took n %d before its time", got)
			}
		}
		expect(1, again)
		expect(2, 2*again)
		// The bus has refused: soon again, and silence is not counted.
		expect(3, 4*again)
		at = at.Add(-4 * again)
		b.must(b.PutBack(t.Context(), []outbox.Row{{ID: e.ID, N: 3}}, at.Add(time.Second)))
		b.must(b.PutBack(t.Context(), []outbox.Row{{ID: e.ID, N: 2}}, at)) // somebody else's, late
		if got := b.takes(at); got != 0 {
			t.Fatalf("took n %d, put back by somebody late", got)
		}
		at = at.Add(time.Second)
		expect(4, 4*again)
		expect(5, 8*again)
		// The worker says when; from then on silence begins anew.
		at = at.Add(-time.Second)
		later := at.Add(15 * time.Minute)
		b.must(b.rules().Record(t.Context(), event.Outcome{
			DeliveryID: e.ID, Result: event.Deferred, Attempt: 1, Provider: "smtp", Reason: "greylisted", At: at.UnixMilli(), RetryAt: later.UnixMilli(),
		}))
		if got := b.takes(later.Add(-time.Millisecond)); got != 0 {
			t.Fatalf("took n %d, deferred", got)
		}
		at = later
		expect(6, again)
		d := b.delivery(u.Tenant, e.Delivery.RequestID)
		if d.State != delivery.Pending || len(d.Attempts) != 1 || d.Attempts[0].Answer != "deferred:greylisted" || d.Reason != "greylisted" {
			t.Errorf("the deferred delivery is %+v", d)
		}
		expect(7, 2*again)
		if got := b.takes(e.ExpiresAt.Add(24 * time.Hour)); got != 0 {
			t.Errorf("took n %d after its end", got)
		}
		b.mail(u.Tenant, u.ID)
		if got := b.takes(e.ExpiresAt); got != 0 {
			t.Errorf("took n %d at its very end", got)
		}
		if rows := b.take(outbox.Message, e.ExpiresAt.Add(-time.Millisecond)); len(rows) != 2 {
			t.Errorf("took %+v just before their end, want both mails", rows)
		}
	})
}

func TestTheWaitDoublesNoFurtherThanThirtyTwoTimes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		b.must(b.Enqueue(t.Context(), b.composer(noon).Event(happened(u.Tenant, u.ID, event.TypePasswordChanged, nil))))
		at := noon
		for n, wait := range []time.Duration{again, 2 * again, 4 * again, 8 * again, 16 * again, 32 * again, 32 * again, 32 * again} {
			if rows := b.take(outbox.Event, at); len(rows) != 1 || rows[0].N != n+1 {
				t.Fatalf("took %+v, want n %d", rows, n+1)
			}
			at = at.Add(wait)
			if rows := b.take(outbox.Event, at.Add(-time.Millisecond)); len(rows) != 0 {
				t.Fatalf("took %+v before its time", rows)
			}
		}
	})
}

// Of many replicas one gets an n.
//
// Covers R-079 for the rows of the outbox.
func TestNoNIsTakenTwice(t *testing.T) {
	t.Parallel()
	for engine, dsn := range map[string]string{"sqlite": sqlite(t), "postgres": rig.Postgres(t)} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, dsn)
			other := open(t, sqlstore.Config{DSN: dsn}) // as another process would
			u := b.user(b.tenant())
			const mails, rounds = 50, 4
			for range mails {
				b.mail(u.Tenant, u.ID)
			}
			var mu sync.Mutex
			taken := map[string]int{}
			at := noon
			for range rounds {
				tally(t, together(t, 8, func(ctx context.Context, i int) error {
					store := b.Store
					if i%2 == 1 {
						store = other
					}
					for {
						rows, err := store.TakeDue(ctx, outbox.Message, 7, time.Second, at)
						if err != nil || len(rows) == 0 {
							return err
						}
						mu.Lock()
						for _, r := range rows {
							taken[fmt.Sprint(r.ID, " ", r.N)]++
						}
						mu.Unlock()
					}
				}), nil)
				at = at.Add(time.Minute)
			}
			if len(taken) != mails*rounds {
				t.Errorf("%d different publications, want %d", len(taken), mails*rounds)
			}
			for what, times := range taken {
				if times != 1 {
					t.Errorf("%s was taken %d times", what, times)
				}
			}
		})
	}
}

// A result ends the row in the transaction that records it, unless it says
// that there is more to come.
func TestAResultClosesTheRow(t *testing.T) {
	type want struct {
		state delivery.State
		open  bool
	}
	cases := map[event.Result]want{
		event.Accepted: {"accepted", false}, event.Delivered: {"delivered", false}, event.Undelivered: {"undelivered", false},
		event.Failed: {"failed", false}, event.Expired: {"expired", false}, event.Unknown: {"unknown", false},
		event.Retrying: {delivery.Pending, true}, event.Deferred: {delivery.Pending, true},
		// Nobody here has replaced it: the claim was lost.
		event.Superseded: {delivery.Pending, true},
	}
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		rules := b.rules()
		for result, c := range cases {
			e := b.mail(u.Tenant, u.ID)
			if n := b.takes(noon); n != 1 {
				t.Fatalf("took n %d", n)
			}
			o := event.Outcome{DeliveryID: e.ID, Result: result, Attempt: 1, Provider: "smtp", At: noon.UnixMilli()}
			if result == event.Deferred {
				o.RetryAt = noon.Add(time.Minute).UnixMilli()
			}
			for range 2 { // the bus may deliver twice
				b.must(rules.Record(t.Context(), o))
				if state := b.state(u.Tenant, e); state != c.state || b.isOpen(e.ID) != c.open {
					t.Errorf("after %s the delivery is %s, its row open: %t; want %+v", result, state, b.isOpen(e.ID), c)
				}
			}
			if c.open { // it does end
				o.Result, o.RetryAt, o.Attempt = event.Accepted, 0, 2
				b.must(rules.Record(t.Context(), o))
			}
			if b.isOpen(e.ID) {
				t.Errorf("the row is open after %s and accepted", result)
			}
			// What comes late opens nothing.
			o.Result, o.RetryAt, o.Attempt = event.Deferred, noon.UnixMilli(), 3
			b.must(rules.Record(t.Context(), o))
			if rows := b.take(outbox.Message, noon.Add(59*time.Minute)); len(rows) != 0 {
				t.Errorf("after %s there is %+v to publish", result, rows)
			}
		}
	})
}

func TestALostClaimIsMadeAgainSoon(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		e := b.mail(u.Tenant, u.ID)
		b.takes(noon)
		b.must(b.rules().Record(t.Context(), event.Outcome{DeliveryID: e.ID, Result: event.Superseded, Attempt: 1, At: noon.UnixMilli()}))
		if n := b.takes(noon.Add(time.Second)); n != 0 {
			t.Errorf("taken at once: it would go round and round")
		}
		if n := b.takes(noon.Add(5 * time.Second)); n != 2 {
			t.Errorf("n %d is due after five seconds, want 2", n)
		}
	})
}

func TestWhatIsReplacedLeavesTheOutbox(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		waiting, away, accepted, stays := b.mail(u.Tenant, u.ID), b.mail(u.Tenant, ""), b.mail(u.Tenant, u.ID), b.mail(u.Tenant, u.ID)
		rules := b.rules()
		b.must(rules.Record(t.Context(), event.Outcome{DeliveryID: accepted.ID, Result: event.Accepted, Attempt: 1, At: noon.UnixMilli()}))
		got, err := b.Supersede(t.Context(), []string{waiting.ID, away.ID, accepted.ID, "unknown"}, noon.Add(time.Second))
		b.must(err)
		slices.Sort(got)
		if want := []string{waiting.ID, away.ID}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("superseded %v, want %v", got, want)
		}
		if again, err := b.Supersede(t.Context(), []string{waiting.ID, away.ID}, noon); err != nil || len(again) != 0 {
			t.Errorf("superseded %v once more, %v", again, err)
		}
		if none, err := b.Supersede(t.Context(), nil, noon); err != nil || len(none) != 0 {
			t.Errorf("superseded %v of nothing, %v", none, err)
		}
		rows := b.take(outbox.Message, noon)
		if len(rows) != 1 || rows[0].ID != stays.ID {
			t.Errorf("took %+v, want only what stays", rows)
		}
		// The worker hears of it by the missing claim.
		b.must(rules.Record(t.Context(), event.Outcome{DeliveryID: away.ID, Result: event.Superseded, Attempt: 1, At: noon.UnixMilli()}))
		for e, want := range map[*outbox.Entry]delivery.State{&waiting: "superseded", &away: "superseded", &accepted: "accepted", &stays: "pending"} {
			if got := b.state(u.Tenant, *e); got != want {
				t.Errorf("a delivery is %s, want %s", got, want)
			}
		}
	})
}

// Of a replacement and a result that come together, one decides; the row is
// gone either way, and neither leaves half of its work.
func TestAReplacementAndAResultAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		rules := b.rules()
		for range 20 {
			e := b.mail(u.Tenant, u.ID)
			b.takes(noon)
			var ended []string
			tally(t, together(t, 2, func(ctx context.Context, i int) (err error) {
				if i == 0 {
					ended, err = b.Supersede(ctx, []string{e.ID}, noon)
					return err
				}
				return rules.Record(ctx, event.Outcome{DeliveryID: e.ID, Result: event.Failed, Attempt: 1, At: noon.UnixMilli()})
			}), nil)
			state := b.state(u.Tenant, e)
			if b.isOpen(e.ID) || (len(ended) == 1) != (state == "superseded") || (len(ended) == 0) != (state == "failed") {
				t.Fatalf("superseded %v, state %s, open %t", ended, state, b.isOpen(e.ID))
			}
		}
	})
}

func TestAnExpiredDeliveryTakesItsRowAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		e, toNobody := b.mail(u.Tenant, u.ID), b.mail(u.Tenant, "")
		b.must(b.Enqueue(t.Context(), b.composer(noon).Event(happened(u.Tenant, u.ID, event.TypePasswordChanged, nil))))
		sweep := func(at time.Time) int {
			t.Helper()
			ended, err := b.EndSilent(t.Context(), at, at.Add(-time.Hour), at.Add(-24*time.Hour), at)
			b.must(err)
			return ended
		}
		if ended := sweep(e.ExpiresAt); ended != 0 || !b.isOpen(e.ID) {
			t.Errorf("%d ended at the very end, open %t", ended, b.isOpen(e.ID))
		}
		if ended := sweep(e.ExpiresAt.Add(time.Millisecond)); ended != 2 {
			t.Errorf("%d ended, want 2", ended)
		}
		if b.isOpen(e.ID) || b.isOpen(toNobody.ID) || b.state(u.Tenant, e) != "expired" || b.state(u.Tenant, toNobody) != "expired" {
			t.Error("an expired mail is still to be published")
		}
		if rows := b.take(outbox.Event, e.ExpiresAt.Add(365*24*time.Hour)); len(rows) != 1 {
			t.Errorf("took %+v: an event has no end", rows)
		}
	})
}

// What belongs to a tenant goes with it, and nothing else does.
//
// Covers R-122 for the rows of the outbox.
func TestTheOutboxBelongsToItsTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u, v := b.user(of), b.user(of)
		rest := map[string]outbox.Entry{"the other user": b.mail(of, v.ID), "nobody": b.mail(of, "")}
		theirs := map[string]outbox.Entry{}
		for name, stranger := range b.strangers(of) {
			if name == "no tenant at all" || name == "another account" {
				continue // there is no such place
			}
			theirs[name] = b.mail(stranger, b.user(stranger).ID)
			theirs[name+", nobody"] = b.mail(stranger, "")
		}
		mine := b.mail(of, u.ID)
		b.must(b.Enqueue(t.Context(), b.composer(noon).Event(happened(of, u.ID, event.TypePasswordChanged, nil))))
		_, err := b.DeleteUser(t.Context(), of, u.ID, noon)
		b.must(err)
		if b.isOpen(mine.ID) {
			t.Error("a mail to a deleted user is still to be published")
		}
		check := func(entries map[string]outbox.Entry, open bool) {
			t.Helper()
			for name, e := range entries {
				if b.isOpen(e.ID) != open {
					t.Errorf("%s: open is %t", name, !open)
				}
			}
		}
		check(rest, true)
		_, err = b.DeleteOrganization(t.Context(), of.Account, of.Org, "", noon)
		b.must(err)
		check(rest, false)
		delete(theirs, "another environment") // of the same organization
		delete(theirs, "another environment, nobody")
		check(theirs, true)
		if rows := b.rows("SELECT * FROM deliveries WHERE org_id = $1", of.Org); len(rows) != 0 {
			t.Errorf("deliveries of a deleted organization: %v", rows)
		}
		if rows := b.take(outbox.Event, noon); len(rows) != 1 {
			t.Errorf("took %+v: what has happened is told although its user is gone", rows)
		}
		other := b.tenant()
		if _, err := b.DB().ExecContext(t.Context(), `INSERT INTO outbox (id, account_id, org_id, environment, kind, delivery_id, payload, n, answered, due_at, expires_at, created_at)
			VALUES ('x', $1, $2, 'default', 'message', $3, '', 0, 0, 1, 1, 1)`, other.Account, other.Org, theirs["another organization"].ID); err == nil {
			t.Error("a row hangs on a delivery of another tenant")
		}
	})
}

// A mail server's word is the last that is heard of a mail: it stays accepted,
// where a text message without receipt becomes unknown.
func TestAnAcceptedMailWaitsForNoReceipt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		e := b.mail(u.Tenant, u.ID)
		text, err := b.reserve(newSend("number", noon), u)
		b.must(err)
		for _, id := range []string{e.ID, text.ID} {
			b.must(b.rules().Record(t.Context(), event.Outcome{DeliveryID: id, Result: event.Accepted, Attempt: 1, At: noon.UnixMilli()}))
		}
		at := noon.Add(24 * time.Hour)
		if ended, err := b.EndSilent(t.Context(), at, at, noon, at); err != nil || ended != 1 {
			t.Errorf("%d ended, %v, want the text message", ended, err)
		}
		if mail, sms := b.state(u.Tenant, e), b.delivery(u.Tenant, text.RequestID).State; mail != "accepted" || sms != "unknown" {
			t.Errorf("the mail is %s, the text message %s", mail, sms)
		}
	})
}

func TestWhatCannotBeComposedIsRefused(t *testing.T) {
	t.Parallel()
	b := &bench{t: t}
	c := b.composer(noon)
	good := outbox.Mail{Tenant: tenant.ID{Account: "a", Org: "o", Env: "default"}, Kind: event.KindNotice, To: "a@example.com", Life: time.Hour}
	for name, change := range map[string]func(*outbox.Mail){
		"no life":       func(m *outbox.Mail) { m.Life = 0 },
		"no address":    func(m *outbox.Mail) { m.To = "" },
		"no kind":       func(m *outbox.Mail) { m.Kind = "" },
		"a code":        func(m *outbox.Mail) { m.Kind = event.KindChallenge },
		"far too much":  func(m *outbox.Mail) { m.Content.Brand = string(make([]byte, 64<<10)) },
		"without a key": func(m *outbox.Mail) { c.Keys = broken{} },
	} {
		m := good
		change(&m)
		if _, err := c.Mail(m); err == nil {
			t.Errorf("%s: was composed", name)
		}
		c.Keys = keyring(t)
	}
	e, err := c.Mail(good)
	if err != nil || e.Check() != nil || e.Delivery.RequestID == "" {
		t.Errorf("composed %+v, %v", e, err)
	}
}

type broken struct{}

func (broken) Seal(string, string, []byte) ([]byte, error) { return nil, errors.New("no key") }
