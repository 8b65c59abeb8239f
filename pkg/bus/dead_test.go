package bus_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// shelf compares what was parked with the payload and the headers that it
// must have.
func checkParked(t *testing.T, js jetstream.JetStream, sequence uint64, subject, payload string, headers map[string]string) {
	t.Helper()
	msg := stored(t, js, bus.StreamDead, sequence)
	if msg.Subject != subject || string(msg.Data) != payload {
		t.Errorf("parked %q at %s, want %q at %s", msg.Data, msg.Subject, payload, subject)
	}
	got := map[string]string{}
	for name := range headers {
		got[name] = msg.Header.Get(name)
	}
	if !maps.Equal(got, headers) {
		t.Errorf("parked with %v, want %v", got, headers)
	}
	if ttl := msg.Header.Get("Nats-TTL"); ttl != "" {
		t.Errorf("the copy would vanish after %s", ttl)
	}
}

func checkParkedOutcome(t *testing.T, outcomes <-chan event.Outcome, id string, attempt int) {
	t.Helper()
	o := next(t, outcomes, "the outcome of the parked message")
	at := time.Since(time.UnixMilli(o.At))
	o.At = 0
	want := event.Outcome{
		DeliveryID: id, RequestID: "request-of-" + id, TraceID: "trace-of-" + id, OrgID: "org_1", Env: event.EnvDefault,
		Result: event.Failed, Attempt: attempt, Reason: "parked",
	}
	if fmt.Sprint(o) != fmt.Sprint(want) || at < 0 || at > time.Minute {
		t.Errorf("outcome %+v, %s ago, want %+v", o, at, want)
	}
}

func TestAPermanentFailureIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	seen := newCounts()
	b, js := bustest.Bus(t, srv, observe(seen)), admin(t, srv)
	calls, outcomes := make(chan call, 10), make(chan event.Outcome, 10)
	mustRequest(t, b, challenge("dlv_1"))
	payload := string(stored(t, js, bus.StreamChallenges, 1).Data) // as long as nobody takes it
	serve(t, b, 1, into(calls, fault.Permanent(errors.New("no such template"))))
	if reason := next(t, seen.dead, "the dead letter"); reason != "permanent" {
		t.Errorf("reason %s", reason)
	}
	serveOutcomes(t, b, outcomesInto(outcomes))
	checkParkedOutcome(t, outcomes, "dlv_1", 1)
	checkParked(t, js, 1, "countersign.v1.dead.sms", payload, map[string]string{
		"Countersign-Reason":     "permanent",
		"Countersign-Subject":    "countersign.v1.challenge.requested.sms.default.org_1",
		"Countersign-Stream":     "CHALLENGES",
		"Countersign-Sequence":   "1",
		"Countersign-Deliveries": "1",
		"Countersign-Request-Id": "request-of-dlv_1",
		"Countersign-Trace-Id":   "trace-of-dlv_1",
	})
	empty(t, js, bus.StreamChallenges)
	if len(calls) != 1 {
		t.Errorf("%d tries, want 1", len(calls))
	}
}

// The copy has to be safe before the original goes: as long as the shelf
// takes nothing, the message stays where it is and comes again.
func TestNothingIsAcknowledgedBeforeItsCopyIsParked(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	js := admin(t, srv)
	shelf := jetstream.StreamConfig{Name: bus.StreamDead, Subjects: []string{"elsewhere.>"}, MaxBytes: 1 << 20, Duplicates: 5 * time.Minute}
	if _, err := js.CreateStream(t.Context(), shelf); err != nil {
		t.Fatal(err)
	}
	seen := newCounts()
	b := bustest.Connect(t, srv, observe(seen), fast, func(c *bus.Config) { c.PublishDeadline = 300 * time.Millisecond })
	eventually(t, "the queue is there", func() bool {
		_, err := js.Stream(t.Context(), bus.StreamChallenges)
		return err == nil
	})
	serve(t, b, 1, into(make(chan call, 1000), fault.Permanent(errAgain)))
	mustRequest(t, b, challenge("dlv_1"))
	for range 3 {
		if result := next(t, seen.consumed, "a result"); result != "retried" {
			t.Errorf("result %s without a shelf", result)
		}
	}
	if n := state(t, js, bus.StreamChallenges).Msgs; n != 1 || len(seen.dead) != 0 {
		t.Errorf("%d messages wait and %d are parked, want 1 and 0", n, len(seen.dead))
	}
	shelf.Subjects = []string{"countersign.v1.dead.>"}
	if _, err := js.UpdateStream(t.Context(), shelf); err != nil {
		t.Fatal(err)
	}
	next(t, seen.dead, "the dead letter")
	empty(t, js, bus.StreamChallenges)
	if n := state(t, js, bus.StreamDead).Msgs; n != 1 {
		t.Errorf("%d copies are parked, want 1", n)
	}
}

