package courier

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/fault"
)

// The answers of a provider and what comes of them, call after call.
func TestEveryAnswerOfAProviderHasItsReaction(t *testing.T) {
	t.Parallel()
	type step struct {
		instruction string
		told        string // the last report
	}
	for name, c := range map[string]struct {
		script []answerFunc
		late   time.Duration // passes before the first step
		steps  []step
		sends  int
	}{
		"refused": {
			[]answerFunc{fail(refused)}, 0, []step{{"ack", "failed:refused:21211"}}, 1},
		"wrong credentials": {
			[]answerFunc{fail(fault.Permanent(&Failure{Reason: ReasonCredentials}))}, 0,
			[]step{{"ack", "failed:credentials"}}, 1},
		"too many, then taken": {
			[]answerFunc{fail(tooMany), take}, 0,
			[]step{{"later", "retrying:rate_limited"}, {"ack", "accepted"}}, 2},
		"too many, for longer than the code lives": {
			[]answerFunc{fail(tooManyBy)}, 0, []step{{"ack", "failed:rate_limited"}}, 1},
		"unreachable five times, then taken": {
			[]answerFunc{fail(offline), fail(offline), fail(offline), fail(offline), fail(offline), take}, 0,
			[]step{
				{"again", "retrying:unreachable"}, {"again", "retrying:unreachable"}, {"again", "retrying:unreachable"},
				{"again", "retrying:unreachable"}, {"again", "retrying:unreachable"}, {"ack", "accepted"},
			}, 6},
		"no answer, then taken": {
			[]answerFunc{fail(unknown), take}, 0, []step{{"later", "retrying:ambiguous"}, {"ack", "accepted"}}, 2},
		"no answer, unreachable, then taken": {
			[]answerFunc{fail(unknown), fail(offline), take}, 0,
			[]step{{"later", "retrying:ambiguous"}, {"again", "retrying:unreachable"}, {"ack", "accepted"}}, 3},
		"no answer twice, and never a third send": {
			[]answerFunc{fail(unknown), fail(unknown), take}, 0,
			[]step{{"later", "retrying:ambiguous"}, {"ack", "unknown:sends_exhausted"}, {"ack", "unknown:sends_exhausted"}}, 2},
		"no answer, then refused": {
			[]answerFunc{fail(unknown), fail(refused)}, 0,
			[]step{{"later", "retrying:ambiguous"}, {"ack", "unknown:refused:21211"}}, 2},
		"no answer with a minute left": {
			[]answerFunc{fail(unknown), take}, life - 61*time.Second, []step{{"ack", "unknown:ambiguous"}}, 1},
		"no answer with time for another": {
			[]answerFunc{fail(unknown), take}, life - 63*time.Second, []step{{"later", "retrying:ambiguous"}}, 1},
		"an error without a word": {
			[]answerFunc{fail(errors.New("surprise")), take}, 0,
			[]step{{"again", "retrying:unexpected"}, {"ack", "accepted"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.provider.script = c.script
			r := b.request("d1")
			b.clock.pass(c.late)
			for i, s := range c.steps {
				if got := b.handle(r); got != s.instruction {
					t.Errorf("step %d: instruction %s, want %s", i, got, s.instruction)
				}
				words := strings.Split(b.told(), ", ")
				if got := words[len(words)-1]; got != s.told {
					t.Errorf("step %d: reported %s, want %s", i, got, s.told)
				}
				b.clock.pass(3 * time.Second)
			}
			sent := b.provider.list()
			if len(sent) != c.sends {
				t.Errorf("%d sends, want %d", len(sent), c.sends)
			}
			for _, m := range sent {
				if m.Text != sent[0].Text {
					t.Errorf("two texts of one delivery: %q and %q", m.Text, sent[0].Text)
				}
			}
			for i, o := range b.reports.list() {
				if o.Attempt != min(i+1, c.sends) && o.Reason != reasonExhausted {
					t.Errorf("report %d is of attempt %d", i, o.Attempt)
				}
			}
		})
	}
}

func TestProviderThatAsksForTimeGetsIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		least time.Duration
		most  time.Duration
	}{
		"too many":  {tooMany, 7 * time.Second, 8750 * time.Millisecond},
		"no answer": {unknown, 2 * time.Second, 2500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[time.Duration]bool{}
			for range 20 {
				b := newBench(t)
				b.provider.script = []answerFunc{fail(c.err)}
				wait, ok := fault.RetryTime(b.Handle(t.Context(), b.request("d1")))
				if !ok || wait < c.least || wait > c.most {
					t.Fatalf("wait %s, want %s to %s", wait, c.least, c.most)
				}
				seen[wait] = true
			}
			if len(seen) < 2 {
				t.Error("every wait is the same")
			}
		})
	}
}

func TestBusyClaimIsLookedAtWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.request("d1")
	b.takeAway(r)
	b.clock.pass(5 * time.Second)
	wait, ok := fault.RetryTime(b.Handle(t.Context(), r))
	if !ok || wait < 20*time.Second || wait > 21*time.Second {
		t.Errorf("wait %s", wait)
	}
}

func TestLostStoreAfterASendCostsNoSecondMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.script = []answerFunc{func(ctx context.Context, m Message) (Receipt, error) {
		b.store.pull(true)
		return take(ctx, m)
	}}
	if got := b.handle(b.request("d1")); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("accepted", 1)
}

func TestLostStoreAndBusAfterASendCostAtMostOneMore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.script = []answerFunc{func(ctx context.Context, m Message) (Receipt, error) {
		b.store.pull(true)
		b.reports.pull(true)
		return take(ctx, m)
	}, take}
	r := b.request("d1")
	if got := b.handle(r); got != "again" {
		t.Errorf("instruction %s", got)
	}
	b.store.pull(false)
	b.reports.pull(false)
	if got := b.handle(r); got != "later" {
		t.Errorf("with the lease alive: %s", got)
	}
	b.clock.pass(lease)
	for range 3 {
		if got := b.handle(r); got != "ack" {
			t.Errorf("with the lease over: %s", got)
		}
	}
	b.expect("accepted, accepted, accepted", 2)
}

func TestMessageIsWrittenDownThoughTheProcessStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer answerFunc
		told   string
	}{
		"taken":     {take, "accepted"},
		"refused":   {fail(refused), "failed:refused:21211"},
		"no answer": {fail(unknown), "retrying:ambiguous"},
		"not sent":  {fail(offline), "retrying:unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, cancel := context.WithCancel(t.Context())
			b.provider.script = []answerFunc{func(_ context.Context, m Message) (Receipt, error) {
				cancel()
				return c.answer(context.WithoutCancel(ctx), m)
			}}
			_ = b.Handle(ctx, b.request("d1"))
			b.expect(c.told, 1)
			if c.told != "accepted" {
				return
			}
			if got, err := b.book.Take(t.Context(), "d1", lease); err != nil || got.State != claim.Accepted {
				t.Errorf("claim %s, %v", got.State, err)
			}
		})
	}
}
