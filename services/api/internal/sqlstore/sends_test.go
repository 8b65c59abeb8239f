package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func newDelivery(u user.User, at time.Time) delivery.Delivery {
	return delivery.Delivery{
		ID: id.Request("delivery"), Tenant: u.Tenant, UserID: u.ID, RequestID: id.Request("totp-challenge"), TraceID: "trace",
		Channel: "sms", To: "+41*****67", State: delivery.Pending, Attempts: []delivery.Attempt{},
		ExpiresAt: at.Add(5 * time.Minute), CreatedAt: at, UpdatedAt: at,
	}
}

// newSend has no gap and no budget.
func newSend(number string, at time.Time) challenge.Send {
	return challenge.Send{Number: []byte(number), At: at}
}

func budget(key string, span time.Duration) challenge.Budget {
	return challenge.Budget{Key: key, Span: span, Most: 1000, Fault: challenge.ErrNumber}
}

func (b *bench) reserve(send challenge.Send, u user.User) (delivery.Delivery, error) {
	d := newDelivery(u, send.At)
	return d, b.Reserve(b.t.Context(), send, d)
}

// refusedFor checks that err is the fault with this time to wait.
func (b *bench) refusedFor(err error, why *fault.Error, wait time.Duration) {
	b.t.Helper()
	b.isErr(err, why)
	if f, _ := errors.AsType[*fault.Error](err); f.After != wait {
		b.t.Errorf("wait %v, want %v", f.After, wait)
	}
}

func TestTheGapDoublesUntilSomebodyAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Gap, send.GapMost = 30*time.Second, 8*time.Minute
		for _, gap := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 8 * time.Minute} {
			_, err := b.reserve(send, u)
			b.must(err)
			_, err = b.reserve(send, u)
			b.refusedFor(err, challenge.ErrGap, gap)
			sent := send.At
			send.At = sent.Add(gap - time.Millisecond)
			_, err = b.reserve(send, u)
			b.refusedFor(err, challenge.ErrGap, time.Second)
			send.At = sent.Add(-time.Hour) // a clock that jumps back
			_, err = b.reserve(send, u)
			b.refusedFor(err, challenge.ErrGap, gap+time.Hour)
			send.At = sent.Add(gap)
		}
		b.answered([]byte("another number"))
		send.At = send.At.Add(-time.Minute)
		_, err := b.reserve(send, u)
		b.isErr(err, challenge.ErrGap)
		b.answered(send.Number)
		_, err = b.reserve(send, u)
		b.must(err)
		_, err = b.reserve(send, u)
		b.refusedFor(err, challenge.ErrGap, 30*time.Second)
	})
}

func TestNoGapLeavesNoTrace(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		without, with := newSend("number", noon), newSend("number", noon)
		with.Gap, with.GapMost = 30*time.Second, 8*time.Minute
		var last delivery.Delivery
		for range 3 {
			d, err := b.reserve(without, u)
			b.must(err)
			last = d
		}
		if n := b.count("send_gaps"); n != 0 {
			t.Errorf("%d gaps, want none", n)
		}
		_, err := b.reserve(with, u)
		b.must(err)
		b.must(b.Unreserve(t.Context(), without, last.ID, "not_published"))
		_, err = b.reserve(with, u)
		b.refusedFor(err, challenge.ErrGap, 30*time.Second)
		_, err = b.reserve(without, u)
		b.must(err)
	})
}

func TestTheGapStaysAtItsLongest(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Gap, send.GapMost = 30*time.Second, 8*time.Minute
		for range 70 { // past what a shift could hold
			_, err := b.reserve(send, u)
			b.must(err)
			_, err = b.reserve(send, u)
			b.isErr(err, challenge.ErrGap)
			send.At = send.At.Add(8 * time.Minute)
		}
	})
}

