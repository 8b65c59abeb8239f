package courier

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// deferring is a policy like that of mails.
func deferring() Policy {
	return Policy{
		Lease: 90 * time.Second,
		Defer: Deferral{From: 3, Pauses: []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}},
	}
}

// newMailBench is a bench whose messages live for a day.
func newMailBench(t *testing.T) (*bench, event.Requested) {
	t.Helper()
	b := newBench(t)
	b.Policy = deferring()
	r := b.sealed("d1")
	r.ExpiresAt = b.clock.now().Add(24 * time.Hour).UnixMilli()
	if err := b.book.Open(t.Context(), "d1", r.Expires()); err != nil {
		t.Fatal(err)
	}
	return b, r
}

// What was certainly not sent is repeated by the bus a few times and then goes
// back to the api, with pauses that grow.
func TestMessageThatCannotBeSentIsDeferred(t *testing.T) {
	t.Parallel()
	b, r := newMailBench(t)
	b.provider.script = []answerFunc{fail(offline)}
	for range 2 {
		if got := b.handle(r); got != "again" {
			t.Errorf("a short try: %s", got)
		}
	}
	for i, pause := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, time.Hour} {
		if got := b.handle(r); got != "ack" {
			t.Errorf("try %d: %s", i+3, got)
		}
		o := b.reports.last()
		wait := time.UnixMilli(o.RetryAt).Sub(b.clock.now())
		if o.Result != event.Deferred || o.Reason != ReasonUnreachable || o.Attempt != i+3 || wait < pause*3/4 || wait > pause*5/4 {
			t.Errorf("try %d: %s in %s for %s of attempt %d, want %s ± 25 %%", i+3, o.Result, wait, o.Reason, o.Attempt, pause)
		}
		b.clock.pass(wait)
	}
	b.provider.script = []answerFunc{take}
	if got := b.handle(r); got != "ack" || b.reports.last().Result != event.Accepted {
		t.Errorf("in the end: %s, %+v", got, b.reports.last())
	}
	if sent := b.provider.list(); sent[0].Text != sent[len(sent)-1].Text {
		t.Error("two texts of one delivery")
	}
}

func TestDeferralsDoNotComeBackTogether(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 50 {
		seen[deferring().Defer.wait(4, 24*time.Hour, 0)] = true
	}
	if len(seen) < 10 {
		t.Errorf("%d different pauses of 50", len(seen))
	}
}

func TestDeferralFitsIntoTheLife(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attempt     int
		life, told  time.Duration
		least, most time.Duration // both zero: the bus keeps it
	}{
		"a short try":                      {1, time.Hour, 0, 0, 0},
		"a short try, told to wait a bit":  {1, time.Hour, 59 * time.Second, 0, 0},
		"a short try, told to wait longer": {1, time.Hour, 2 * time.Minute, 2 * time.Minute, 2 * time.Minute},
		"the first pause":                  {3, time.Hour, 0, 45 * time.Second, 75 * time.Second},
		"told to wait longer than that":    {3, time.Hour, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
		"longer than half of what is left": {6, 20 * time.Minute, 0, 10 * time.Minute, 10 * time.Minute},
		"told longer than half of it":      {6, 20 * time.Minute, 12 * time.Minute, 12 * time.Minute, 12 * time.Minute},
		"nearly over":                      {6, 19 * time.Second, 0, 0, 0},
		"a hundred tries":                  {100, 24 * time.Hour, 0, 45 * time.Minute, 75 * time.Minute},
	} {
		for range 20 {
			if got := deferring().Defer.wait(c.attempt, c.life, c.told); got < c.least || got > c.most {
				t.Errorf("%s: %s, want %s to %s", name, got, c.least, c.most)
			}
		}
	}
	if got := (Deferral{}).wait(100, time.Hour, time.Minute); got != 0 {
		t.Errorf("without a policy: %s", got)
	}
}

