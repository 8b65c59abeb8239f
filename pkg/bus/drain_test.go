package bus_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
)

func TestDrainFinishesWhatIsInHandAndStartsNothingElse(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	inHand, release := make(chan call, 10), make(chan struct{})
	lived := make(chan error, 1)
	stop := serve(t, b, 1, func(ctx context.Context, r event.Requested, try bus.Try) error {
		inHand <- call{r, try, time.Now()}
		<-release
		lived <- ctx.Err()
		return nil
	})
	mustRequest(t, b, challenges(3)...)
	first := next(t, inHand, "the first message")

	drained := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() { stop(); close(drained) })
	select {
	case <-drained:
		t.Fatal("serve returned with a message in hand")
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	next(t, drained, "the end of serve")
	stopping.Wait()
	if err := <-lived; err != nil {
		t.Errorf("the context of the handler in hand ended: %v", err)
	}
	if len(inHand) != 0 {
		t.Errorf("%d messages were started after the end began", len(inHand))
	}
	if left := state(t, js, bus.StreamChallenges).Msgs; left != 2 {
		t.Errorf("%d messages are left, want 2: %s must be acknowledged", left, first.DeliveryID)
	}
	// AckWait is 30 s: what somebody still held would come too late.
	calls := make(chan call, 10)
	start := time.Now()
	serve(t, b, 1, into(calls, nil))
	next(t, calls, "the second message")
	next(t, calls, "the third message")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the rest came after %s, want at once", took)
	}
}

func TestAHandlerPastTheGraceIsCutOffAndItsMessageGivenBack(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv, func(c *bus.Config) { c.Grace = 100 * time.Millisecond })
	started := make(chan call, 1)
	stop := serve(t, b, 1, func(ctx context.Context, r event.Requested, try bus.Try) error {
		started <- call{r, try, time.Now()}
		<-ctx.Done()
		return ctx.Err()
	})
	mustRequest(t, b, challenge("dlv_1"))
	next(t, started, "the message")
	stop()
	calls := make(chan call, 1)
	serve(t, b, 1, into(calls, nil))
	if got := next(t, calls, "the message"); got.Number != 2 {
		t.Errorf("try %d, want 2", got.Number)
	}
}

// While messages rush in, every stop must leave nothing stuck (with an AckWait
// of 30 s the test would run out of patience) and nothing to be done again.
func TestNothingIsStuckAfterManyStopsUnderLoad(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls, handled := make(chan call, 4096), make(chan string, 4096)
	handle := func(ctx context.Context, r event.Requested, try bus.Try) error {
		handled <- r.DeliveryID
		return into(calls, nil)(ctx, r, try)
	}
	all := challenges(400)
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for _, r := range all {
			if err := b.Request(t.Context(), r); err != nil {
				t.Errorf("request: %v", err)
			}
		}
	})
	for range 20 {
		stop := serve(t, b, 4, handle)
		for range 10 {
			next(t, calls, "a message")
		}
		stop()
	}
	publishing.Wait()
	stop := serve(t, b, 4, handle)
	empty(t, admin(t, srv), bus.StreamChallenges)
	stop()
	seen := map[string]int{}
	for len(handled) > 0 {
		seen[<-handled]++
	}
	for _, r := range all {
		if seen[r.DeliveryID] != 1 {
			t.Errorf("%s was handled %d times", r.DeliveryID, seen[r.DeliveryID])
		}
	}
}

// A message may arrive in the very moment in which a worker stops asking.
// Whoever only hung up would keep it for the rest of AckWait.
func TestAMessageThatCameTooLateIsGivenBack(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, js := bustest.Bus(t, srv), admin(t, srv)
	c := leftBehind(t, b, js)
	p, err := bus.NewPuller(b, bus.StreamChallenges, durable)
	if err != nil {
		t.Fatal(err)
	}
	p.Ask()
	mustRequest(t, b, challenge("dlv_1"))
	eventually(t, "the message is handed out", func() bool {
		info, err := c.Info(t.Context())
		return err == nil && info.NumAckPending == 1
	})
	p.GiveBack()
	calls := make(chan call, 1)
	serve(t, b, 1, into(calls, nil))
	if got := next(t, calls, "the message"); got.Number != 2 {
		t.Errorf("try %d, want 2", got.Number)
	}
}