func TestBudgetsOfSending(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Budgets = []challenge.Budget{
			{Key: "number:1", Span: 10 * time.Minute, Most: 2, Fault: challenge.ErrNumber},
			{Key: "number:1", Span: time.Hour, Most: 3, Fault: challenge.ErrUser},
			{Key: "org:1", Span: time.Hour, Most: 4, Fault: challenge.ErrOrg},
		}
		step := func(at time.Time, want *fault.Error, wait time.Duration) {
			t.Helper()
			send.At = at
			if _, err := b.reserve(send, u); want == nil {
				b.must(err)
			} else {
				b.refusedFor(err, want, wait)
			}
		}
		step(noon, nil, 0)
		step(noon.Add(9*time.Minute), nil, 0)
		step(noon.Add(9*time.Minute+500*time.Millisecond), challenge.ErrNumber, 60*time.Second) // rounded up
		step(noon.Add(10*time.Minute), nil, 0)                                                  // a window starts with its first send
		step(noon.Add(11*time.Minute), challenge.ErrUser, 49*time.Minute)
		step(noon.Add(11*time.Minute), challenge.ErrUser, 49*time.Minute) // a refusal took nothing of the first budget
		step(noon.Add(-time.Hour), challenge.ErrUser, 2*time.Hour)        // a clock that jumps back
		step(noon.Add(time.Hour), nil, 0)                                 // all windows are over
		step(noon.Add(time.Hour), nil, 0)
		step(noon.Add(time.Hour), challenge.ErrNumber, 10*time.Minute)
		send.Budgets = send.Budgets[2:]
		step(noon.Add(time.Hour), nil, 0)
		step(noon.Add(time.Hour), nil, 0)
		step(noon.Add(time.Hour), challenge.ErrOrg, time.Hour)
		send.Budgets[0].Most = 0
		send.Budgets[0].Key = "org:2"
		step(noon, challenge.ErrOrg, time.Hour)
		if n := b.count("deliveries"); n != 7 {
			t.Errorf("%d deliveries, want 7: one for each send", n)
		}
	})
}

func TestTakingASendBack(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Gap, send.GapMost = 30*time.Second, 8*time.Minute
		send.Budgets = []challenge.Budget{{Key: "number:1", Span: 10 * time.Minute, Most: 1, Fault: challenge.ErrNumber}}
		d, err := b.reserve(send, u)
		b.must(err)
		used := func(want int) {
			t.Helper()
			var used, unanswered int
			b.must(b.DB().QueryRowContext(t.Context(), `SELECT used, unanswered FROM send_budgets, send_gaps`).Scan(&used, &unanswered))
			if used != want || unanswered != want {
				t.Errorf("used %d, unanswered %d, want %d", used, unanswered, want)
			}
		}
		used(1)
		for range 3 { // once is as good as thrice
			b.must(b.Unreserve(t.Context(), send, d.ID, "not_published"))
			used(0)
		}
		list, err := b.Deliveries(t.Context(), u.Tenant, delivery.Filter{}, first(10))
		b.must(err)
		if got := list.Items[0]; got.State != "failed" || got.Reason != "not_published" {
			t.Errorf("delivery = %+v", got)
		}
		_, err = b.reserve(send, u)
		b.must(err)
		used(1)
		b.must(b.Unreserve(t.Context(), send, d.ID, "not_published"))
		b.must(b.Unreserve(t.Context(), send, id.Request("delivery"), "not_published"))
		used(1) // an earlier send and an unknown one give nothing back

		// What left the house is not taken back.
		b.answered(send.Number)
		send.At = noon.Add(10 * time.Minute)
		left, err := b.reserve(send, u)
		b.must(err)
		b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: left.ID, State: "accepted", From: []delivery.State{delivery.Pending}, At: send.At}))
		b.must(b.Unreserve(t.Context(), send, left.ID, "not_published"))
		used(1)
	})
}

func TestASendOfAnEndedWindowGivesNothingBack(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Budgets = []challenge.Budget{{Key: "number:1", Span: 10 * time.Minute, Most: 1, Fault: challenge.ErrNumber}}
		old, err := b.reserve(send, u)
		b.must(err)
		late := send
		late.At = noon.Add(10 * time.Minute)
		_, err = b.reserve(late, u)
		b.must(err)
		b.must(b.Unreserve(t.Context(), send, old.ID, "not_published"))
		_, err = b.reserve(late, u)
		b.isErr(err, challenge.ErrNumber)
	})
}

