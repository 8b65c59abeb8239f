package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
)

// counting is the bus, with a list of what was handed to it.
type counting struct {
	relay.Publisher
	mu        sync.Mutex
	published map[string]int // by message id
	events    int
}

func (c *counting) Request(ctx context.Context, r event.Requested) error {
	c.mu.Lock()
	if c.published == nil {
		c.published = map[string]int{}
	}
	c.published[r.MessageID()]++
	c.mu.Unlock()
	return c.Publisher.Request(ctx, r)
}

func (c *counting) Announce(ctx context.Context, p event.Public) error {
	c.mu.Lock()
	c.events++
	c.mu.Unlock()
	return c.Publisher.Announce(ctx, p)
}

func (c *counting) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.published)
}

// Part of the mails were sent, their results unread, when the store of the bus
// is lost; the others were waiting in it. All are accepted in the end, none
// was sent twice, and each has the id that it had from the start.
//
//
func TestALostBusLosesNoMail(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const mails, early = 500, 100
		b := s.bus()
		seen := &counting{Publisher: b}
		out := s.outgoing(seen)
		s.run(out.Run)
		all := s.mails(mails)
		out.Wake()
		s.eventually("all mails are in flight", func() bool { return seen.requests() == mails })

		w := s.worker(b)
		var quota atomic.Int64
		w.decide = func(event.Requested) (event.Outcome, bool, error) {
			if quota.Add(1) > early {
				return event.Outcome{}, false, fault.RetryAfter(time.Hour, errors.New("not now"))
			}
			return event.Outcome{}, false, nil
		}
		stop := w.serve()
		s.eventually("some mails were sent", func() bool { return w.count() == early })
		stop()
		s.nats.Stop()
		s.nats.Wipe()
		s.nats.Start()
		s.eventually("the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
		if got := s.states()[delivery.Pending]; got != mails {
			t.Fatalf("%d deliveries are pending, want all: no result was read", got)
		}

		w.decide = nil
		w.serve()
		s.outcomes(b)
		start := time.Now()
		s.advance(relay.DefaultAgain)
		out.Wake()
		s.eventually("every mail is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		t.Logf("all closed %s after they were due", time.Since(start))
		if got := s.states()["accepted"]; got != mails {
			t.Errorf("%d mails are accepted, want %d: %v", got, mails, s.states())
		}
		w.once(all)
	})
}

// It is accepted while the bus is down, and leaves when it is back.
//
// Covers R-067 for mails.
func TestAMailThatWasAcceptedWhileTheBusWasDownLeavesWhenItIsBack(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus()
		w := s.worker(b)
		w.serve()
		s.outcomes(b)
		s.nats.Stop()
		out := s.outgoing(b)
		failed, open := make(chan outbox.Kind, 1000), make(chan int, 1000)
		out.Failed = func(kind outbox.Kind) { failed <- kind }
		out.Backlog = func(kind outbox.Kind, n int, oldest time.Duration) {
			if kind == outbox.Message && n == 1 && oldest >= 0 {
				open <- n
			}
		}
		s.run(out.Run)
		all := s.mails(1)
		out.Wake()
		for range 2 { // it does try
			select {
			case kind := <-failed:
				if kind != outbox.Message {
					t.Errorf("a publication of kind %s failed", kind)
				}
			case <-time.After(limit):
				t.Fatal("nothing was tried")
			}
		}
		<-open
		if w.count() != 0 || s.states()[delivery.Pending] != 1 {
			t.Errorf("%d sent, states %v", w.count(), s.states())
		}
		s.nats.Start()
		start := time.Now()
		s.eventually("the mail is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		t.Logf("it left %s after the bus was back", time.Since(start))
		if got := s.states()["accepted"]; got != 1 {
			t.Errorf("states %v, want one accepted", s.states())
		}
		w.once(all)
	})
}

// The promise of R-067 is ten seconds: a look every five, and no pause that
// is longer.
func TestTheOutboxIsLookedAtOftenEnough(t *testing.T) {
	t.Parallel()
	if relay.DefaultEvery > 5*time.Second || relay.LongestPause > 5*time.Second {
		t.Errorf("a look every %s, a pause of up to %s", relay.DefaultEvery, relay.LongestPause)
	}
	if relay.DefaultAgain > 4*time.Minute {
		t.Errorf("silence of %s before a second publication breaks R-070", relay.DefaultAgain)
	}
}

