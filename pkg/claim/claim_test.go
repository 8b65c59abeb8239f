package claim_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
)

const (
	id    = "dlv_1"
	lease = 30 * time.Second
	life  = 5 * time.Minute
)

// clock is set by hand. It starts now, because the store has a clock too.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a book whose answers are checked.
type bench struct {
	*testing.T
	*claim.Book
	clock *clock
	store ephemeral.Store
}

// newBench makes a book over the store that open returns. Only the one in
// memory can share the bench's clock.
func newBench(t *testing.T, open func(now func() time.Time) ephemeral.Store) bench {
	c := &clock{now: time.UnixMilli(time.Now().UnixMilli())}
	store := open(c.Now)
	return bench{t, &claim.Book{Store: store, Now: c.Now}, c, store}
}

// onBoth runs a test on either store.
func onBoth(t *testing.T, test func(bench)) {
	t.Helper()
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(newBench(t, func(now func() time.Time) ephemeral.Store { return ephemeral.NewMemory(now) }))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(newBench(t, redisStore(t, rig.Redis(t))))
	})
}

func redisStore(t *testing.T, server *rig.RedisServer) func(func() time.Time) ephemeral.Store {
	t.Helper()
	store, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(server.URL), Prefix: rand.Text() + ":"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return func(func() time.Time) ephemeral.Store { return store }
}

func (b bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b bench) open() {
	b.Helper()
	b.ok(b.Open(b.Context(), id, b.clock.Now().Add(life)))
}

// take wants what a take finds, apart from the proof inside.
func (b bench) take(want claim.Claim) claim.Claim {
	b.Helper()
	got, err := b.Take(b.Context(), id, lease)
	b.ok(err)
	b.want(got, want)
	return got
}

func (b bench) want(got, want claim.Claim) {
	b.Helper()
	want.DeliveryID = id
	if got.DeliveryID != want.DeliveryID || got.State != want.State || got.Attempt != want.Attempt ||
		got.Sends != want.Sends || got.ProviderID != want.ProviderID || got.BusyFor != want.BusyFor {
		b.Fatalf("got %+v, want %+v", got, want)
	}
}

func (b bench) withdraw(want bool) {
	b.Helper()
	got, err := b.Withdraw(b.Context(), id)
	b.ok(err)
	if got != want {
		b.Fatalf("withdrawn: %t, want %t", got, want)
	}
}

func taken(attempt, sends int) claim.Claim {
	return claim.Claim{State: claim.Taken, Attempt: attempt, Sends: sends}
}

var gone = claim.Claim{State: claim.Gone}

func TestAMessageIsSentOnce(t *testing.T) {
	onBoth(t, func(b bench) {
		b.take(gone)
		b.open()
		c := b.take(taken(1, 1))
		b.take(claim.Claim{State: claim.Busy, Attempt: 1, Sends: 1, BusyFor: lease})
		b.clock.advance(time.Second)
		b.take(claim.Claim{State: claim.Busy, Attempt: 1, Sends: 1, BusyFor: lease - time.Second})
		b.ok(b.Accept(b.Context(), c, "SM1"))
		accepted := claim.Claim{State: claim.Accepted, Attempt: 1, Sends: 1, ProviderID: "SM1"}
		b.take(accepted)
		b.ok(b.Accept(b.Context(), c, "SM1")) // twice is once

		b.open() // published again by the relay: what was sent stays sent
		b.take(accepted)
		b.ok(b.Release(b.Context(), c)) // too late
		b.ok(b.Doubt(b.Context(), c))
		b.take(accepted)
	})
}

func TestAWithdrawnClaimIsGone(t *testing.T) {
	onBoth(t, func(b bench) {
		b.withdraw(false)
		b.open()
		b.withdraw(true)
		b.withdraw(false)
		b.take(gone)

		b.open()
		c := b.take(taken(1, 1))
		b.withdraw(true)
		lost, err := b.Extend(b.Context(), c, lease)
		b.ok(err)
		b.want(lost, gone)
		b.ok(b.Accept(b.Context(), c, "SM1"))
		b.take(gone)
		b.ok(b.Release(b.Context(), c))
		b.take(gone)
		b.ok(b.Doubt(b.Context(), c))
		b.take(gone)
	})
}

