package ephemeraltest

import (
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
)

// sample is a code whose right guess is "right", with five tries.
func sample() ephemeral.Code {
	now := time.UnixMilli(time.Now().UnixMilli())
	return ephemeral.Code{
		ID: "id", Ref: "ref", Digest: []byte("right"), Tries: 5,
		IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute),
	}
}

// named is sample with another id.
func named(id string) ephemeral.Code {
	c := sample()
	c.ID = id
	return c
}

func mustArm(t *testing.T, s ephemeral.Store, key string, code ephemeral.Code) *ephemeral.Code {
	t.Helper()
	before, err := s.Arm(t.Context(), key, code, long)
	if err != nil {
		t.Fatal(err)
	}
	return before
}

func guess(t *testing.T, s ephemeral.Store, key, digest string, now time.Time) ephemeral.Verdict {
	t.Helper()
	v, err := s.Consume(t.Context(), key, []byte(digest), now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantOutcome(t *testing.T, s ephemeral.Store, key, digest string, want ephemeral.Outcome) {
	t.Helper()
	if got := guess(t, s, key, digest, time.Now()); got.Outcome != want {
		t.Fatalf("got %+v, want %s", got, want)
	}
}

// verdict is what a guess at code should say.
func verdict(o ephemeral.Outcome, c ephemeral.Code, left int) ephemeral.Verdict {
	return ephemeral.Verdict{Outcome: o, ID: c.ID, Ref: c.Ref, IssuedAt: c.IssuedAt, TriesLeft: left}
}

func wantVerdict(t *testing.T, got, want ephemeral.Verdict) {
	t.Helper()
	same := got.IssuedAt.Equal(want.IssuedAt)
	got.IssuedAt, want.IssuedAt = time.Time{}, time.Time{}
	if got != want || !same {
		t.Fatalf("got %+v, want %+v (same time of issue: %t)", got, want, same)
	}
}

func wantCode(t *testing.T, got *ephemeral.Code, want ephemeral.Code) {
	t.Helper()
	if got == nil {
		t.Fatalf("got no code, want %+v", want)
	}
	if got.ID != want.ID || got.Ref != want.Ref || string(got.Digest) != string(want.Digest) ||
		got.Tries != want.Tries || !got.IssuedAt.Equal(want.IssuedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) {
		t.Fatalf("got %+v, want %+v", *got, want)
	}
}

func wantArmed(t *testing.T, s ephemeral.Store, key string, want ephemeral.Code) {
	t.Helper()
	got, err := s.Armed(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	want.Digest = nil
	wantCode(t, got, want)
}

func wantNoCode(t *testing.T, got *ephemeral.Code, err error) {
	t.Helper()
	if err != nil || got != nil {
		t.Fatalf("got %+v, %v; want no code", got, err)
	}
}

func wantNoneArmed(t *testing.T, s ephemeral.Store) {
	t.Helper()
	got, err := s.Armed(t.Context(), key)
	wantNoCode(t, got, err)
}

func arm(t *testing.T, s ephemeral.Store) {
	wantNoneArmed(t, s)
	wantBool(t, false)(s.Disarm(t.Context(), key, "id"))
	wantVerdict(t, guess(t, s, key, "right", time.Now()), ephemeral.Verdict{Outcome: ephemeral.None})
	code := sample()
	wantNoCode(t, mustArm(t, s, key, code), nil)
	wantArmed(t, s, key, code)
	wantBool(t, false)(s.Disarm(t.Context(), key, "another"))
	wantArmed(t, s, key, code)
	wantBool(t, true)(s.Disarm(t.Context(), key, code.ID))
	wantNoneArmed(t, s)
	wantOutcome(t, s, key, "right", ephemeral.None)
}

func replace(t *testing.T, s ephemeral.Store) {
	first, second := named("first"), named("second")
	second.Digest, second.Tries, second.Ref = []byte("better"), 2, ""
	mustArm(t, s, key, first)
	wantOutcome(t, s, key, "wrong", ephemeral.Wrong)
	first.Tries--
	wantCode(t, mustArm(t, s, key, second), first)
	wantArmed(t, s, key, second)
	wantBool(t, false)(s.Disarm(t.Context(), key, first.ID))
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Wrong, second, 1))
	wantVerdict(t, guess(t, s, key, "better", time.Now()), verdict(ephemeral.Right, second, 0))
}

func badCodes(t *testing.T, s ephemeral.Store) {
	for name, spoil := range map[string]func(*ephemeral.Code){
		"no id":     func(c *ephemeral.Code) { c.ID = "" },
		"no digest": func(c *ephemeral.Code) { c.Digest = nil },
		"no tries":  func(c *ephemeral.Code) { c.Tries = 0 },
		"no end":    func(c *ephemeral.Code) { c.ExpiresAt = time.Time{} },
	} {
		code := sample()
		spoil(&code)
		if _, err := s.Arm(t.Context(), key, code, long); err == nil {
			t.Errorf("a code with %s was armed", name)
		}
	}
	wantNoneArmed(t, s)
}

func right(t *testing.T, s ephemeral.Store) {
	code := sample()
	mustArm(t, s, key, code)
	wantVerdict(t, guess(t, s, key, "wrong", time.Now()), verdict(ephemeral.Wrong, code, 4))
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Right, code, 0))
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Used, code, 0))
	wantVerdict(t, guess(t, s, key, "wrong", time.Now()), verdict(ephemeral.Wrong, code, 0))
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Used, code, 0))
	wantNoneArmed(t, s)
	wantBool(t, false)(s.Disarm(t.Context(), key, code.ID))
}

