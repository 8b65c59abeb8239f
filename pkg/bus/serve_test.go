package bus_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

const durable = "sms-code-default"

var errAgain = errors.New("try again")

func TestAFailedMessageComesBackByTheTable(t *testing.T) {
	t.Parallel()
	table := []time.Duration{40 * time.Millisecond, 80 * time.Millisecond, 160 * time.Millisecond}
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.RetryTable = table })
	calls := make(chan call, 100)
	serve(t, b, 1, into(calls, errAgain))
	mustRequest(t, b, challenge("dlv_1"))
	before := next(t, calls, "the first try")
	for n := 2; n <= 6; n++ {
		got := next(t, calls, "the next try")
		if got.Number != n || !got.Redelivered {
			t.Errorf("try %+v, want number %d, redelivered", got.Try, n)
		}
		// How long it takes beyond that is the machine's business.
		least := table[min(n-1, len(table))-1] / 2
		if rest := got.at.Sub(before.at); rest < least-5*time.Millisecond {
			t.Errorf("try %d came after %s, want at least %s", n, rest, least)
		}
		before = got
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	t.Parallel()
	const after = 400 * time.Millisecond
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, fast)
	calls := make(chan call, 10)
	serve(t, b, 1, func(ctx context.Context, r event.Requested, try bus.Try) error {
		if try.Number == 1 {
			return into(calls, fault.RetryAfter(after, errAgain))(ctx, r, try)
		}
		return into(calls, nil)(ctx, r, try)
	})
	mustRequest(t, b, challenge("dlv_1"))
	first, second := next(t, calls, "the first try"), next(t, calls, "the second try")
	if rest := second.at.Sub(first.at); rest < after-10*time.Millisecond {
		t.Errorf("the second try came after %s, want %s", rest, after)
	}
	empty(t, admin(t, srv), bus.StreamChallenges)
}

func TestAMessagePastItsTimeIsStillHandedOver(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	r := challenge("dlv_1")
	r.CreatedAt, r.ExpiresAt = r.CreatedAt-10_000, r.CreatedAt-1000
	calls := make(chan call, 1)
	serve(t, b, 1, into(calls, nil))
	mustRequest(t, b, r)
	next(t, calls, "the expired message")
}

func TestAWorkerGetsItsChannelAndEnvironmentOnly(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls := make(chan call, 10)
	serve(t, b, 1, into(calls, nil))
	sandbox, mail := challenge("dlv_sandbox"), challenge("dlv_mail")
	sandbox.Env, mail.Channel = event.EnvSandbox, "email"
	mustRequest(t, b, sandbox, mail, challenge("dlv_sms"))
	if got := next(t, calls, "the message"); got.DeliveryID != "dlv_sms" {
		t.Errorf("handled %s", got.DeliveryID)
	}
	eventually(t, "the other two stay", func() bool {
		return state(t, admin(t, srv), bus.StreamChallenges).Msgs == 2
	})
}

func TestWorkThatIsNotValidIsRefused(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	ok := bus.Work{Channel: "sms", Class: "code", Env: event.EnvDefault, Handle: into(nil, nil)}
	cases := map[string]func(*bus.Work){
		"another class":      func(w *bus.Work) { w.Class = "advert" },
		"no class":           func(w *bus.Work) { w.Class = "" },
		"no channel":         func(w *bus.Work) { w.Channel = "" },
		"all channels":       func(w *bus.Work) { w.Channel = "*" },
		"an unknown env":     func(w *bus.Work) { w.Env = "*" },
		"nothing to call it": func(w *bus.Work) { w.Handle = nil },
	}
	for name, change := range cases {
		w := ok
		change(&w)
		if err := b.Serve(t.Context(), w); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := b.ServeOutcomes(t.Context(), nil); err == nil {
		t.Error("outcomes without a handler were accepted")
	}
}

// Two replicas hold one message each, at the same time; then one is busy and
// the other does everything else, because nobody fetches ahead.
func TestReplicasShareTheWorkAndABusyOneHoldsNothingBack(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	var mu sync.Mutex
	seen := map[string]int{}
	got := make([]chan string, 2)
	release := make([]chan struct{}, 2)
	for i := range 2 {
		got[i], release[i] = make(chan string, 100), make(chan struct{})
		serve(t, bustest.Bus(t, srv), 1, func(_ context.Context, r event.Requested, _ bus.Try) error {
			mu.Lock()
			seen[r.DeliveryID]++
			mu.Unlock()
			got[i] <- r.DeliveryID
			<-release[i]
			return nil
		})
	}
	b := bustest.Bus(t, srv)
	all := challenges(200)
	mustRequest(t, b, all[0], all[1])
	next(t, got[0], "a message of the first replica")
	next(t, got[1], "a message of the second replica")
	close(release[1])
	mustRequest(t, b, all[2:]...)
	for range all[2:] {
		next(t, got[1], "a message of the idle replica")
	}
	close(release[0])
	empty(t, admin(t, srv), bus.StreamChallenges)
	for _, r := range all {
		if seen[r.DeliveryID] != 1 {
			t.Errorf("%s was handled %d times", r.DeliveryID, seen[r.DeliveryID])
		}
	}
}

func TestASlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	const ackWait = 2 * time.Second // a busy machine is late with its signs of life
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.AckWait = ackWait })
	calls := make(chan call, 10)
	slow := make(chan struct{})
	serve(t, b, 2, func(ctx context.Context, r event.Requested, try bus.Try) error {
		err := into(calls, nil)(ctx, r, try)
		<-slow
		return err
	})
	mustRequest(t, b, challenge("dlv_1"))
	next(t, calls, "the message")
	select { // the one thing to wait for is time itself
	case again := <-calls:
		t.Errorf("it came again: %+v", again.Try)
	case <-time.After(2 * ackWait):
	}
	close(slow)
	empty(t, admin(t, srv), bus.StreamChallenges)
	if len(calls) != 0 {
		t.Errorf("it came %d times more", len(calls))
	}
}