func TestADeadLeaseCanBeTakenOver(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		first := b.take(taken(1, 1))
		b.clock.advance(lease)
		second := b.take(taken(2, 2))

		b.ok(b.Release(b.Context(), first)) // not the first one's any more
		b.ok(b.Doubt(b.Context(), first))
		busy := claim.Claim{State: claim.Busy, Attempt: 2, Sends: 2, BusyFor: lease}
		b.take(busy)
		lost, err := b.Extend(b.Context(), first, lease)
		b.ok(err)
		b.want(lost, busy)

		b.ok(b.Release(b.Context(), second))
		lost, err = b.Extend(b.Context(), first, lease)
		b.ok(err)
		b.want(lost, claim.Claim{State: claim.Busy, Attempt: 2, Sends: 1})
		b.take(taken(3, 2))
	})
}

func TestWhatALateWorkerGotAcceptedIsKept(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		first := b.take(taken(1, 1))
		b.clock.advance(lease)
		second := b.take(taken(2, 2))
		b.ok(b.Accept(b.Context(), first, "SM1"))
		b.ok(b.Release(b.Context(), second)) // must not open what was sent
		accepted := claim.Claim{State: claim.Accepted, Attempt: 2, Sends: 2, ProviderID: "SM1"}
		b.take(accepted)
		b.ok(b.Accept(b.Context(), second, "SM2"))
		b.take(accepted)
		lost, err := b.Extend(b.Context(), second, lease)
		b.ok(err)
		b.want(lost, accepted)
	})
}

func TestAnExtendedLeaseLasts(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		c := b.take(taken(1, 1))
		for range 3 {
			b.clock.advance(lease - time.Second)
			var err error
			c, err = b.Extend(b.Context(), c, lease)
			b.ok(err)
			b.want(c, taken(1, 1))
		}
		b.take(claim.Claim{State: claim.Busy, Attempt: 1, Sends: 1, BusyFor: lease})
		b.clock.advance(2 * lease) // ended, but nobody came
		c, err := b.Extend(b.Context(), c, lease)
		b.ok(err)
		b.want(c, taken(1, 1))
		b.ok(b.Accept(b.Context(), c, "SM1"))
		b.take(claim.Claim{State: claim.Accepted, Attempt: 1, Sends: 1, ProviderID: "SM1"})
	})
}

func TestWhatWasCertainlyNotSentCostsNoTry(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		for attempt := 1; attempt <= 5; attempt++ {
			b.ok(b.Release(b.Context(), b.take(taken(attempt, 1))))
		}
		b.take(taken(6, 1))
	})
}

func TestTheThirdUncertainSendIsDoubtful(t *testing.T) {
	ends := map[string]func(bench, claim.Claim){
		"ambiguous answers": func(b bench, c claim.Claim) { b.ok(b.Doubt(b.Context(), c)) },
		"dead workers":      func(b bench, _ claim.Claim) { b.clock.advance(lease) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(b bench) {
				b.open()
				end(b, b.take(taken(1, 1)))
				second := b.take(taken(2, 2))
				end(b, second)
				doubtful := claim.Claim{State: claim.Doubtful, Attempt: 2, Sends: 2}
				b.take(doubtful)
				b.open() // publishing once more allows nothing more
				b.take(doubtful)
				// A receipt tells later that it had arrived.
				b.ok(b.Accept(b.Context(), second, "SM2"))
				b.take(claim.Claim{State: claim.Accepted, Attempt: 2, Sends: 2, ProviderID: "SM2"})
			})
		})
	}
}

