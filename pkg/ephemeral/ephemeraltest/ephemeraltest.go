// Package ephemeraltest is the suite that every implementation of
// ephemeral.Store passes: what each method does, how long things live, and
// that what may happen once happens once under parallel fire.
package ephemeraltest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
)

const (
	writers = 32
	rounds  = 100
	key     = "suite:{one}"

	long = time.Minute // outlives the test
	wait = 10 * time.Second
)

// Run runs the suite. open returns a store that nothing else writes to.
func Run(t *testing.T, open func(t *testing.T) ephemeral.Store) {
	t.Helper()
	tests := map[string]func(*testing.T, ephemeral.Store){
		"a value is kept, replaced and removed":                  values,
		"a value is the caller's own copy":                       copies,
		"an empty value is not no value":                         empty,
		"a swap happens only on what was expected":               swap,
		"a value, a swapped value and a code end with their ttl": ttl,
		"a ttl of nothing is refused":                            noTTL,
		"keys do not touch each other":                           apart,
		"a key of another kind is a bug, not a state":            kinds,
		"a caller who has gone gets nothing done":                gone,
		"ping answers": ping,

		"a code is armed, shown and disarmed":               arm,
		"a code replaces the one before":                    replace,
		"a code without what it needs is refused":           badCodes,
		"a right guess works once":                          right,
		"wrong guesses use up the tries":                    wrong,
		"an expired code is not compared":                   expired,
		"a used code is remembered until it expires":        tombstone,
		"a new code takes the place of a used or spent one": rearm,

		"a rate lets its burst through and no more": burst,
		"a rate gives back one unit per step":       refill,
		"a rate that is none is refused":            badRates,

		"one of many right guesses wins":                raceRight,
		"many wrong guesses get exactly the tries":      raceWrong,
		"one of many swaps wins, on a value and on nil": raceSwap,
		"one of many deletes removes":                   raceDelete,
		"one of many disarms removes":                   raceDisarm,
		"many arms make one chain":                      raceArm,
		"many callers share one burst":                  raceAllow,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func values(t *testing.T, s ephemeral.Store) {
	wantValue(t, s, key, nil)
	put(t, s, key, "one")
	wantValue(t, s, key, []byte("one"))
	put(t, s, key, "two\x00\xff")
	wantValue(t, s, key, []byte("two\x00\xff"))
	wantBool(t, true)(s.Delete(t.Context(), key))
	wantValue(t, s, key, nil)
	wantBool(t, false)(s.Delete(t.Context(), key))
}

func copies(t *testing.T, s ephemeral.Store) {
	mine := []byte("one")
	if err := s.Put(t.Context(), key, mine, long); err != nil {
		t.Fatal(err)
	}
	mine[0] = 'X'
	got, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) > 0 {
		got[1] = 'X'
	}
	wantValue(t, s, key, []byte("one"))
}

func empty(t *testing.T, s ephemeral.Store) {
	if err := s.Put(t.Context(), key, nil, long); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, key, []byte{})
	wantBool(t, false)(s.Swap(t.Context(), key, nil, []byte("x"), long))
	wantBool(t, true)(s.Swap(t.Context(), key, []byte{}, []byte("x"), long))
	wantBool(t, false)(s.Swap(t.Context(), key, []byte{}, []byte("y"), long))
	wantBool(t, true)(s.Swap(t.Context(), key, []byte("x"), []byte{}, long))
	wantValue(t, s, key, []byte{})
}

func swap(t *testing.T, s ephemeral.Store) {
	one, two := []byte("one"), []byte("two")
	wantBool(t, false)(s.Swap(t.Context(), key, one, two, long))
	wantBool(t, true)(s.Swap(t.Context(), key, nil, nil, 0)) // there is none, and so it stays
	wantBool(t, true)(s.Swap(t.Context(), key, nil, one, long))
	wantBool(t, false)(s.Swap(t.Context(), key, nil, two, long))
	wantBool(t, false)(s.Swap(t.Context(), key, two, one, long))
	wantBool(t, true)(s.Swap(t.Context(), key, one, two, long))
	wantValue(t, s, key, two)
	wantBool(t, false)(s.Swap(t.Context(), key, one, nil, 0))
	wantBool(t, true)(s.Swap(t.Context(), key, two, nil, 0))
	wantValue(t, s, key, nil)
}