// A deferral that nobody heard of is none: the message stays with the bus.
func TestDeferralThatIsNotReportedStaysOnTheBus(t *testing.T) {
	t.Parallel()
	b, r := newMailBench(t)
	b.provider.script = []answerFunc{fail(fault.RetryAfter(2*time.Minute, &Failure{Reason: "refused:450"}))}
	b.reports.pull(true)
	if got := b.handle(r); got != "again" {
		t.Errorf("instruction %s", got)
	}
	b.reports.pull(false)
	if got := b.handle(r); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("deferred:refused:450", 2)
}

// A provider may take minutes: the claim stays with who is sending.
func TestLeaseIsExtendedWhileAMessageIsSent(t *testing.T) {
	t.Parallel()
	b, r := newMailBench(t)
	b.Policy.Prolong = time.Millisecond
	seen := watch(b)
	b.provider.script = []answerFunc{func(ctx context.Context, m Message) (Receipt, error) {
		for range 10 { // ten minutes, a lease is one and a half
			b.clock.pass(time.Minute)
			seen.await("taken") // may have begun before that minute
			seen.await("taken")
			c, err := b.book.Take(t.Context(), "d1", time.Second)
			if err != nil || c.State != claim.Busy || c.BusyFor != b.Policy.Lease {
				t.Errorf("another worker found %s for %s, %v", c.State, c.BusyFor, err)
			}
		}
		return take(ctx, m)
	}}
	if got := b.handle(r); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("accepted", 1)
	b.handle(r)
	b.expect("accepted, accepted", 1)
}

// A claim that was withdrawn, or a store that is down, does not stop a send
// that has begun: its end is worth knowing.
func TestSendGoesOnWhenItsClaimIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(b *bench, r event.Requested)
		seen string
	}{
		"withdrawn":               {func(b *bench, r event.Requested) { b.withdraw(r) }, "gone"},
		"in a store that is down": {func(b *bench, _ event.Requested) { b.store.pull(true) }, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := newMailBench(t)
			b.Policy.Prolong = time.Millisecond
			seen := watch(b)
			b.provider.script = []answerFunc{func(ctx context.Context, m Message) (Receipt, error) {
				c.lose(b, r)
				seen.await(c.seen)
				if ctx.Err() != nil {
					t.Error("the call was ended")
				}
				return take(ctx, m)
			}}
			if got := b.handle(r); got != "ack" {
				t.Errorf("instruction %s", got)
			}
			b.expect("accepted", 1)
		})
	}
}

// watched tells what came of each extension of a lease.
type watched struct {
	*claim.Book
	seen chan string
}

func watch(b *bench) watched {
	w := watched{b.book, make(chan string, 10_000)}
	b.Claims = w
	return w
}

// await returns after an extension that ended like this, and forgets the ones
// before.
func (w watched) await(want string) {
	for len(w.seen) > 0 {
		if <-w.seen == want && want != "taken" {
			return
		}
	}
	for <-w.seen != want { // the test's own time limit ends a wait for nothing
	}
}

func (w watched) Extend(ctx context.Context, c claim.Claim, lease time.Duration) (claim.Claim, error) {
	got, err := w.Book.Extend(ctx, c, lease)
	word := string(got.State)
	if err != nil {
		word = "error"
	}
	w.seen <- word
	return got, err
}

// A panic while a message is composed goes on to the bus, which writes it down
// and comes again; it is not counted as a send.
//
// Covers R-177 for composing.
func TestPanicWhileComposingCostsNoSend(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bad := true
	b.Compose = func(r event.Requested, content []byte) (Message, error) {
		if bad {
			panic(string(content))
		}
		return compose(r, content)
	}
	r := b.request("d1")
	for range 2 * claim.MaxSends {
		b.killed(r)
	}
	b.expect("", 0)
	bad = false
	if got := b.handle(r); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("accepted", 1)
}

func TestErrorOfComposeEndsTheDelivery(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Compose = func(event.Requested, []byte) (Message, error) { return Message{}, errors.New("no such template") }
	if got := b.handle(b.request("d1")); got != "park" {
		t.Errorf("instruction %s", got)
	}
	b.expect("failed:unreadable", 0)
	if !strings.Contains(b.log.String(), "no such template") {
		t.Errorf("the log does not say why: %s", b.log)
	}
}
