package courier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// ledger is the list that a provider keeps: what it took, whether or not its
// answer came through.
type ledger struct {
	mu    sync.Mutex
	took  []Message
	down  bool
	asked []time.Time // the since of each question
}

var errNoList = &Failure{Reason: ReasonNoAnswer}

func (l *ledger) Find(ctx context.Context, m Message, since time.Time) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, since)
	if l.down || ctx.Err() != nil {
		return "", errNoList
	}
	for _, took := range l.took {
		if took.To == m.To && took.Text == m.Text {
			return "SM_listed", nil
		}
	}
	return "", nil
}

func (l *ledger) pull(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *ledger) questions() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time{}, l.asked...)
}

// kept is a try that the provider took before it answered like this.
func (l *ledger) kept(answer answerFunc) answerFunc {
	return func(ctx context.Context, m Message) (Receipt, error) {
		l.mu.Lock()
		l.took = append(l.took, m)
		l.mu.Unlock()
		return answer(ctx, m)
	}
}

// listed is a bench whose provider keeps a list.
func listed(t *testing.T) (*bench, *ledger) {
	t.Helper()
	b, l := newBench(t), &ledger{}
	b.Finder = l
	return b, l
}

// What is uncertain is looked up before it is sent again: no second message
// where the first one is there, and never a third try.
func TestUncertainTryIsLookedUpBeforeAnother(t *testing.T) {
	t.Parallel()
	keep := func(l *ledger) answerFunc { return l.kept(fail(unknown)) }
	lose := func(*ledger) answerFunc { return fail(unknown) }
	for name, c := range map[string]struct {
		tries []func(*ledger) answerFunc
		late  time.Duration // passes before the first try
		down  bool          // the list, throughout
		steps []string      // of Handle, 3 s apart: the instruction
		told  string
		sends int
	}{
		"taken, and the answer lost": {
			[]func(*ledger) answerFunc{keep}, 0, false,
			[]string{"later", "ack", "ack"}, "retrying:ambiguous, accepted, accepted", 1},
		"not taken": {
			[]func(*ledger) answerFunc{lose, keepAndSay}, 0, false,
			[]string{"later", "ack", "ack"}, "retrying:ambiguous, accepted, accepted", 2},
		"taken at the second try only": {
			[]func(*ledger) answerFunc{lose, keep}, 0, false,
			[]string{"later", "later", "ack"}, "retrying:ambiguous, retrying:ambiguous, accepted", 2},
		"never taken": {
			[]func(*ledger) answerFunc{lose, lose}, 0, false,
			[]string{"later", "later", "ack", "ack"},
			"retrying:ambiguous, retrying:ambiguous, unknown:sends_exhausted, unknown:sends_exhausted", 2},
		"taken, and the list down": {
			[]func(*ledger) answerFunc{keep, keepAndSay}, 0, true,
			[]string{"later", "ack"}, "retrying:ambiguous, accepted", 2},
		"never taken, and the list down": {
			[]func(*ledger) answerFunc{lose, lose}, 0, true,
			[]string{"later", "later", "ack"}, "retrying:ambiguous, retrying:ambiguous, unknown:sends_exhausted", 2},
		"taken with a minute left": {
			[]func(*ledger) answerFunc{keep}, life - 61*time.Second, false,
			[]string{"later", "ack"}, "retrying:ambiguous, accepted", 1},
		"not taken with a minute left": {
			[]func(*ledger) answerFunc{lose}, life - 61*time.Second, false,
			[]string{"later", "ack"}, "retrying:ambiguous, unknown:ambiguous", 1},
		"taken when its life was nearly over": {
			[]func(*ledger) answerFunc{keep}, life - 11*time.Second, false,
			[]string{"ack"}, "unknown:ambiguous", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, l := listed(t)
			l.pull(c.down)
			for _, try := range c.tries {
				b.provider.script = append(b.provider.script, try(l))
			}
			r := b.request("d1")
			b.clock.pass(c.late)
			for i, want := range c.steps {
				if got := b.handle(r); got != want {
					t.Errorf("step %d: instruction %s, want %s", i, got, want)
				}
				b.clock.pass(3 * time.Second)
			}
			b.expect(c.told, c.sends)
			for _, since := range l.questions() {
				if begun := time.UnixMilli(r.CreatedAt); !since.Before(begun) || begun.Sub(since) > time.Minute {
					t.Errorf("asked since %s, the delivery began at %s", since, begun)
				}
			}
		})
	}
}

// keepAndSay is a provider on a good day.
func keepAndSay(l *ledger) answerFunc { return l.kept(take) }

// A lost worker may have sent or not; the next one finds out.
func TestLostWorkersTryIsLookedUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kept, down bool
		sends      int
	}{
		"it had sent":                       {kept: true, sends: 1},
		"it had not":                        {sends: 2},
		"it had sent, and the list is down": {kept: true, down: true, sends: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, l := listed(t)
			l.pull(c.down)
			last := answerFunc(die)
			if c.kept {
				last = l.kept(die)
			}
			b.provider.script = []answerFunc{last, l.kept(take)}
			r := b.request("d1")
			b.killed(r)
			b.clock.pass(lease)
			for range 3 {
				if got := b.handle(r); got != "ack" {
					t.Errorf("instruction %s", got)
				}
			}
			b.expect("accepted, accepted, accepted", c.sends)
		})
	}
}

