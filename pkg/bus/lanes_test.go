package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/event"
)

// own is a mail of an organization with a mail server of its own.
func own(org string, kind event.Kind, n int) event.Requested {
	r := challenge(fmt.Sprintf("%s_%s_%04d", org, kind, n))
	r.Kind, r.Channel, r.OrgID, r.Server = kind, event.ChannelOwnEmail, org, []byte("sealed server")
	return r
}

func serveLanes(t *testing.T, b *bus.Bus, handle handler) (stop func()) {
	t.Helper()
	return background(t, func(ctx context.Context) error {
		return b.ServeLanes(ctx, bus.Lanes{Channel: event.ChannelOwnEmail, Env: event.EnvDefault, Workers: 2, Handle: handle})
	})
}

// Covers R-125 (mails of an organization whose handling never ends, beside those of others).
func TestALaneThatStandsStillDelaysNoOther(t *testing.T) {
	t.Parallel()
	const many = 1500 // more than a consumer may have unanswered
	b := bustest.Bus(t, bustest.Server(t), fast)
	var mu sync.Mutex
	handled, held, most := map[string][]string{}, 0, 0
	release, done := make(chan struct{}), make(chan string, many+100)
	serveLanes(t, b, func(ctx context.Context, r event.Requested, _ bus.Try) error {
		if r.OrgID == "org_a" {
			mu.Lock()
			held++
			most = max(most, held)
			mu.Unlock()
			<-release
			mu.Lock()
			held--
			mu.Unlock()
		}
		mu.Lock()
		handled[r.OrgID+string(r.Kind)] = append(handled[r.OrgID+string(r.Kind)], r.DeliveryID)
		mu.Unlock()
		done <- r.OrgID
		return nil
	})
	for n := range many {
		mustRequest(t, b, own("org_a", event.KindNotice, n))
	}
	for n := range 20 {
		mustRequest(t, b, own("org_b", event.KindMagicLink, n), own("org_b", event.KindNotice, n))
	}
	for range 40 {
		if org := next(t, done, "a mail of the other organization"); org != "org_b" {
			t.Fatalf("a mail of %s came first", org)
		}
	}
	mu.Lock()
	if most > 2 {
		t.Errorf("%d messages of the lane that stands still are in hand, want at most its 2 workers", most)
	}
	for _, kind := range []event.Kind{event.KindMagicLink, event.KindNotice} {
		if got := handled["org_b"+string(kind)]; len(got) != 20 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != 20 {
			t.Errorf("%s of the other organization: %v", kind, got)
		}
	}
	mu.Unlock()
	close(release)
	for range many {
		next(t, done, "what has waited")
	}
	mu.Lock()
	defer mu.Unlock()
	if got := handled["org_a"+string(event.KindNotice)]; len(slices.Compact(slices.Sorted(slices.Values(got)))) != many {
		t.Errorf("%d of %d came once", len(got), many)
	}
}

func TestLanesKeepToTheirChannelAndEnvironment(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls := make(chan call, 10)
	serveLanes(t, b, into(calls, nil))
	shared, sandbox := own("org_a", event.KindNotice, 1), own("org_a", event.KindNotice, 2)
	shared.Channel, shared.Server, sandbox.Env = event.ChannelEmail, nil, event.EnvSandbox
	mustRequest(t, b, shared, sandbox, own("org_a", event.KindNotice, 3))
	if got := next(t, calls, "the message"); got.DeliveryID != "org_a_notice_0003" {
		t.Errorf("handled %s", got.DeliveryID)
	}
	eventually(t, "the other two stay", func() bool { return state(t, admin(t, srv), bus.StreamMessages).Msgs == 2 })
}

// The times are handed in: nobody waits for a minute.
func TestALaneWithoutMessagesClosesAndOpensAgain(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b := bustest.Bus(t, srv)
	calls, js := make(chan call, 10), admin(t, srv)
	lanes := bus.NewOpenLanes(b, bus.Lanes{Channel: event.ChannelOwnEmail, Env: event.EnvDefault, Workers: 2, Handle: into(calls, nil)})
	defer lanes.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // before it closes, whatever it has forgotten
	busy := event.RequestSubject(event.KindNotice, event.ChannelOwnEmail, event.EnvDefault, "org_a")
	idle := event.RequestSubject(event.KindNotice, event.ChannelOwnEmail, event.EnvDefault, "org_b")
	// asking waits until so many workers of a lane ask the server for messages.
	asking := func(org string, workers int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d workers of %s ask for messages", workers, org), func() bool {
			lane, err := js.Consumer(t.Context(), bus.StreamMessages, event.ChannelOwnEmail+"-notice-default-"+org)
			return err == nil && lane.CachedInfo().NumWaiting == workers
		})
	}
	open := func(want ...string) {
		t.Helper()
		if got := lanes.Open(); !slices.Equal(got, want) {
			t.Fatalf("there are lanes for %v, want %v", got, want)
		}
	}
	start := time.Now()
	lanes.Follow(ctx, start, busy, idle)
	asking("org_a", 2)
	asking("org_b", 2)
	lanes.Follow(ctx, start.Add(bus.LaneIdle-1), busy)
	open(busy, idle)
	lanes.Follow(ctx, start.Add(bus.LaneIdle), busy)
	open(busy)
	asking("org_b", 0)
	asking("org_a", 2)

	mustRequest(t, b, own("org_b", event.KindNotice, 1))
	lanes.Follow(ctx, start.Add(bus.LaneIdle+1), idle)
	open(busy, idle)
	if got := next(t, calls, "the message of the lane that had closed"); got.DeliveryID != "org_b_notice_0001" {
		t.Errorf("handled %s", got.DeliveryID)
	}
	asking("org_b", 2)
	lanes.Follow(ctx, start.Add(2*bus.LaneIdle), idle)
	open(idle)
	asking("org_a", 0)
}

func TestLanesThatAreNotValidAreRefused(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t, bustest.Server(t))
	good := bus.Lanes{Channel: event.ChannelOwnEmail, Env: event.EnvDefault, Handle: into(nil, nil)}
	for what, change := range map[string]func(*bus.Lanes){
		"channel":     func(l *bus.Lanes) { l.Channel = "a.b" },
		"environment": func(l *bus.Lanes) { l.Env = "prod" },
		"handler":     func(l *bus.Lanes) { l.Handle = nil },
	} {
		l := good
		change(&l)
		if err := b.ServeLanes(t.Context(), l); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
