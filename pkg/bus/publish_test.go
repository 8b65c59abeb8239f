package bus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

func TestRequestIsStoredAsTheContractSays(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	r := challenge("dlv_1")
	r.ExpiresAt = time.Now().Add(90*time.Second + 300*time.Millisecond).UnixMilli()
	mustRequest(t, b, r)

	msg := stored(t, js, bus.StreamChallenges, 1)
	payload, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"subject":                "countersign.v1.challenge.requested.sms.default.org_1",
		"payload":                string(payload),
		"Nats-Msg-Id":            "dlv_1.1",
		"Nats-TTL":               "1m31s",
		"Countersign-Request-Id": "request-of-dlv_1",
		"Countersign-Trace-Id":   "trace-of-dlv_1",
	}
	got := map[string]string{"subject": msg.Subject, "payload": string(msg.Data)}
	for field := range want {
		if _, ok := got[field]; !ok {
			got[field] = msg.Header.Get(field)
		}
	}
	for field := range want {
		if got[field] != want[field] {
			t.Errorf("%s is %q, want %q", field, got[field], want[field])
		}
	}
}

func TestRequestIsHandledOnceAndForgotten(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls := make(chan call, 10)
	serve(t, b, 2, into(calls, nil))
	want := challenge("dlv_1")
	mustRequest(t, b, want)
	got := next(t, calls, "the message")
	if got.DeliveryID != want.DeliveryID || string(got.Sealed) != string(want.Sealed) || got.Try != (bus.Try{Number: 1}) {
		t.Errorf("handled %+v, want %+v at its first try", got, want)
	}
	empty(t, admin(t, srv), bus.StreamChallenges)
}

// slack is what a refusal may take where the machine has much else to do: it
// finds what waits for ever. That the deadline of a publication is 2 s is the
// test of the defaults; that it is kept, the test with one of 0.2 s.
const slack = 15 * time.Second

//
func TestNothingIsSentLaterThatWasRefusedWhileTheServerWasDown(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls := make(chan call, 100)
	serve(t, b, 4, into(calls, nil))
	srv.Stop()
	var callers sync.WaitGroup
	for _, r := range challenges(32) {
		callers.Go(func() {
			start := time.Now()
			err := b.Request(t.Context(), r)
			if took := time.Since(start); took > slack {
				t.Errorf("refused after %s", took)
			}
			if fault.KindOf(err) != fault.Unavailable {
				t.Errorf("got %v, want Unavailable", err)
			}
		})
	}
	callers.Wait()
	checkUnavailable(t, b.Request(t.Context(), challenge("dlv_down")))
	checkUnavailable(t, b.Report(t.Context(), event.Outcome{DeliveryID: "dlv_down", Result: event.Failed, At: 1}))

	srv.Start()
	eventually(t, "the bus is ready again", func() bool { return b.Ready(t.Context()) == nil })
	mustRequest(t, b, challenge("dlv_after"))
	if got := next(t, calls, "the message from after"); got.DeliveryID != "dlv_after" {
		t.Errorf("handled %s, which was refused", got.DeliveryID)
	}
	js := admin(t, srv)
	empty(t, js, bus.StreamChallenges)
	if last := state(t, js, bus.StreamChallenges).LastSeq; last != 1 || len(calls) != 0 {
		t.Errorf("%d messages reached the stream and %d more the handler, want 1 and 0", last, len(calls))
	}
}

func TestABusThatNeverSawItsServerRefusesAtOnceAndConnectsLater(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	srv.Stop()
	b := bustest.Connect(t, srv, func(c *bus.Config) { c.PublishDeadline = time.Hour }) // that nothing may wait for
	start := time.Now()
	checkUnavailable(t, b.Request(t.Context(), challenge("dlv_early")))
	checkUnavailable(t, b.Ready(t.Context()))
	if took := time.Since(start); took > slack {
		t.Errorf("refused after %s, want at once", took)
	}
	calls := make(chan call, 10)
	serve(t, b, 1, into(calls, nil))
	srv.Start()
	eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
	mustRequest(t, b, challenge("dlv_1"))
	if got := next(t, calls, "the message"); got.DeliveryID != "dlv_1" {
		t.Errorf("handled %s, which was refused", got.DeliveryID)
	}
}

func TestRequestWithoutAnAnswerFailsWithinItsDeadline(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	p := newProxy(t, srv)
	b := bustest.Bus(t, srv, p.use, func(c *bus.Config) { c.PublishDeadline = 200 * time.Millisecond })
	p.onAnswer(func() verdict { return swallow })
	start := time.Now()
	checkUnavailable(t, b.Request(t.Context(), challenge("dlv_1")))
	if took := time.Since(start); took > slack {
		t.Errorf("failed after %s", took)
	}
}