// A mail server may take ten minutes, twenty times AckWait, for its last
// answer: the signs of life do not stop before the handler does.
func TestTheSignsOfLifeLastAsLongAsTheHandler(t *testing.T) {
	t.Parallel()
	const ackWait = 150 * time.Millisecond
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.AckWait = ackWait })
	js := admin(t, srv)
	signs := make(chan string, 4096)
	heard, err := js.Conn().Subscribe("$JS.ACK."+bus.StreamChallenges+"."+durable+".1.>", func(msg *nats.Msg) { signs <- string(msg.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = heard.Unsubscribe() }()
	calls, slow := make(chan call, 10), make(chan struct{})
	stop := serve(t, b, 1, func(ctx context.Context, r event.Requested, try bus.Try) error {
		err := into(calls, nil)(ctx, r, try)
		<-slow
		return err
	})
	mustRequest(t, b, challenge("dlv_1"))
	next(t, calls, "the message")
	for range 3*20 + 1 {
		if sign := next(t, signs, "a sign of life"); sign != "+WPI" {
			t.Fatalf("the server was told %q while the handler runs", sign)
		}
	}
	close(slow)
	for next(t, signs, "the acknowledgement") != "+ACK" {
		continue
	}
	stop()
}

// leftBehind is the consumer of a Serve that has ended, for a test that acts
// as a worker itself.
func leftBehind(t *testing.T, b *bus.Bus, js jetstream.JetStream) (c jetstream.Consumer) {
	t.Helper()
	stop := serve(t, b, 1, into(nil, nil))
	// One that can be seen does not take requests yet.
	eventually(t, "the consumer is there and was asked", func() bool {
		var err error
		c, err = js.Consumer(t.Context(), bus.StreamChallenges, durable)
		return err == nil && c.CachedInfo().NumWaiting == 1
	})
	stop()
	return c
}

func TestAMessageOfADeadWorkerComesBack(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.AckWait = 300 * time.Millisecond })
	js := admin(t, srv)
	dying := leftBehind(t, b, js)
	mustRequest(t, b, challenge("dlv_1"))
	if _, err := dying.Next(jetstream.FetchMaxWait(patience)); err != nil { // and says nothing more
		t.Fatal(err)
	}
	calls := make(chan call, 1)
	serve(t, b, 1, into(calls, nil))
	if got := next(t, calls, "the message"); got.Number != 2 {
		t.Errorf("try %d, want 2", got.Number)
	}
}

func TestOneLineForEachMessageAndNothingOfItsContent(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	var out lockedBuffer
	seen := newCounts()
	b := bustest.Bus(t, srv, observe(seen), fast, func(c *bus.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&out, nil))
	})
	serve(t, b, 1, func(_ context.Context, r event.Requested, try bus.Try) error {
		switch {
		case try.Number == 1:
			return errAgain
		case r.DeliveryID == "dlv_panic" && try.Number < 5:
			panic("with " + string(r.Sealed))
		case r.DeliveryID == "dlv_panic":
			return nil
		}
		return nil
	})
	r := challenge("dlv_panic")
	mustRequest(t, b, r)
	for range 5 {
		next(t, seen.consumed, "a result")
	}
	if _, err := admin(t, srv).Publish(t.Context(), event.ChallengeSubject("sms", "default", "org_1"),
		[]byte(`{"n":49170123456749170123456}`)); err != nil {
		t.Fatal(err)
	}
	next(t, seen.dead, "the undecodable message")
	text := out.String()
	if n := strings.Count(text, `"msg":"bus message"`); n < 5 {
		t.Errorf("%d lines, want one for each of 5 deliveries", n)
	}
	for _, want := range []string{
		`"delivery_id":"dlv_panic"`, `"request_id":"request-of-dlv_panic"`, `"trace_id":"trace-of-dlv_panic"`, `"n":1`,
		`"delivery":5`, `"result":"acked"`, `"result":"retried"`, `"error":"try again"`, `"stack":"`, `"panic":"string"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, secret := range []string{string(r.Sealed), base64.StdEncoding.EncodeToString(r.Sealed), "49170123456749170123456"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestOutcomesAreSharedAndRetriedUntilTheyAreHandled(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, fast)
	want := event.Outcome{
		DeliveryID: "dlv_1", RequestID: "r", TraceID: "t", OrgID: "org_1", Env: event.EnvSandbox, Result: event.Accepted,
		Attempt: 1, Provider: "inbox", At: time.Now().UnixMilli(), Message: []byte("sealed"),
	}
	var tries atomic.Int64
	handled := make(chan event.Outcome, 10)
	for range 2 {
		serveOutcomes(t, bustest.Bus(t, srv, fast), func(_ context.Context, o event.Outcome) error {
			if tries.Add(1) < 40 { // far beyond where a challenge would be parked
				return errAgain
			}
			handled <- o
			return nil
		})
	}
	if err := b.Report(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := b.Report(t.Context(), want); err != nil { // swallowed: the same id
		t.Fatal(err)
	}
	got := next(t, handled, "the outcome")
	if string(got.Message) != "sealed" || got.DeliveryID != want.DeliveryID || got.Result != want.Result {
		t.Errorf("handled %+v, want %+v", got, want)
	}
	empty(t, admin(t, srv), bus.StreamDeliveries)
	if len(handled) != 0 || tries.Load() != 40 {
		t.Errorf("%d tries, want 40 and one success", tries.Load())
	}
}
