package courier

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

var (
	refused   = fault.Permanent(&Failure{Reason: "refused:21211"})
	unknown   = fault.Ambiguous(&Failure{Reason: ReasonNoAnswer})
	offline   = &Failure{Reason: ReasonUnreachable}
	tooMany   = fault.RetryAfter(7*time.Second, &Failure{Reason: ReasonRateLimited})
	tooManyBy = fault.RetryAfter(life, &Failure{Reason: ReasonRateLimited})
)

func TestMessageIsSentOnceAndReported(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.request("d1")
	b.clock.pass(1500 * time.Millisecond)
	if got := b.handle(r); got != "ack" {
		t.Fatalf("%s\n%s", got, b.log)
	}
	want := event.Outcome{
		DeliveryID: "d1", RequestID: "challenge_d1", TraceID: "trace_1", OrgID: "org_1", Env: event.EnvDefault,
		Result: event.Accepted, Attempt: 1, Provider: "fake", ProviderID: "SM_d1", At: b.clock.now().UnixMilli(),
	}
	if got := b.reports.last(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("reported %+v\nwant     %+v", got, want)
	}
	m := b.provider.list()[0]
	if m != (Message{DeliveryID: "d1", To: number, Text: "Acme\n\n@login.example.com #747723", ValidFor: life - 1500*time.Millisecond}) {
		t.Errorf("sent %+v", m)
	}
	if left := b.provider.left[0]; left > 10*time.Second {
		t.Errorf("the provider had %s", left)
	}
}

// The states in which a worker finds a delivery, and what it does.
func TestEveryStateOfAClaimHasItsReaction(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before      func(b *bench, r event.Requested)
		instruction string
		told        string
		sends       int // by this call
	}{
		"open": {func(*bench, event.Requested) {}, "ack", "accepted", 1},
		"accepted, and the acknowledgement was lost": {
			func(b *bench, r event.Requested) { b.handle(r) }, "ack", "accepted, accepted", 0},
		"accepted, and the report was lost": {
			func(b *bench, r event.Requested) {
				b.reports.pull(true)
				if got := b.handle(r); got != "again" {
					b.t.Errorf("without a report: %s", got)
				}
				b.reports.pull(false)
			}, "ack", "accepted", 0},
		"withdrawn": {
			func(b *bench, r event.Requested) { b.withdraw(r) }, "ack", "superseded", 0},
		"never opened": {
			func(b *bench, r event.Requested) { b.withdraw(r); b.withdraw(r) }, "ack", "superseded", 0},
		"held by another worker": {
			func(b *bench, r event.Requested) { b.takeAway(r); b.clock.pass(24 * time.Second) }, "later", "", 0},
		"held by a worker that is gone": {
			func(b *bench, r event.Requested) { b.takeAway(r); b.clock.pass(26 * time.Second) }, "ack", "accepted", 1},
		"held by a worker that is gone, and late": {
			func(b *bench, r event.Requested) {
				b.clock.pass(life - 80*time.Second)
				b.takeAway(r)
				b.clock.pass(26 * time.Second)
			}, "ack", "unknown:worker_lost", 0},
		"lost twice": {
			func(b *bench, r event.Requested) {
				for range 2 {
					b.takeAway(r)
					b.clock.pass(26 * time.Second)
				}
			}, "ack", "unknown:sends_exhausted", 0},
		"expired": {
			func(b *bench, _ event.Requested) { b.clock.pass(life) }, "ack", "expired", 0},
		"accepted, and expired before it was reported": {
			func(b *bench, r event.Requested) {
				b.reports.pull(true)
				b.handle(r)
				b.reports.pull(false)
				b.clock.pass(life)
			}, "ack", "accepted", 0},
		"held by a worker that is gone, and expired": {
			func(b *bench, r event.Requested) { b.takeAway(r); b.clock.pass(life) }, "ack", "unknown:worker_lost", 0},
		"expired, in a claim that lives longer": {
			func(b *bench, r event.Requested) {
				if err := b.book.Open(b.t.Context(), r.DeliveryID, r.Expires().Add(life)); err != nil {
					b.t.Fatal(err)
				}
				b.clock.pass(life + time.Second)
			}, "ack", "expired", 0},
		"good for less than a second": {
			func(b *bench, _ event.Requested) { b.clock.pass(life - 999*time.Millisecond) }, "ack", "expired", 0},
		"in a store that is down": {
			func(b *bench, _ event.Requested) { b.store.pull(true) }, "again", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := b.request("d1")
			c.before(b, r)
			sent := len(b.provider.list())
			if got := b.handle(r); got != c.instruction {
				t.Errorf("instruction %s, want %s", got, c.instruction)
			}
			b.expect(c.told, sent+c.sends)
		})
	}
}

func (b *bench) withdraw(r event.Requested) {
	b.t.Helper()
	if _, err := b.book.Withdraw(b.t.Context(), r.DeliveryID); err != nil {
		b.t.Fatal(err)
	}
}

// takeAway is what a worker leaves behind that is killed while it sends.
func (b *bench) takeAway(r event.Requested) {
	b.t.Helper()
	if c, err := b.book.Take(b.t.Context(), r.DeliveryID, lease); err != nil || c.State != claim.Taken {
		b.t.Fatalf("take: %v, %v", c.State, err)
	}
}

func TestProviderNeverHasLongerThanTheCode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.request("d1")
	b.clock.pass(life - 3*time.Second)
	if got := b.handle(r); got != "ack" {
		t.Fatal(got)
	}
	if left := b.provider.left[0]; left > 3*time.Second {
		t.Errorf("the provider had %s", left)
	}
	if valid := b.provider.list()[0].ValidFor; valid != 3*time.Second {
		t.Errorf("the message is valid for %s", valid)
	}
}