func TestParallelSendsShareOneBudget(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		users := []user.User{b.user(b.tenant()), b.user(b.tenant())}
		for round := range 20 {
			send := newSend(fmt.Sprint("number-", round), noon)
			send.Gap = time.Nanosecond // is counted and holds nobody up
			number := fmt.Sprint("number:", round)
			send.Budgets = []challenge.Budget{
				{Key: number, Span: 10 * time.Minute, Most: 7, Fault: challenge.ErrNumber},
				{Key: number, Span: 24 * time.Hour, Most: 5, Fault: challenge.ErrNumber},
			}
			before := b.count("deliveries")
			errs := together(t, 32, func(ctx context.Context, i int) error {
				mine := send
				u := users[i%2]
				mine.Budgets = append(mine.Budgets[:2:2], challenge.Budget{Key: "org:" + u.Tenant.Org, Span: time.Hour, Most: 1000, Fault: challenge.ErrOrg})
				return b.Reserve(ctx, mine, newDelivery(u, noon))
			})
			if ok := tally(t, errs, challenge.ErrNumber); ok != 5 {
				t.Fatalf("%d of 32 sends to one number allowed, want 5", ok)
			}
			var least, most, unanswered int
			b.must(b.DB().QueryRowContext(t.Context(),
				`SELECT MIN(used), MAX(used) FROM send_budgets WHERE budget_key = $1`, number).Scan(&least, &most))
			b.must(b.DB().QueryRowContext(t.Context(),
				`SELECT unanswered FROM send_gaps WHERE number_index = $1`, send.Number).Scan(&unanswered))
			if made := b.count("deliveries") - before; least != 5 || most != 5 || unanswered != 5 || made != 5 {
				t.Fatalf("used %d to %d, unanswered %d, deliveries %d, want 5 of each: something is half done", least, most, unanswered, made)
			}
		}
		var byOrg int
		b.must(b.DB().QueryRowContext(t.Context(), `SELECT SUM(used) FROM send_budgets WHERE budget_key LIKE 'org:%'`).Scan(&byOrg))
		if n := b.count("deliveries"); byOrg != n {
			t.Errorf("organizations were charged %d sends for %d deliveries", byOrg, n)
		}
	})
}

func TestOneOfManyPassesTheGap(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		send := newSend("number", noon)
		send.Gap, send.GapMost = 30*time.Second, 8*time.Minute
		for range 20 {
			errs := together(t, 32, func(ctx context.Context, _ int) error { return b.Reserve(ctx, send, newDelivery(u, send.At)) })
			if ok := tally(t, errs, challenge.ErrGap); ok != 1 {
				t.Fatalf("%d of 32 passed the gap, want 1", ok)
			}
			send.At = send.At.Add(8 * time.Minute)
		}
	})
}

func TestASendToNobodyTakesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		u.ID = id.UUID()
		send := newSend("number", noon)
		send.Budgets = []challenge.Budget{{Key: "number:1", Span: 10 * time.Minute, Most: 1, Fault: challenge.ErrNumber}}
		_, err := b.reserve(send, u)
		b.isErr(err, user.ErrNotFound)
		if n := b.count("send_gaps") + b.count("send_budgets") + b.count("deliveries"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// answered is Answered for a code whose caller delivered it.
func (b *bench) answered(number []byte) {
	b.t.Helper()
	if sent, err := b.Answered(b.t.Context(), number, tenant.ID{}, ""); err != nil || !sent.IsZero() {
		b.t.Fatalf("Answered = %v, %v", sent, err)
	}
}

func TestWhenItWasSent(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		d, err := b.reserve(newSend("number", noon), u)
		b.must(err)
		sent := func(want time.Time) {
			t.Helper()
			if got, err := b.Answered(t.Context(), []byte("number"), u.Tenant, d.ID); err != nil || !got.Equal(want) {
				t.Errorf("Answered = %v, %v, want %v", got, err, want)
			}
		}
		sent(time.Time{})
		for i := range 2 { // the first word counts
			b.must(b.Apply(t.Context(), delivery.Update{DeliveryID: d.ID, Accepted: true, At: noon.Add(time.Duration(i+1) * time.Second)}))
			sent(noon.Add(time.Second))
		}
		for name, of := range b.strangers(u.Tenant) {
			if got, err := b.Answered(t.Context(), []byte("number"), of, d.ID); err != nil || !got.IsZero() {
				t.Errorf("%s: Answered = %v, %v", name, got, err)
			}
		}
	})
}
