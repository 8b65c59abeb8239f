package hashing_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/hashing"
)

// hall is a pool whose jobs wait until they are let go.
type hall struct {
	*hashing.Pool
	t     *testing.T
	jobs  sync.WaitGroup
	begun chan string
	gate  chan struct{}

	mu   sync.Mutex
	errs map[string]error
}

func newHall(t *testing.T, cfg hashing.Config) *hall {
	t.Helper()
	return &hall{Pool: hashing.New(cfg), t: t, begun: make(chan string, 10000), gate: make(chan struct{}), errs: map[string]error{}}
}

// come brings one job and returns when it runs, waits or was refused.
func (h *hall) come(ctx context.Context, name, org, key string) {
	h.t.Helper()
	h.jobs.Go(func() {
		err := h.Do(ctx, org, key, func(context.Context) error {
			h.begun <- name
			<-h.gate
			return nil
		})
		h.mu.Lock()
		defer h.mu.Unlock()
		h.errs[name] = err
	})
	synctest.Wait()
}

// order lets the jobs go one by one and returns their names as they began.
func (h *hall) order() []string {
	h.t.Helper()
	var names []string
	for {
		synctest.Wait()
		select {
		case name := <-h.begun:
			names = append(names, name)
		default:
			if running, _ := h.Load(); running == 0 {
				h.jobs.Wait()
				return names
			}
			h.gate <- struct{}{}
		}
	}
}

func (h *hall) load(running, waiting int) {
	h.t.Helper()
	if r, w := h.Load(); r != running || w != waiting {
		h.t.Errorf("%d run and %d wait, want %d and %d", r, w, running, waiting)
	}
}

// refused checks that a job was, and that its caller is told to come back.
func (h *hall) refused(name string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := errors.AsType[*fault.Error](h.errs[name])
	if !ok || f.Kind != fault.Unavailable || f.Code != hashing.ErrBusy.Code || f.After != 2*time.Second {
		h.t.Errorf("%s: %v, want a refusal with a time to come back", name, h.errs[name])
	}
}

// Covers R-110 for the bounds of the queue.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 2, PerSlot: 16})
		for i := range 40 {
			h.come(t.Context(), fmt.Sprint(i), "a", "")
		}
		h.load(2, 32)
		for i := 34; i < 40; i++ {
			h.refused(fmt.Sprint(i))
		}
		if got := h.order(); len(got) != 34 || got[33] != "33" {
			t.Errorf("began: %v", got)
		}
		h.load(0, 0)
	})
}

// Covers R-110 for the wait.
func TestNobodyWaitsLongerThanTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns []hashing.Turn
		h := newHall(t, hashing.Config{Slots: 1, Observe: func(turn hashing.Turn) { turns = append(turns, turn) }})
		h.come(t.Context(), "first", "a", "")
		h.come(t.Context(), "second", "a", "")
		time.Sleep(2*time.Second - time.Nanosecond)
		h.load(1, 1)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		h.load(1, 0)
		h.refused("second")
		h.order()
		if want := []hashing.Turn{{}, {Waited: 2 * time.Second, Refused: true}}; !slices.Equal(turns, want) {
			t.Errorf("observed %v, want %v", turns, want)
		}
	})
}

func TestTheDefaultsAreThoseOfTheMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{})
		slots := max(1, runtime.GOMAXPROCS(0)-1)
		for i := range slots*17 + 5 {
			h.come(t.Context(), fmt.Sprint(i), "a", "")
		}
		h.load(slots, slots*16)
		h.order()
	})
}

func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 1, PerSlot: 16})
		for _, name := range []string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"} {
			h.come(t.Context(), name, name[:1], "")
		}
		if got, want := h.order(), []string{"a1", "a2", "b1", "c1", "a3", "b2", "a4"}; !slices.Equal(got, want) {
			t.Errorf("began as %v, want %v", got, want)
		}
	})
}

func TestOneJobOfAKeyRunsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 3})
		for _, job := range []string{"u1", "u2", "u3", "v1", "w1"} {
			h.come(t.Context(), job, "a", job[:1])
		}
		h.load(3, 2) // u1, v1, w1 run: nobody waits behind u2
		if got := h.order(); !slices.Equal(got[:3], []string{"u1", "v1", "w1"}) || slices.Index(got, "u2") > slices.Index(got, "u3") {
			t.Errorf("began as %v", got)
		}
	})
}

func TestNoKeyIsNoKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 3})
		for i := range 3 {
			h.come(t.Context(), fmt.Sprint(i), "a", "")
		}
		h.load(3, 0)
		h.order()
	})
}

// Covers R-112 for the share of the queue.
func TestAnOrganizationHasHalfOfTheQueueWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 1, PerSlot: 16})
		h.come(t.Context(), "running", "x", "")
		for i := range 20 {
			h.come(t.Context(), fmt.Sprint("a", i), "a", "")
		}
		h.load(1, 16) // alone it may have all of it
		h.refused("a16")
		h.come(t.Context(), "b0", "b", "")
		h.load(1, 16)
		h.refused("a15") // the newest gave its place
		h.come(t.Context(), "a20", "a", "")
		h.refused("a20")
		for i := 1; i < 20; i++ { // they meet in the middle
			h.come(t.Context(), fmt.Sprint("b", i), "b", "")
		}
		h.load(1, 16)
		h.come(t.Context(), "c0", "c", "") // and a third finds a place all the same
		h.come(t.Context(), "c1", "c", "")
		got := h.order()
		count := map[byte]int{}
		for _, name := range got {
			count[name[0]]++
		}
		if count['a'] > 8 || count['b'] > 8 || count['c'] != 2 || len(got) != 17 {
			t.Errorf("served: %v", count)
		}
		if got[1] != "a0" || got[2] != "b0" || got[3] != "c0" {
			t.Errorf("began as %v", got)
		}
	})
}

// Covers R-112 for places that are free.
func TestPlacesAreKeptForOthersOnceTheyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 1, PerSlot: 16})
		h.come(t.Context(), "running", "x", "")
		h.come(t.Context(), "b0", "b", "")
		for i := range 10 {
			h.come(t.Context(), fmt.Sprint("a", i), "a", "")
		}
		h.load(1, 9)
		h.refused("a8")
		h.refused("a9")
		h.order()
	})
}

//
//
// 500 clients of one organization try again whenever they are refused; another
// organization has one client. Its logins are served, and soon.
func TestALoginStormOfOneOrganizationLeavesOthersTheirTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pool := hashing.New(hashing.Config{Slots: 1})
		ctx, stop := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		var served atomic.Int64
		for range 500 {
			clients.Go(func() {
				for ctx.Err() == nil {
					if pool.Do(ctx, "a", "", func(context.Context) error { time.Sleep(60 * time.Millisecond); return nil }) == nil {
						served.Add(1)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		var ok, tries int
		var slowest time.Duration
		for begin := time.Now(); time.Since(begin) < time.Minute; tries++ {
			asked := time.Now()
			if pool.Do(ctx, "b", "", func(context.Context) error { time.Sleep(60 * time.Millisecond); return nil }) == nil {
				ok++
			}
			slowest = max(slowest, time.Since(asked))
			time.Sleep(100 * time.Millisecond)
		}
		stop()
		clients.Wait()
		if ok*100 < tries*95 || slowest > 5*time.Second {
			t.Errorf("%d of %d logins of the small organization were served, the slowest in %v", ok, tries, slowest)
		}
		if total := served.Load() + int64(ok); total < 950 { // of 1,000 that one slot has room for
			t.Errorf("%d jobs ran in a minute: the slot stood idle", total)
		}
	})
}

//
func TestWhoHangsUpFreesHisPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, hashing.Config{Slots: 1, PerSlot: 1000})
		h.come(t.Context(), "running", "a", "")
		ctx, hangUp := context.WithCancel(t.Context())
		for i := range 1000 {
			h.come(ctx, fmt.Sprint(i), fmt.Sprint("org", i%7), "")
		}
		h.load(1, 1000)
		began := time.Now()
		hangUp()
		synctest.Wait()
		h.load(1, 0)
		if took := time.Since(began); took > 0 {
			t.Errorf("they left after %v", took)
		}
		h.come(ctx, "late", "a", "")
		if got := h.order(); len(got) != 1 {
			t.Errorf("%d ran, want the one that ran before", len(got))
		}
		for _, name := range []string{"0", "999", "late"} {
			h.refused(name)
			if !errors.Is(h.errs[name], context.Canceled) {
				t.Errorf("%s: %v does not say why", name, h.errs[name])
			}
		}
	})
}

