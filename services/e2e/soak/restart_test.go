package soak_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"countersign.dev/services/e2e/stage"
)

const (
	// backWithin is when everybody works again on a machine that does all this
	// at once. How long it really took, R-069 asks for 5 s, is told and
	// decides nothing.
	backWithin = 2 * time.Minute
	// moreGoroutines is what an api may have more than before.
	moreGoroutines = 10
)

// The bus is killed under load and comes back with its store, again and again.
// What was accepted is delivered, what was refused is never sent, and api and
// workers find back by themselves.
//
// Covers R-069 (gone for 1 to 3 s each time in place of 30 s).
func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	s := newScene(t, 100) // no send is uncertain here: nothing needs the list
	restarts := size() / 200
	s.slowly(2*size(), 20*time.Millisecond)
	c := s.crowd()
	warm := size() / 10 / codesEach
	c.await(c.begin(0, warm))
	before := s.goroutines(0)

	done := c.begin(warm, size()/codesEach-warm)
	var slowest back
	for i := range restarts {
		step := size() * 8 / 10 / restarts
		s.awaitCalls(codesEach*warm + i*step + s.draw(step))
		s.nats.Kill()
		s.pause(time.Second + time.Duration(s.draw(2000))*time.Millisecond)
		if wholly(t, s.ops) {
			t.Error("the api says that it has all it needs, without the bus")
		}
		s.startNATS()
		slowest.atLeast(c.awaitBack())
	}
	c.await(done)
	h := c.texts(0)
	v := h.check()
	after := s.goroutines(before + moreGoroutines)
	t.Logf("%d restarts; afterwards at most %v until all said so, %v until a challenge was accepted, %v until one was sent; the slowest refusal took %v; %d goroutines before, %d after\n%s",
		restarts, slowest.ready, slowest.accepted, slowest.called, c.slowestRefusal(), before, after, v)
	if !v.ok() {
		t.Error("the history is broken")
	}
	if v.accepted != size() || v.refused == 0 {
		t.Errorf("%d accepted and %d refused, want %d and some", v.accepted, v.refused, size())
	}
	if after > before+moreGoroutines {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// back is how long it took after the bus was ready.
type back struct {
	ready    time.Duration // until api and workers said so
	accepted time.Duration // until a challenge was accepted
	called   time.Duration // until a worker called the provider
}

func (b *back) atLeast(other back) {
	b.ready, b.accepted, b.called = max(b.ready, other.ready), max(b.accepted, other.accepted), max(b.called, other.called)
}

// awaitBack waits until everybody works again.
func (c *crowd) awaitBack() (b back) {
	c.t.Helper()
	begun, calls, accepted := time.Now(), c.twilio.calls.Load(), c.accepted()
	once := func(took *time.Duration, what func() bool) bool {
		if *took == 0 && what() {
			*took = time.Since(begun)
		}
		return *took != 0
	}
	stage.UntilWithin(c.t, backWithin, "api and workers work again", func() bool {
		ready := once(&b.ready, func() bool {
			all := wholly(c.t, c.ops)
			for _, w := range c.workers {
				all = all && wholly(c.t, w.ops)
			}
			return all
		})
		issued := once(&b.accepted, func() bool { return c.accepted() > accepted })
		called := once(&b.called, func() bool { return c.twilio.calls.Load() > calls })
		return ready && issued && called
	})
	return b
}

func (c *crowd) accepted() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asks {
		if a.accepted() {
			n++
		}
	}
	return n
}

// slowestRefusal is the longest time that a refused request took.
func (c *crowd) slowestRefusal() (slowest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asks {
		if !a.accepted() {
			slowest = max(slowest, a.took)
		}
	}
	return slowest.Round(time.Millisecond)
}

var goroutineCount = regexp.MustCompile(`(?m)^go_goroutines ([0-9]+)$`)

// goroutines counts those of the idle api. With a limit it waits until there
// are no more than that, as long as an idle connection may live.
func (s *scene) goroutines(atMost int) (n int) {
	s.t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for n = -1; n < 0 || (n > atMost && time.Now().Before(limit)); {
		s.app.HTTP.CloseIdleConnections()
		s.twilio.receipts.CloseIdleConnections()
		s.pause(500 * time.Millisecond)
		body, err := get(s.t, s.ops+"/metrics")
		if err != nil {
			s.t.Fatal(err)
		}
		match := goroutineCount.FindStringSubmatch(body)
		if match == nil {
			s.t.Fatal("the api does not count its goroutines")
		}
		n, _ = strconv.Atoi(match[1])
		if atMost == 0 {
			return n
		}
	}
	return n
}