//
func TestLostAnswersDoNotMultiplyMessages(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	p := newProxy(t, srv)
	b := bustest.Bus(t, srv, p.use, func(c *bus.Config) { c.PublishDeadline = 10 * time.Second })
	all := challenges(100)
	for i, r := range all {
		var lost atomic.Bool
		p.onAnswer(func() verdict {
			if !lost.CompareAndSwap(false, true) {
				return pass
			}
			if i == 50 {
				srv.Stop()
				srv.Start()
			}
			return cut
		})
		mustRequest(t, b, r)
		if !lost.Load() {
			t.Fatal("no answer was lost: the test tests nothing")
		}
	}
	if n := state(t, admin(t, srv), bus.StreamChallenges).Msgs; n != 100 {
		t.Errorf("%d messages are stored, want 100", n)
	}
	calls := make(chan call, 1000)
	stop := serve(t, b, 4, into(calls, nil))
	empty(t, admin(t, srv), bus.StreamChallenges)
	stop()
	seen := map[string]int{}
	for len(calls) > 0 {
		seen[(<-calls).DeliveryID]++
	}
	for _, r := range all {
		if seen[r.DeliveryID] != 1 {
			t.Errorf("%s was delivered %d times", r.DeliveryID, seen[r.DeliveryID])
		}
	}
}

func TestARepeatedMessageIDIsDroppedAndARaisedNIsNot(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	r := challenge("dlv_1")
	mustRequest(t, b, r, r, r)
	r.N = 2
	mustRequest(t, b, r, r)
	if n := state(t, admin(t, srv), bus.StreamChallenges).Msgs; n != 2 {
		t.Errorf("%d messages are stored, want 2", n)
	}
}

func TestOneMessagePublishedByManyAtOnceIsStoredOnce(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	const rounds = 100
	for _, r := range challenges(rounds) {
		var publishers sync.WaitGroup
		for range 32 {
			publishers.Go(func() {
				if err := b.Request(t.Context(), r); err != nil {
					t.Errorf("request: %v", err)
				}
			})
		}
		publishers.Wait()
	}
	if n := state(t, admin(t, srv), bus.StreamChallenges).Msgs; n != rounds {
		t.Errorf("%d messages are stored, want %d", n, rounds)
	}
}

func TestAMessageVanishesWithItsLife(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	short, long := challenge("dlv_short"), challenge("dlv_long")
	short.ExpiresAt = time.Now().Add(time.Second).UnixMilli()
	mustRequest(t, b, short, long)
	eventually(t, "only the long-lived message is left", func() bool {
		s := state(t, js, bus.StreamChallenges)
		return s.Msgs == 1 && s.FirstSeq == 2
	})
}

func TestAFullStreamRefusesAtOnceAndTakesAgainWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	// With tries until the deadline the test would not end in its time.
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.Limits.Challenges, c.PublishDeadline = 16<<10, time.Hour })
	var refused error
	for _, r := range challenges(100) {
		if refused = b.Request(t.Context(), r); refused != nil {
			break
		}
	}
	checkUnavailable(t, refused)
	if api, ok := errors.AsType[*jetstream.APIError](refused); !ok || api.ErrorCode != 10077 {
		t.Errorf("the cause is %v, want the server's 10077", refused)
	}
	if f, _ := errors.AsType[*fault.Error](refused); strings.Contains(f.Message, "nats") {
		t.Errorf("the public message %q tells the cause", f.Message)
	}
	calls := make(chan call, 1000)
	serve(t, b, 4, into(calls, nil))
	empty(t, admin(t, srv), bus.StreamChallenges)
	mustRequest(t, b, challenge("dlv_after"))
}

func TestAMissingStreamIsRestoredWithinOneRequest(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	if err := admin(t, srv).DeleteStream(t.Context(), bus.StreamChallenges); err != nil {
		t.Fatal(err)
	}
	mustRequest(t, b, challenge("dlv_1"))
}

func TestAPayloadThatIsNotValidIsNotPublished(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	r := challenge("dlv_1")
	r.OrgID = "org_1.>"
	if err := b.Request(t.Context(), r); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("request: %v, want an internal error", err)
	}
	if err := b.Report(t.Context(), event.Outcome{DeliveryID: "dlv_1"}); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("report: %v, want an internal error", err)
	}
	if n := state(t, admin(t, srv), bus.StreamChallenges).LastSeq; n != 0 {
		t.Errorf("%d messages were published", n)
	}
}
