package ephemeraltest

import (
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
)

func allow(t *testing.T, s ephemeral.Store, key string, r ephemeral.Rate) ephemeral.Allowance {
	t.Helper()
	a, err := s.Allow(t.Context(), key, r)
	if err != nil {
		t.Fatal(err)
	}
	if a.OK != (a.RetryAfter == 0) {
		t.Fatalf("got %+v: a wait and no wait", a)
	}
	return a
}

func burst(t *testing.T, s ephemeral.Store) {
	for name, r := range map[string]ephemeral.Rate{
		"one":                         {Burst: 1, Per: time.Hour},
		"five":                        {Burst: 5, Per: time.Hour},
		"a step of no whole second":   {Burst: 7, Per: time.Hour},
		"a step of no whole microsec": {Burst: 3, Per: time.Hour + time.Microsecond},
		"a year":                      {Burst: 2, Per: 365 * 24 * time.Hour},
	} {
		for i := range r.Burst {
			if a := allow(t, s, name, r); !a.OK {
				t.Fatalf("%s: number %d of %d was refused: %+v", name, i+1, r.Burst, a)
			}
		}
		a := allow(t, s, name, r)
		step := r.Per / time.Duration(r.Burst)
		if a.OK || a.RetryAfter > step || a.RetryAfter < step-wait {
			t.Fatalf("%s: number %d got %+v, want a wait of about %s", name, r.Burst+1, a, step)
		}
		// Being refused costs nothing.
		if b := allow(t, s, name, r); b.RetryAfter > a.RetryAfter {
			t.Fatalf("%s: the wait grew from %s to %s", name, a.RetryAfter, b.RetryAfter)
		}
	}
}

// refill takes all there is and asks until one more comes: not before its
// time, and not two.
func refill(t *testing.T, s ephemeral.Store) {
	r := ephemeral.Rate{Burst: 2, Per: time.Second}
	start := time.Now()
	allow(t, s, key, r)
	first := allow(t, s, key, r)
	if !first.OK {
		t.Fatalf("got %+v", first)
	}
	eventually(t, "one more", func() bool { return allow(t, s, key, r).OK })
	if got := time.Since(start); got < 490*time.Millisecond {
		t.Fatalf("one more came after %s, want 500ms", got)
	}
	if time.Since(start) < 900*time.Millisecond { // else the next one is due
		if a := allow(t, s, key, r); a.OK && time.Since(start) < 900*time.Millisecond {
			t.Fatal("two more came at once")
		}
	}
}

func badRates(t *testing.T, s ephemeral.Store) {
	for name, r := range map[string]ephemeral.Rate{
		"no burst":       {Burst: 0, Per: time.Minute},
		"negative burst": {Burst: -1, Per: time.Minute},
		"no time":        {Burst: 1, Per: 0},
		"too slow":       {Burst: 1, Per: 10 * 365 * 24 * time.Hour},
		"too many":       {Burst: 2_000_000_000, Per: time.Minute},
	} {
		if a, err := s.Allow(t.Context(), key, r); err == nil || a.OK {
			t.Errorf("%s: got %+v, %v; want an error", name, a, err)
		} else {
			wantBug(t, err)
		}
	}
}