// Two processes on one database publish each n once.
//
// Covers R-079 for two relays.
func TestTwoRelaysPublishNothingTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const mails, rounds = 150, 3
		var relays []*relay.Outgoing
		var seen []*counting
		for range 2 {
			c := &counting{Publisher: s.bus()}
			out := s.outgoing(c)
			out.Outbox = s.open()
			s.run(out.Run)
			relays, seen = append(relays, out), append(seen, c)
		}
		all := s.mails(mails)
		s.must(s.Enqueue(t.Context(), s.news(), s.news()))
		for round := 1; round <= rounds; round++ {
			for _, out := range relays {
				out.Wake()
			}
			s.eventually("all of a round are published", func() bool { return seen[0].requests()+seen[1].requests() >= mails*round })
			s.eventually("the events are closed", func() bool { return s.backlog(outbox.Event) == 0 })
			s.advance(relay.DefaultAgain << round)
		}
		total, announced := map[string]int{}, 0
		for _, c := range seen {
			c.mu.Lock()
			announced += c.events
			for what, times := range c.published {
				total[what] += times
			}
			c.mu.Unlock()
		}
		for what, times := range total {
			if times != 1 {
				t.Errorf("%s was published %d times", what, times)
			}
		}
		for _, e := range all {
			for n := 1; n <= rounds; n++ {
				if total[fmt.Sprintf("%s.%d", e.ID, n)] != 1 {
					t.Errorf("publication %d of %s is missing", n, e.ID)
				}
			}
		}
		if announced != 2 {
			t.Errorf("two events were announced %d times", announced)
		}
	})
}

func TestADeferredMailIsPublishedAgainWhenItsWorkerSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus()
		w := s.worker(b)
		w.decide = func(r event.Requested) (event.Outcome, bool, error) {
			return event.Outcome{Result: event.Deferred, RetryAt: s.now().Add(time.Hour).UnixMilli(), Reason: "greylisted"}, r.N == 1, nil
		}
		w.serve()
		s.outcomes(b)
		out := s.outgoing(b)
		s.run(out.Run)
		all := s.mails(1)
		out.Wake()
		deferred := func() bool {
			list, err := s.Deliveries(t.Context(), s.tenant, delivery.Filter{}, listing.Of(1, 10))
			s.must(err)
			return len(list.Items[0].Attempts) == 1 && list.Items[0].Attempts[0].Answer == "deferred:greylisted" && list.Items[0].State == delivery.Pending
		}
		s.eventually("it is deferred", deferred)
		s.advance(30 * time.Minute) // long after silence would have been broken
		out.Wake()
		rows, err := s.TakeDue(t.Context(), outbox.Message, 10, time.Minute, s.now())
		if err != nil || len(rows) != 0 || w.count() != 0 {
			t.Errorf("%+v is due, %v; %d sent", rows, err, w.count())
		}
		s.advance(30 * time.Minute)
		out.Wake()
		s.eventually("it is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		if saw := w.saw(all[0].ID); !slices.Equal(saw, []int{1, 2}) {
			t.Errorf("publications %v, want 1 and 2", saw)
		}
		w.once(all)
	})
}

// A mail that was replaced while it waited on the bus is not sent.
func TestAReplacedMailIsNotSent(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus()
		seen := &counting{Publisher: b}
		out := s.outgoing(seen)
		s.run(out.Run)
		all := s.mails(2)
		out.Wake()
		s.eventually("both wait", func() bool { return seen.requests() == 2 })
		s.replace(t.Context(), all[0].ID)
		w := s.worker(b)
		w.serve()
		s.outcomes(b)
		s.eventually("the other is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		s.eventually("both have a result", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.results) == 2
		})
		if w.count() != 1 || w.sent[all[1].ID] != 1 {
			t.Errorf("sent %v, want only %s", w.sent, all[1].ID)
		}
	})
}

// replace does what a rule does: the row goes in a transaction, then the
// claim is withdrawn.
func (s *scene) replace(ctx context.Context, deliveryID string) {
	err := s.Apply(ctx, delivery.Update{DeliveryID: deliveryID, State: delivery.State(event.Superseded), From: []delivery.State{delivery.Pending}, At: s.now()})
	if err == nil {
		_, err = s.claims.Withdraw(ctx, deliveryID)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// meddling replaces a mail after its row was taken, before its claim is open:
// the worst moment.
type meddling struct {
	relay.Claims
	before func(deliveryID string)
}

func (m meddling) Open(ctx context.Context, deliveryID string, until time.Time) error {
	m.before(deliveryID)
	return m.Claims.Open(ctx, deliveryID, until)
}

func TestAMailThatIsReplacedWhileItIsTakenIsNotPublished(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		seen := &counting{Publisher: s.bus()}
		all := s.mails(3)
		out := s.outgoing(seen)
		out.Claims = meddling{s.claims, func(deliveryID string) {
			if deliveryID == all[1].ID {
				s.replace(context.WithoutCancel(t.Context()), deliveryID)
			}
		}}
		stop := s.run(out.Run)
		s.eventually("the others are published", func() bool { return seen.requests() == 2 })
		stop()
		if seen.published[all[1].ID+".1"] != 0 {
			t.Error("the replaced mail was published")
		}
		for i, want := range []claim.State{claim.Taken, claim.Gone, claim.Taken} {
			if c, err := s.claims.Take(t.Context(), all[i].ID, time.Minute); err != nil || c.State != want {
				t.Errorf("the claim of mail %d is %s, %v; want %s", i, c.State, err, want)
			}
		}
	})
}

