package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// patience is for a machine that is busy with other things.
const patience = 20 * time.Second

// TestMain looks for goroutines that outlive the tests. A stream that is created
// while its server shuts down keeps the two that nats-server starts for a file
// store: the server closes only the stores it knew of when it began.
func TestMain(m *testing.M) {
	const srv = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction(srv+"/ats.Register.func1"),
		goleak.IgnoreTopFunction(srv+".(*fileStore).flushStreamStateLoop"))
}

func challenge(id string) event.Requested {
	now := time.Now()
	return event.Requested{
		DeliveryID: id,
		N:          1,
		RequestID:  "request-of-" + id,
		TraceID:    "trace-of-" + id,
		Channel:    event.ChannelSMS,
		Env:        event.EnvDefault,
		OrgID:      "org_1",
		CreatedAt:  now.UnixMilli(),
		ExpiresAt:  now.Add(5 * time.Minute).UnixMilli(),
		Sealed:     []byte("sealed content of " + id),
	}
}

func challenges(n int) []event.Requested {
	all := make([]event.Requested, n)
	for i := range all {
		all[i] = challenge(fmt.Sprintf("dlv_%03d", i))
	}
	return all
}

func mustRequest(t *testing.T, b *bus.Bus, all ...event.Requested) {
	t.Helper()
	for _, r := range all {
		if err := b.Request(t.Context(), r); err != nil {
			t.Fatalf("request %s: %v", r.DeliveryID, err)
		}
	}
}

func checkUnavailable(t *testing.T, err error) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Unavailable || f.Code != "delivery_unavailable" || f.After != 5*time.Second || f.Cause == nil {
		t.Fatalf("got %v, want an Unavailable fault delivery_unavailable with a cause, to be retried in 5 s", err)
	}
}

// handler is a Work.Handle.
type handler = func(context.Context, event.Requested, bus.Try) error

// serve runs Serve in the background and returns what ends it and waits.
func serve(t *testing.T, b *bus.Bus, workers int, handle handler) (stop func()) {
	t.Helper()
	return background(t, func(ctx context.Context) error {
		return b.Serve(ctx, bus.Work{
			Channel: event.ChannelSMS, Class: "code", Env: event.EnvDefault, Workers: workers, Handle: handle,
		})
	})
}

func serveOutcomes(t *testing.T, b *bus.Bus, handle func(context.Context, event.Outcome) error) (stop func()) {
	t.Helper()
	return background(t, func(ctx context.Context) error { return b.ServeOutcomes(ctx, handle) })
}

func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// call is what a handler was called with.
type call struct {
	event.Requested
	bus.Try
	at time.Time
}

// into is a handler that hands its calls to the test and answers with err.
func into(calls chan<- call, err error) handler {
	return func(_ context.Context, r event.Requested, try bus.Try) error {
		calls <- call{r, try, time.Now()}
		return err
	}
}

func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// eventually polls what nothing can signal: the state of the server.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("did not come true: %s", what)
		}
	}
}

// counts is an Observer that hands everything to the test.
type counts struct {
	consumed chan string // results
	dead     chan string // reasons
}

func newCounts() *counts {
	return &counts{make(chan string, 4096), make(chan string, 4096)}
}

func (*counts) Published(string, error)                         {}
func (c *counts) Consumed(_, result string, took time.Duration) { c.consumed <- result }
func (c *counts) Dead(_, reason string)                         { c.dead <- reason }

func observe(o bus.Observer) func(*bus.Config) {
	return func(c *bus.Config) { c.Observe = o }
}

// fast makes retries a matter of milliseconds.
func fast(c *bus.Config) { c.RetryTable = []time.Duration{time.Millisecond} }

// admin is the view of an operator: a plain client beside the bus.
func admin(t *testing.T, srv *bustest.NATS) jetstream.JetStream {
	t.Helper()
	closed := make(chan struct{})
	nc, err := nats.Connect(srv.URL, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); <-closed })
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func state(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamState {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	return s.CachedInfo().State
}

func empty(t *testing.T, js jetstream.JetStream, stream string) {
	t.Helper()
	eventually(t, stream+" is empty", func() bool { return state(t, js, stream).Msgs == 0 })
}

func stored(t *testing.T, js jetstream.JetStream, stream string, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	msg, err := s.GetMsg(t.Context(), sequence)
	if err != nil {
		t.Fatalf("message %d of %s: %v", sequence, stream, err)
	}
	return msg
}

func outcomesInto(outcomes chan<- event.Outcome) func(context.Context, event.Outcome) error {
	return func(_ context.Context, o event.Outcome) error {
		outcomes <- o
		return nil
	}
}
