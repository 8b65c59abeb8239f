package backchannel_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/sqlstore"
)

// crowd is apps of which some never answer. It stands in for the network, so
// that nothing but the test decides how long that is.
type crowd struct {
	failing bool // the first word to each that never answers fails at once

	mu    sync.Mutex
	tried map[string]int // tries that have begun, of those that never answer
	held  chan struct{}
	heard chan struct{}
}

func (c *crowd) Post(ctx context.Context, to backchannel.Target, _ secret.Text) error {
	if !strings.Contains(to.URI, "never") {
		c.heard <- struct{}{}
		return nil
	}
	c.mu.Lock()
	c.tried[to.URI]++
	first := c.tried[to.URI] == 1
	c.mu.Unlock()
	if first && c.failing {
		return errors.New("refused")
	}
	c.held <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// await fails the test when nothing comes.
func await(t *testing.T, what string, from <-chan struct{}) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(30 * time.Second):
		t.Fatal(what)
	}
}

// Apps that let wait, however many sessions of theirs have ended, leave a place
// for one that answers: it hears while they still hang.
func TestAppsThatNeverAnswerLeaveAPlaceForOthers(t *testing.T) {
	for name, c := range map[string]struct {
		apps, hang int
		failing    bool
	}{
		"three with many logouts":            {3, 3, false},
		"twelve that have failed before now": {12, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				poster := &crowd{failing: c.failing, tried: map[string]int{}, held: make(chan struct{}, 100), heard: make(chan struct{}, 100)}
				w.teller.Poster = poster
				var never []app.App
				for i := range c.apps {
					never = append(never, w.register("https://app.test/never/"+strings.Repeat("x", i)))
				}
				for range 4 {
					w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(never...).ID, closed()))
				}
				if c.failing {
					w.must(w.teller.Tell(t.Context()))
					w.now.Add((6 * time.Second).Milliseconds())
				}
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() {
					_ = w.teller.Run(ctx, func(err error) { t.Errorf("tell: %v", err) })
				})
				defer running.Wait()
				defer stop()
				for range c.hang {
					await(t, "the apps that never answer are not told", poster.held)
				}
				for range 3 {
					w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(w.app).ID, closed()))
					await(t, "an app does not hear while others let wait", poster.heard)
				}
				poster.mu.Lock()
				defer poster.mu.Unlock()
				for uri, n := range poster.tried {
					if n > 2 || n == 2 && !c.failing {
						t.Errorf("%s has %d places at once", uri, n)
					}
				}
				if n := len(poster.held); n > 0 {
					t.Errorf("%d more places are taken by apps that never answer", n)
				}
			})
		})
	}
}

// claims counts who claims.
type claims struct {
	*sqlstore.Store
	n atomic.Int32
}

func (c *claims) ClaimLogout(ctx context.Context, at, until time.Time, slow bool) (backchannel.Notice, bool, error) {
	c.n.Add(1)
	return c.Store.ClaimLogout(ctx, at, until, slow)
}

// Where nobody has to be told anything, nothing is written, nor tried to be.
func TestNothingToTellIsOneLook(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		counted := &claims{Store: w.store}
		w.teller.Store = counted
		w.must(w.teller.Tell(t.Context()))
		w.answers(500)
		w.must(w.sessions.End(t.Context(), w.tenant, w.signsIn(w.app).ID, closed()))
		if w.tells(0); counted.n.Load() == 0 {
			t.Error("nothing is claimed")
		}
		counted.n.Store(0)
		if w.tells(time.Second); counted.n.Load() != 0 { // it waits for its second try
			t.Errorf("%d claims of nothing", counted.n.Load())
		}
	})
}