func TestContentThatMakesNoMessageIsParked(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(b *bench, r *event.Requested){
		"sealed for another delivery": func(b *bench, r *event.Requested) { r.Sealed = b.sealed("d2").Sealed },
		"sealed with another key": func(b *bench, r *event.Requested) {
			other := newBench(b.t)
			r.Sealed = other.sealed("d1").Sealed
		},
		"cut":              func(_ *bench, r *event.Requested) { r.Sealed = r.Sealed[:10] },
		"without a number": func(b *bench, r *event.Requested) { r.Sealed = b.sealed("d1", func(s *event.SMS) { s.To = "" }).Sealed },
		"without a code": func(b *bench, r *event.Requested) {
			r.Sealed = b.sealed("d1", func(s *event.SMS) { s.Code = "" }).Sealed
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := b.request("d1")
			spoil(b, &r)
			if got := b.handle(r); got != "park" {
				t.Errorf("instruction %s", got)
			}
			b.expect("failed:unreadable", 0)
		})
	}
}

//
func TestNothingIsSentThatIsDeadOrReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var queue []event.Requested
	for i := range 50 {
		queue = append(queue, b.request(fmt.Sprintf("old%d", i)))
	}
	b.clock.pass(6 * time.Minute) // the worker was down
	for _, r := range queue {
		if got := b.handle(r); got != "ack" {
			t.Errorf("expired: %s", got)
		}
	}
	b.expect(strings.TrimSuffix(strings.Repeat("expired, ", 50), ", "), 0)

	first, second, third := b.request("first"), b.request("second"), b.request("third")
	b.withdraw(first) // the user asked again, twice
	b.withdraw(second)
	used := b.request("used")
	b.withdraw(used) // verified by other means, or cancelled
	for _, r := range []event.Requested{first, second, third, used} {
		if got := b.handle(r); got != "ack" {
			t.Errorf("%s: %s", r.DeliveryID, got)
		}
	}
	if sent := b.provider.list(); len(sent) != 1 || sent[0].DeliveryID != "third" {
		t.Errorf("sent %d", len(sent))
	}
}

// A worker that dies in the middle of a send leaves at most one message too
// many, and it has the same text.
//
// Covers R-078 for the worker's half.
func TestKilledWorkersRepeatTheSameText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 100 {
		id, want := fmt.Sprintf("d%d", i), fmt.Sprintf("%06d", i*7919)
		r := b.request(id, func(s *event.SMS) { s.Code = want })
		b.provider.script = []answerFunc{die, take}
		b.killed(r)
		b.clock.pass(lease)
		for range 3 {
			if got := b.handle(r); got != "ack" {
				t.Fatalf("%s: %s", id, got)
			}
		}
		var texts []string
		for _, m := range b.provider.list() {
			if m.DeliveryID == id {
				texts = append(texts, m.Text)
			}
		}
		if len(texts) != 2 || texts[0] != texts[1] || !strings.HasSuffix(texts[0], "#"+want) {
			t.Fatalf("%s: texts %q", id, texts)
		}
	}
}

func TestManyWorkersSendOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for round := range 100 {
		r := b.request(fmt.Sprintf("d%d", round))
		var workers sync.WaitGroup
		start := make(chan struct{})
		for range 32 {
			workers.Go(func() {
				<-start
				if got := instruction(b.Handle(t.Context(), r)); got != "ack" && got != "later" {
					t.Errorf("instruction %s", got)
				}
			})
		}
		close(start)
		workers.Wait()
	}
	if sent := len(b.provider.list()); sent != 100 {
		t.Errorf("%d sends of 100 deliveries", sent)
	}
}

func TestSandboxMessageComesBackEvenIfItsReportWasLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Repeatable = true
	b.provider.script = []answerFunc{func(_ context.Context, m Message) (Receipt, error) {
		plain, _ := json.Marshal(event.Message{To: m.To, Text: m.Text})
		sealed, err := b.keys.Seal(event.SealMessage, m.DeliveryID, plain)
		return Receipt{ProviderID: "inbox-1", Delivered: true, Sealed: sealed}, err
	}}
	r := b.request("d1")
	b.reports.pull(true)
	if got := b.handle(r); got != "again" {
		t.Errorf("without a report: %s", got)
	}
	b.reports.pull(false)
	for range 2 { // and once more, because the acknowledgement was lost too
		if got := b.handle(r); got != "ack" {
			t.Errorf("instruction %s", got)
		}
	}
	for _, o := range b.reports.list() {
		plain, err := b.keys.Open(event.SealMessage, "d1", o.Message)
		if err != nil || !strings.Contains(string(plain), number) || o.Result != event.Delivered || o.Attempt != 1 {
			t.Errorf("reported %+v, %v", o, err)
		}
	}
	if got := len(b.reports.list()); got != 2 {
		t.Errorf("%d reports", got)
	}
}

func TestOneLineForEachMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.script = []answerFunc{fail(unknown), take}
	r := b.request("d1")
	b.handle(r)
	b.handle(r)
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), b.log)
	}
	for i, want := range []map[string]any{
		{"msg": "sms handled", "level": "WARN", "result": "retrying", "reason": "ambiguous", "answer": "no_answer", "attempt": 1.0},
		{"msg": "sms handled", "level": "INFO", "result": "accepted", "attempt": 2.0},
	} {
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &line); err != nil {
			t.Fatal(err)
		}
		want["delivery_id"], want["request_id"], want["trace_id"], want["org_id"] = "d1", "challenge_d1", "trace_1", "org_1"
		for key, value := range want {
			if line[key] != value {
				t.Errorf("line %d: %s = %v, want %v", i, key, line[key], value)
			}
		}
	}
}