// Whoever takes over knows when the try before was given up as doubtful.
func TestADoubtIsDated(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		first := b.take(taken(1, 1))
		if !first.Doubted.IsZero() {
			b.Fatalf("doubted at %s before its first try", first.Doubted)
		}
		b.clock.advance(time.Second)
		at := b.clock.Now()
		b.ok(b.Doubt(b.Context(), first))
		b.clock.advance(time.Second)
		second := b.take(taken(2, 2))
		b.ok(b.Release(b.Context(), second)) // says nothing of the first
		b.clock.advance(time.Second)
		if third := b.take(taken(3, 2)); !second.Doubted.Equal(at) || !third.Doubted.Equal(at) {
			b.Fatalf("doubted at %s and %s, want %s", second.Doubted, third.Doubted, at)
		}
	})
}

func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	cases := map[string]struct {
		before func(bench)
		want   claim.Claim
	}{
		"never sent": {func(bench) {}, gone},
		"sent once, perhaps": {
			func(b bench) { b.ok(b.Doubt(b.Context(), b.take(taken(1, 1)))) },
			claim.Claim{State: claim.Doubtful, Attempt: 1, Sends: 1},
		},
		"released": {
			func(b bench) { b.ok(b.Release(b.Context(), b.take(taken(1, 1)))) },
			claim.Claim{State: claim.Gone, Attempt: 1},
		},
		"accepted": {
			func(b bench) { b.ok(b.Accept(b.Context(), b.take(taken(1, 1)), "SM1")) },
			claim.Claim{State: claim.Accepted, Attempt: 1, Sends: 1, ProviderID: "SM1"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(b bench) {
				b.open()
				c.before(b)
				b.clock.advance(life)
				b.take(c.want)
			})
		})
	}
}

func TestOpenKeepsTheLaterEnd(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		b.ok(b.Open(b.Context(), id, b.clock.Now().Add(time.Minute)))
		b.clock.advance(time.Minute)
		b.ok(b.Release(b.Context(), b.take(taken(1, 1))))
		b.open()
		b.clock.advance(life - time.Second)
		b.take(taken(2, 1))
	})
}

func TestMisuseIsAnError(t *testing.T) {
	onBoth(t, func(b bench) {
		b.open()
		c := b.take(taken(1, 1))
		busy := b.take(claim.Claim{State: claim.Busy, Attempt: 1, Sends: 1, BusyFor: lease})
		_, errExtend := b.Extend(b.Context(), busy, lease)
		_, errNoLease := b.Extend(b.Context(), c, 0)
		_, errTake := b.Take(b.Context(), id, 0)
		for name, err := range map[string]error{
			"open in the past":     b.Open(b.Context(), "dlv_2", b.clock.Now()),
			"accept by another":    b.Accept(b.Context(), busy, "SM1"),
			"release by another":   b.Release(b.Context(), busy),
			"doubt by another":     b.Doubt(b.Context(), busy),
			"extend by another":    errExtend,
			"extend by nothing":    errNoLease,
			"take for no time":     errTake,
			"accept of an unknown": b.Accept(b.Context(), claim.Claim{}, "SM1"),
		} {
			if err == nil || fault.KindOf(err) != fault.Internal {
				b.Errorf("%s: got %v", name, err)
			}
		}
		b.take(claim.Claim{State: claim.Busy, Attempt: 1, Sends: 1, BusyFor: lease})
	})
}

func TestWithoutTheStoreNothingIsTaken(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	b := newBench(t, redisStore(t, server))
	b.open()
	c := b.take(taken(1, 1))
	server.Kill()
	_, errWithdraw := b.Withdraw(t.Context(), id)
	again, errTake := b.Take(t.Context(), id, lease)
	extended, errExtend := b.Extend(t.Context(), c, lease)
	for name, err := range map[string]error{
		"open": b.Open(t.Context(), id, b.clock.Now().Add(life)), "withdraw": errWithdraw, "take": errTake, "extend": errExtend,
		"accept": b.Accept(t.Context(), c, "SM1"), "release": b.Release(t.Context(), c), "doubt": b.Doubt(t.Context(), c),
	} {
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Unavailable {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if again.State != "" || extended.State != "" {
		t.Errorf("got %q and %q, want no state", again.State, extended.State)
	}
	server.Start() // empty: what is not known is not sent
	b.take(gone)
}