func TestTwoLostWorkersAreLookedUpAndNeverSentAThirdTime(t *testing.T) {
	t.Parallel()
	b, l := listed(t)
	b.provider.script = []answerFunc{die, l.kept(die)}
	r := b.request("d1")
	for range 2 {
		b.killed(r)
		b.clock.pass(lease)
	}
	if got := b.handle(r); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("accepted", 2)
	if id := b.reports.last().ProviderID; id != "SM_listed" {
		t.Errorf("accepted as %q", id)
	}
}

// What was found is written down: nobody asks again.
func TestWhatWasFoundIsAccepted(t *testing.T) {
	t.Parallel()
	b, l := listed(t)
	b.provider.script = []answerFunc{l.kept(fail(unknown))}
	r := b.request("d1")
	b.handle(r)
	b.clock.pass(3 * time.Second)
	b.handle(r)
	c, err := b.book.Take(t.Context(), "d1", lease)
	if err != nil || c.State != claim.Accepted || c.ProviderID != "SM_listed" || len(l.questions()) != 1 {
		t.Errorf("claim %s of %q after %d questions, %v", c.State, c.ProviderID, len(l.questions()), err)
	}
	if o := b.reports.last(); o.Result != event.Accepted || o.ProviderID != "SM_listed" || o.Provider != "fake" {
		t.Errorf("reported %+v", o)
	}
	for _, word := range []string{`"answer":"no_answer"`, `"looked":"found"`} {
		if !strings.Contains(b.log.String(), word) {
			t.Errorf("%s is not in the log: %s", word, b.log)
		}
	}
}

// The list needs a moment to show a message. Whoever comes earlier comes
// again, and has used up nothing.
func TestListIsNotAskedTooEarly(t *testing.T) {
	t.Parallel()
	b, l := listed(t)
	b.provider.script = []answerFunc{l.kept(fail(unknown)), take}
	r := b.request("d1")
	b.handle(r)
	for range 3 { // the bus was restarted, say
		b.clock.pass(500 * time.Millisecond)
		wait, ok := fault.RetryTime(b.Handle(t.Context(), r))
		if !ok || wait < 500*time.Millisecond || wait > 2*time.Second {
			t.Errorf("wait %s", wait)
		}
	}
	if n := len(l.questions()); n != 0 {
		t.Errorf("%d questions within 1.5 s", n)
	}
	b.clock.pass(500 * time.Millisecond)
	if got := b.handle(r); got != "ack" {
		t.Errorf("instruction %s", got)
	}
	b.expect("retrying:ambiguous, accepted", 1)

	// The same for one that must not be sent a third time.
	b.provider.script = []answerFunc{fail(unknown), l.kept(fail(unknown))}
	r = b.request("d2", func(s *event.SMS) { s.Code = "111222" })
	b.handle(r)
	b.clock.pass(3 * time.Second)
	b.handle(r)
	if got := b.handle(r); got != "later" {
		t.Errorf("instruction %s", got)
	}
	b.clock.pass(2 * time.Second)
	b.handle(r)
	if o := b.reports.last(); o.DeliveryID != "d2" || o.Result != event.Accepted {
		t.Errorf("reported %s of %s", o.Result, o.DeliveryID)
	}
}

// A first try asks nobody, and neither does one after a try that was certainly
// not sent: the list costs a call.
func TestCertainTriesAreNotLookedUp(t *testing.T) {
	t.Parallel()
	b, l := listed(t)
	b.provider.script = []answerFunc{fail(offline), fail(tooMany), take}
	r := b.request("d1")
	for range 4 {
		b.handle(r)
	}
	b.expect("retrying:unreachable, retrying:rate_limited, accepted, accepted", 3)
	if n := len(l.questions()); n != 0 {
		t.Errorf("%d questions", n)
	}
}

func TestListThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	b, _ := listed(t)
	b.Finder = stuck{}
	b.provider.script = []answerFunc{fail(unknown), take}
	r := b.request("d1")
	b.handle(r)
	b.clock.pass(3 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), lookTimeout+5*time.Second)
	defer cancel()
	if got := instruction(b.Handle(ctx, r)); got != "ack" || ctx.Err() != nil {
		t.Errorf("instruction %s, %v", got, ctx.Err())
	}
	if lookTimeout+callTimeout+settleWithin >= lease {
		t.Error("a lease ends before its work does")
	}
	b.expect("retrying:ambiguous, accepted", 2)
}

// stuck answers when its caller loses patience.
type stuck struct{}

func (stuck) Find(ctx context.Context, _ Message, _ time.Time) (string, error) {
	<-ctx.Done()
	return "", errors.Join(errNoList, ctx.Err())
}

// Whatever answers come, whether or not the list works: at most two sends of
// one delivery.
func TestNeverMoreThanTwoSends(t *testing.T) {
	t.Parallel()
	for round := range 64 {
		b, l := listed(t)
		l.pull(round&32 != 0)
		for i := range 4 { // what the four lowest bits say
			answer := fail(unknown)
			if round>>i&1 == 1 {
				answer = l.kept(answer)
			}
			b.provider.script = append(b.provider.script, answer)
		}
		r := b.request(fmt.Sprintf("d%d", round))
		for range 6 {
			b.handle(r)
			b.clock.pass(3 * time.Second)
		}
		if n := len(b.provider.list()); n > claim.MaxSends {
			t.Errorf("round %d: %d sends", round, n)
		}
	}
}