func TestWhatCannotBeReadIsParkedUnseen(t *testing.T) {
	t.Parallel()
	const subject = "countersign.v1.challenge.requested.sms.default.org_1"
	foreign := `{"delivery_id":"d","n":1,"request_id":"r","channel":"sms","env":"default","org_id":"org_2","created_at":1,"expires_at":2,"sealed":"AA=="}`
	cases := map[string]string{
		"nothing":                        "",
		"something else":                 "\x00\x01not json",
		"another payload":                `{"delivery_id":"d"}`,
		"another organization's payload": foreign,
	}
	for name, payload := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := bustest.Server(t)
			seen := newCounts()
			b, js := bustest.Bus(t, srv, observe(seen)), admin(t, srv)
			calls := make(chan call, 10)
			serve(t, b, 1, into(calls, nil))
			if _, err := js.Publish(t.Context(), subject, []byte(payload)); err != nil {
				t.Fatal(err)
			}
			if reason := next(t, seen.dead, "the dead letter"); reason != "undecodable" {
				t.Errorf("reason %s", reason)
			}
			checkParked(t, js, 1, "countersign.v1.dead.sms", payload, map[string]string{
				"Countersign-Reason": "undecodable", "Countersign-Subject": subject, "Countersign-Deliveries": "1",
			})
			empty(t, js, bus.StreamChallenges)
			if len(calls) != 0 {
				t.Error("the handler saw it")
			}
			if n := state(t, js, bus.StreamDeliveries).LastSeq; n != 0 {
				t.Errorf("%d outcomes of nobody's delivery", n)
			}
		})
	}
}

func TestAPanicIsParkedAtItsFifthTryWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	seen := newCounts()
	b, js := bustest.Bus(t, srv, observe(seen), fast), admin(t, srv)
	var tries atomic.Int64
	calls, outcomes := make(chan call, 100), make(chan event.Outcome, 10)
	serve(t, b, 2, func(ctx context.Context, r event.Requested, try bus.Try) error {
		if r.DeliveryID == "dlv_poison" {
			tries.Add(1)
			var none map[string]int
			none[r.DeliveryID] = 1
		}
		return into(calls, nil)(ctx, r, try)
	})
	mustRequest(t, b, challenge("dlv_poison"))
	mustRequest(t, b, challenges(50)...)
	for range 50 {
		next(t, calls, "a good message")
	}
	if reason := next(t, seen.dead, "the dead letter"); reason != "panic" {
		t.Errorf("reason %s", reason)
	}
	serveOutcomes(t, b, outcomesInto(outcomes))
	checkParkedOutcome(t, outcomes, "dlv_poison", 5)
	empty(t, js, bus.StreamChallenges)
	if n := tries.Load(); n != 5 {
		t.Errorf("%d tries, want 5", n)
	}
	if got := stored(t, js, bus.StreamDead, 1).Header.Get(bus.HeaderDeliveries); got != "5" {
		t.Errorf("parked after %s deliveries, want 5", got)
	}
}

func TestAnOrdinaryFailureIsParkedAtItsTwentiethTry(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	seen := newCounts()
	b, js := bustest.Bus(t, srv, observe(seen), fast), admin(t, srv)
	calls, outcomes := make(chan call, 100), make(chan event.Outcome, 10)
	serve(t, b, 1, into(calls, errAgain))
	mustRequest(t, b, challenge("dlv_1"))
	if reason := next(t, seen.dead, "the dead letter"); reason != "tries" {
		t.Errorf("reason %s", reason)
	}
	serveOutcomes(t, b, outcomesInto(outcomes))
	checkParkedOutcome(t, outcomes, "dlv_1", 20)
	empty(t, js, bus.StreamChallenges)
	if len(calls) != 20 {
		t.Errorf("%d tries, want 20", len(calls))
	}
}

// A message that takes the process down each time is never answered. It must
// not be tried for ever, nor end in the server's own limit, where nobody
// looks.
func TestAMessageThatNobodyEverAnsweredIsParkedUntried(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	seen := newCounts()
	b, js := bustest.Bus(t, srv, observe(seen), fast), admin(t, srv)
	c := leftBehind(t, b, js)
	mustRequest(t, b, challenge("dlv_1"))
	for range 20 {
		msg, err := c.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.Nak(); err != nil {
			t.Fatal(err)
		}
	}
	calls := make(chan call, 10)
	serve(t, b, 1, into(calls, nil))
	if reason := next(t, seen.dead, "the dead letter"); reason != "tries" {
		t.Errorf("reason %s", reason)
	}
	empty(t, js, bus.StreamChallenges)
	if len(calls) != 0 {
		t.Error("the handler was called")
	}
}

func TestAPoisonedOutcomeIsParked(t *testing.T) {
	t.Parallel()
	const subject = "countersign.v1.delivery.accepted"
	srv := bustest.Server(t)
	seen := newCounts()
	b, js := bustest.Bus(t, srv, observe(seen), fast), admin(t, srv)
	outcomes := make(chan event.Outcome, 10)
	serveOutcomes(t, b, outcomesInto(outcomes))
	for _, payload := range []string{"{", `{"delivery_id":"d","result":"failed","at":1}`} {
		if _, err := js.Publish(t.Context(), subject, []byte(payload)); err != nil {
			t.Fatal(err)
		}
		if reason := next(t, seen.dead, "the dead letter"); reason != "undecodable" {
			t.Errorf("reason %s", reason)
		}
	}
	checkParked(t, js, 1, "countersign.v1.dead.delivery", "{", map[string]string{
		"Countersign-Subject": subject, "Countersign-Stream": "DELIVERIES", "Countersign-Sequence": "1",
	})
	empty(t, js, bus.StreamDeliveries)
	if len(outcomes) != 0 {
		t.Error("the handler saw one")
	}
}