// The short-lived store has lost all claims. Workers must then send nothing;
// the mails come again, with claims.
func TestLostClaimsLoseNoMail(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus()
		seen := &counting{Publisher: b}
		out := s.outgoing(seen)
		s.run(out.Run)
		all := s.mails(20)
		out.Wake()
		s.eventually("all wait", func() bool { return seen.requests() == len(all) })
		for _, e := range all {
			_, err := s.claims.Withdraw(t.Context(), e.ID)
			s.must(err)
		}
		w := s.worker(b)
		w.serve()
		s.outcomes(b)
		s.eventually("every mail is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		if got := s.states()["accepted"]; got != len(all) {
			t.Errorf("states %v", s.states())
		}
		w.once(all)
	})
}

// A full queue keeps mails in the outbox, and events pass.
func TestAFullQueueLosesNoMailAndStopsNoEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		b := s.bus(func(c *bus.Config) { c.Limits.Messages = 64 << 10 })
		out := s.outgoing(b)
		full := make(chan struct{}, 10000)
		out.Failed = func(outbox.Kind) { full <- struct{}{} }
		s.run(out.Run)
		all := s.mails(200)
		out.Wake()
		select {
		case <-full:
		case <-time.After(limit):
			t.Fatal("the queue took everything: the test tests nothing")
		}
		s.must(s.Enqueue(t.Context(), s.news()))
		out.Wake()
		s.eventually("the event is published", func() bool { return s.backlog(outbox.Event) == 0 })
		if open := s.backlog(outbox.Message); open != len(all) {
			t.Errorf("%d mails are in the outbox, want all %d", open, len(all))
		}
		w := s.worker(b)
		w.serve()
		s.outcomes(b)
		s.eventually("every mail is accepted", func() bool { return s.backlog(outbox.Message) == 0 })
		w.once(all)
	})
}

// stuck is a bus that holds every publication until it is let go.
type stuck struct {
	relay.Publisher
	arrived chan string
	release chan struct{}
}

func (p stuck) Request(ctx context.Context, r event.Requested) error {
	p.arrived <- r.DeliveryID
	<-p.release
	return p.Publisher.Request(ctx, r)
}

// A stop finishes what is being published, and leaves the rest to others at
// once instead of after minutes of silence.
func TestAStopLeavesTheRestToOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		p := stuck{s.bus(), make(chan string, 1000), make(chan struct{})}
		out := s.outgoing(p)
		s.mails(60)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = out.Run(ctx) })
		<-p.arrived
		cancel()
		close(p.release)
		running.Wait()
		inHand := 1 + len(p.arrived)
		rows, err := s.TakeDue(t.Context(), outbox.Message, 100, time.Minute, s.now())
		if err != nil || inHand >= 60 || len(rows) != 60-inHand {
			t.Errorf("%d were published, %d are due, %v; want the other %d", inHand, len(rows), err, 60-inHand)
		}
	})
}

// Short-lived state that cannot be reached keeps mails where they are.
func TestWithoutClaimsNothingIsPublished(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		seen := &counting{Publisher: s.bus()}
		out := s.outgoing(seen)
		out.Claims = &claim.Book{Store: unreachable{}, Now: s.now}
		failed := make(chan outbox.Kind, 1000)
		out.Failed = func(kind outbox.Kind) { failed <- kind }
		s.run(out.Run)
		s.mails(5)
		out.Wake()
		for range 2 {
			<-failed
		}
		if seen.requests() != 0 || s.backlog(outbox.Message) != 5 {
			t.Errorf("%d published, %d open", seen.requests(), s.backlog(outbox.Message))
		}
	})
}

type unreachable struct{}

var errUnreachable = errors.New("unreachable")

func (unreachable) Get(context.Context, string) ([]byte, error) { return nil, errUnreachable }

func (unreachable) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	return false, errUnreachable
}

func (unreachable) Delete(context.Context, string) (bool, error) { return false, errUnreachable }