func wrong(t *testing.T, s ephemeral.Store) {
	code := sample()
	mustArm(t, s, key, code)
	for i, digest := range []string{"", "righ", "rightt", "Right", "right\x00"} {
		wantVerdict(t, guess(t, s, key, digest, time.Now()), verdict(ephemeral.Wrong, code, code.Tries-1-i))
	}
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Spent, code, 0))
	wantVerdict(t, guess(t, s, key, "wrong", time.Now()), verdict(ephemeral.Spent, code, 0))
	code.Tries = 0
	wantArmed(t, s, key, code)
	wantBool(t, true)(s.Disarm(t.Context(), key, code.ID))
}

func expired(t *testing.T, s ephemeral.Store) {
	code := sample()
	mustArm(t, s, key, code)
	late := code.ExpiresAt.Add(time.Millisecond)
	wantVerdict(t, guess(t, s, key, "right", late), verdict(ephemeral.Expired, code, 0))
	wantVerdict(t, guess(t, s, key, "wrong", late), verdict(ephemeral.Expired, code, 0))
	wantArmed(t, s, key, code) // no try was taken
	wantVerdict(t, guess(t, s, key, "right", code.ExpiresAt), verdict(ephemeral.Right, code, 0))

	over := sample()
	over.IssuedAt, over.ExpiresAt = over.IssuedAt.Add(-time.Hour), over.IssuedAt.Add(-time.Minute)
	wantNoCode(t, mustArm(t, s, key, over), nil)
	over.Tries = 0
	wantArmed(t, s, key, over)
	wantVerdict(t, guess(t, s, key, "right", time.Now()), verdict(ephemeral.Expired, over, 0))
	wantCode(t, mustArm(t, s, key, sample()), over)
}

func tombstone(t *testing.T, s ephemeral.Store) {
	code := sample()
	mustArm(t, s, key, code)
	wantOutcome(t, s, key, "right", ephemeral.Right)
	wantVerdict(t, guess(t, s, key, "right", code.ExpiresAt), verdict(ephemeral.Used, code, 0))
	late := code.ExpiresAt.Add(time.Millisecond)
	wantVerdict(t, guess(t, s, key, "right", late), ephemeral.Verdict{Outcome: ephemeral.None})
	wantVerdict(t, guess(t, s, key, "wrong", late), ephemeral.Verdict{Outcome: ephemeral.None})
}

func rearm(t *testing.T, s ephemeral.Store) {
	mustArm(t, s, key, sample())
	wantOutcome(t, s, key, "right", ephemeral.Right)
	next := named("next")
	next.Tries = 1
	wantNoCode(t, mustArm(t, s, key, next), nil)
	wantOutcome(t, s, key, "wrong", ephemeral.Wrong)
	wantOutcome(t, s, key, "right", ephemeral.Spent)
	next.Tries = 0
	wantCode(t, mustArm(t, s, key, named("last")), next)
	wantOutcome(t, s, key, "right", ephemeral.Right)
}
