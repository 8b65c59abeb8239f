package ephemeral

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_000)} }

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

func TestMemoryEndsThingsExactly(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.Now)
	if err := m.Put(t.Context(), "a", []byte("x"), time.Minute); err != nil {
		t.Fatal(err)
	}
	code := Code{ID: "id", Digest: []byte("d"), Tries: 1, ExpiresAt: c.Now().Add(time.Hour)}
	if _, err := m.Arm(t.Context(), "b", code, time.Minute); err != nil {
		t.Fatal(err)
	}
	there := func() (bool, bool) {
		value, errValue := m.Get(t.Context(), "a")
		armed, errArmed := m.Armed(t.Context(), "b")
		if errValue != nil || errArmed != nil {
			t.Fatal(errValue, errArmed)
		}
		return value != nil, armed != nil
	}
	c.advance(time.Minute - time.Nanosecond)
	if a, b := there(); !a || !b {
		t.Fatalf("gone too early: %t %t", a, b)
	}
	c.advance(time.Nanosecond)
	if a, b := there(); a || b {
		t.Fatalf("still there: %t %t", a, b)
	}
}

func TestMemoryRateIsExact(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.Now)
	rate := Rate{Burst: 3, Per: 3 * time.Second}
	ask := func(want Allowance) {
		t.Helper()
		if got, err := m.Allow(t.Context(), "k", rate); err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	for range 3 {
		ask(Allowance{OK: true})
	}
	ask(Allowance{RetryAfter: time.Second})
	c.advance(time.Second - time.Microsecond)
	ask(Allowance{RetryAfter: time.Microsecond})
	c.advance(time.Microsecond)
	ask(Allowance{OK: true})
	ask(Allowance{RetryAfter: time.Second})
	c.advance(time.Hour) // what was not used does not add up
	for range 3 {
		ask(Allowance{OK: true})
	}
	ask(Allowance{RetryAfter: time.Second})
}

func TestMemoryRateAfterAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.Now)
	rate := Rate{Burst: 2, Per: 2 * time.Second}
	for range 2 {
		if got, err := m.Allow(t.Context(), "k", rate); err != nil || !got.OK {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	c.advance(-time.Hour)
	got, err := m.Allow(t.Context(), "k", rate)
	if err != nil || got.OK || got.RetryAfter != time.Second {
		t.Fatalf("got %+v, %v; want a wait of one step and no fresh budget", got, err)
	}
}

func TestMemoryClearsUpWhatHasEnded(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.Now)
	put := func(key string, ttl time.Duration) {
		t.Helper()
		if err := m.Put(t.Context(), key, []byte("x"), ttl); err != nil {
			t.Fatal(err)
		}
	}
	const many = 1000
	for i := range many {
		put(strconv.Itoa(i), time.Duration(many-i)*time.Millisecond)
	}
	put("long", time.Hour)
	// Prolonged: neither swept by their old time, nor in the way of the others.
	put("0", time.Hour)
	put(strconv.Itoa(many-1), time.Hour)
	c.advance(time.Minute)
	for i := range many / (sweep - 1) {
		put("new"+strconv.Itoa(i), time.Hour)
	}
	if got, want := len(m.entries), many/(sweep-1)+3; got > want || len(m.ends) != got {
		t.Fatalf("%d entries and %d ends are left, want at most %d", got, len(m.ends), want)
	}
	for _, key := range []string{"0", strconv.Itoa(many - 1), "long"} {
		if value, err := m.Get(t.Context(), key); err != nil || value == nil {
			t.Fatalf("%s is gone: %v", key, err)
		}
	}
}

func TestAFullMemoryRefusesAndForgetsNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.Now)
	m.max = 3
	rate := Rate{Burst: 1, Per: time.Hour}
	for _, key := range []string{"a", "b", "c"} {
		if got, err := m.Allow(t.Context(), key, rate); err != nil || !got.OK {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	got, err := m.Allow(t.Context(), "d", rate)
	if fault.KindOf(err) != fault.Unavailable || got.OK {
		t.Fatalf("got %+v, %v; want Unavailable", got, err)
	}
	if got, err := m.Allow(t.Context(), "a", rate); err != nil || got.OK {
		t.Fatalf("got %+v, %v; want the old limit to hold", got, err)
	}
	if err := m.Put(t.Context(), "a", []byte("x"), time.Hour); err != nil {
		t.Fatalf("what is there may be replaced: %v", err)
	}
	c.advance(time.Hour)
	if got, err := m.Allow(t.Context(), "d", rate); err != nil || !got.OK {
		t.Fatalf("got %+v, %v; want room again", got, err)
	}
}