// A turn that comes at the moment in which its caller leaves goes to the next.
func TestATurnThatNobodyTakesGoesOn(t *testing.T) {
	t.Parallel()
	for range 500 {
		pool := hashing.New(hashing.Config{Slots: 1, Wait: time.Minute})
		ctx, hangUp := context.WithCancel(t.Context())
		release := make(chan struct{})
		var jobs sync.WaitGroup
		running := make(chan struct{})
		jobs.Go(func() {
			_ = pool.Do(t.Context(), "a", "k", func(context.Context) error { close(running); <-release; return nil })
		})
		<-running
		jobs.Go(func() { _ = pool.Do(ctx, "a", "k", func(context.Context) error { return nil }) })
		jobs.Go(func() { hangUp() })
		close(release)
		jobs.Wait()
		if err := pool.Do(t.Context(), "a", "k", func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if running, waiting := pool.Load(); running != 0 || waiting != 0 {
			t.Fatalf("%d run and %d wait when all is done", running, waiting)
		}
	}
}

func TestAJobThatPanicsFreesItsSlot(t *testing.T) {
	t.Parallel()
	pool := hashing.New(hashing.Config{Slots: 1})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = pool.Do(t.Context(), "a", "k", func(context.Context) error { panic("boom") })
	}()
	want := errors.New("what the job says")
	if err := pool.Do(t.Context(), "a", "k", func(context.Context) error { return want }); !errors.Is(err, want) || fault.KindOf(err) != fault.Internal {
		t.Errorf("err = %v", err)
	}
}

// Many callers of few organizations and keys, some of whom hang up: never more
// run than there are slots, never two of one key, and at the end all is free.
func TestBoundsHoldUnderFire(t *testing.T) {
	t.Parallel()
	const slots, perSlot = 3, 4
	pool := hashing.New(hashing.Config{Slots: slots, PerSlot: perSlot, Wait: time.Minute})
	var running, most, ran, turned atomic.Int64
	keys := make([]atomic.Int64, 8)
	var callers sync.WaitGroup
	for i := range 64 {
		callers.Go(func() {
			for n := range 200 {
				ctx, hangUp := context.WithCancel(t.Context())
				if (i+n)%5 == 0 {
					callers.Go(func() { runtime.Gosched(); hangUp() })
				}
				key := (i*31 + n*17) % len(keys)
				err := pool.Do(ctx, fmt.Sprint("org", i%3), fmt.Sprint("key", key), func(context.Context) error {
					if keys[key].Add(1) != 1 {
						t.Error("two jobs of one key ran at once")
					}
					if now := running.Add(1); now > slots {
						t.Errorf("%d ran at once", now)
					} else if now > most.Load() {
						most.Store(now)
					}
					runtime.Gosched()
					running.Add(-1)
					keys[key].Add(-1)
					ran.Add(1)
					return nil
				})
				if _, waiting := pool.Load(); waiting > slots*perSlot {
					t.Errorf("%d wait", waiting)
				}
				if err != nil {
					turned.Add(1)
					if !errors.Is(err, hashing.ErrBusy) {
						t.Error(err)
					}
				}
				hangUp()
			}
		})
	}
	callers.Wait()
	if running, waiting := pool.Load(); running != 0 || waiting != 0 {
		t.Errorf("%d run and %d wait at the end", running, waiting)
	}
	if ran.Load() == 0 || ran.Load()+turned.Load() != 64*200 {
		t.Errorf("%d ran, %d were refused", ran.Load(), turned.Load())
	}
}