func ttl(t *testing.T, s ephemeral.Store) {
	const short = 30 * time.Millisecond
	put(t, s, "long", "x")
	put(t, s, "shortened", "x")
	put(t, s, "prolonged", "x")
	if err := s.Put(t.Context(), "put", []byte("x"), short); err != nil {
		t.Fatal(err)
	}
	wantBool(t, true)(s.Swap(t.Context(), "swapped", nil, []byte("x"), short))
	wantBool(t, true)(s.Swap(t.Context(), "shortened", []byte("x"), []byte("y"), short))
	if err := s.Put(t.Context(), "prolonged", []byte("x"), short); err != nil {
		t.Fatal(err)
	}
	wantBool(t, true)(s.Swap(t.Context(), "prolonged", []byte("x"), []byte("x"), long))
	if _, err := s.Arm(t.Context(), "armed", sample(), short); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"put", "swapped", "shortened"} {
		eventually(t, k+" ends", func() bool {
			got, err := s.Get(t.Context(), k)
			return err == nil && got == nil
		})
		wantBool(t, false)(s.Delete(t.Context(), k))
		wantBool(t, true)(s.Swap(t.Context(), k, nil, []byte("again"), long))
	}
	eventually(t, "the code ends", func() bool {
		code, err := s.Armed(t.Context(), "armed")
		return err == nil && code == nil
	})
	wantOutcome(t, s, "armed", "right", ephemeral.None)
	wantValue(t, s, "long", []byte("x"))
	wantValue(t, s, "prolonged", []byte("x"))
}

func noTTL(t *testing.T, s ephemeral.Store) {
	for _, ttl := range []time.Duration{0, -time.Second} {
		wantBug(t, s.Put(t.Context(), key, []byte("x"), ttl))
		_, err := s.Swap(t.Context(), key, nil, []byte("x"), ttl)
		wantBug(t, err)
		_, err = s.Arm(t.Context(), key, sample(), ttl)
		wantBug(t, err)
	}
	wantValue(t, s, key, nil)
}

func apart(t *testing.T, s ephemeral.Store) {
	put(t, s, "{a}:1", "one")
	put(t, s, "{a}:2", "two")
	wantBool(t, true)(s.Delete(t.Context(), "{a}:1"))
	wantValue(t, s, "{a}:2", []byte("two"))
	mustArm(t, s, "{a}:3", sample())
	mustArm(t, s, "{a}:4", sample())
	wantOutcome(t, s, "{a}:3", "right", ephemeral.Right)
	wantOutcome(t, s, "{a}:4", "right", ephemeral.Right)
}

func kinds(t *testing.T, s ephemeral.Store) {
	ctx := t.Context()
	put(t, s, "value", "x")
	mustArm(t, s, "code", sample())

	_, err := s.Get(ctx, "code")
	wantBug(t, err)
	_, err = s.Swap(ctx, "code", nil, []byte("x"), long)
	wantBug(t, err)
	_, err = s.Allow(ctx, "code", ephemeral.Rate{Burst: 1, Per: time.Minute})
	wantBug(t, err)
	_, err = s.Allow(ctx, "value", ephemeral.Rate{Burst: 1, Per: time.Minute})
	wantBug(t, err)
	_, err = s.Arm(ctx, "value", sample(), long)
	wantBug(t, err)
	_, err = s.Armed(ctx, "value")
	wantBug(t, err)
	_, err = s.Disarm(ctx, "value", "id")
	wantBug(t, err)
	_, err = s.Consume(ctx, "value", []byte("right"), time.Now())
	wantBug(t, err)

	wantValue(t, s, "value", []byte("x"))
	wantOutcome(t, s, "code", "right", ephemeral.Right)
	wantBool(t, true)(s.Delete(ctx, "code"))
	wantOutcome(t, s, "code", "right", ephemeral.None)
}

func gone(t *testing.T, s ephemeral.Store) {
	mustArm(t, s, key, sample())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Consume(ctx, key, []byte("right"), time.Now())
	wantUnavailable(t, err)
	wantUnavailable(t, s.Put(ctx, "value", []byte("x"), long))
	wantUnavailable(t, s.Ping(ctx))
	wantValue(t, s, "value", nil)
	wantOutcome(t, s, key, "right", ephemeral.Right)
}

func ping(t *testing.T, s ephemeral.Store) {
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What the tests ask with.

func put(t *testing.T, s ephemeral.Store, key, value string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(value), long); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, s ephemeral.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s holds %#v, want %#v", key, got, want)
	}
}

func wantBool(t *testing.T, want bool) func(bool, error) {
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Fatalf("got %t, %v; want %t", got, err, want)
		}
	}
}

// wantBug wants an error that is not the store's: trying again cannot help.
func wantBug(t *testing.T, err error) {
	t.Helper()
	if err == nil || fault.KindOf(err) != fault.Internal {
		t.Fatalf("got %v, want an error of the caller", err)
	}
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %v, want a fault of kind Unavailable", err)
	}
}

// eventually asks until the answer is yes: nothing signals the end of a ttl.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %s", what, wait)
		case <-tick.C:
		}
	}
}

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	group.Wait()
}
