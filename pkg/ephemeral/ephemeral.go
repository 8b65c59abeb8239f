// Package ephemeral is short-lived state: challenges, claims, rate limits.
//
// One interface, two implementations that run the same suite: [Redis] for
// several processes, [Memory] for the one binary. Losing what is in here is
// always safe: the user asks again. What an attacker would gain from losing
// (guess budgets) lives in SQL instead.
//
// Every call that must happen once is one atomic step of the store; there is
// no read-then-write. Expiry is an absolute time inside the value, judged by
// the caller's clock; the store's own TTL only clears up behind it.
package ephemeral

import (
	"context"
	"time"
)

// Store is what both implementations offer. Users declare the part they need.
//
// Every method returns a fault of kind Unavailable when the store does not
// answer within its deadline (2 s at most). The caller then knows nothing: the
// step may have been taken although its answer was lost, so it is not repeated
// here, and a caller who repeats it must be ready to find it done. Any other
// error is a bug of the caller: a key used for two kinds of state (codes, rate
// limits and plain values do not share keys), or a ttl, code or rate that makes
// no sense.
type Store interface {
	// Get returns the value of key, or nil when there is none.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put stores value under key for ttl and replaces what was there.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Swap replaces old by next in one step and reports whether it did. A nil
	// old means "there is none", a nil next removes the key.
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
	// Delete removes key and reports whether this call removed it.
	Delete(ctx context.Context, key string) (bool, error)
	// Arm makes code the one live code of key and returns the one it
	// replaced, nil when there was none or it was used. Times are kept in
	// milliseconds.
	Arm(ctx context.Context, key string, code Code, ttl time.Duration) (*Code, error)
	// Armed returns the code of key, nil when there is none or it was used.
	// Its Digest is empty; one that is spent or expired has no Tries.
	Armed(ctx context.Context, key string) (*Code, error)
	// Disarm removes the code of key if it is still the one with this id and
	// was not used, and reports whether it did.
	Disarm(ctx context.Context, key, id string) (bool, error)
	// Consume counts a guess against the code of key and compares it, in one
	// step: with 32 callers at once exactly one gets Right. A used code is
	// remembered until its ExpiresAt, so that the others get Used.
	Consume(ctx context.Context, key string, digest []byte, now time.Time) (Verdict, error)
	// Allow takes one unit from the rate limit of key, on the store's clock.
	Allow(ctx context.Context, key string, rate Rate) (Allowance, error)
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error
}

// Code is a secret that may be guessed a few times and used once. The store
// sees only its keyed digest.
type Code struct {
	ID        string // the challenge it belongs to
	Ref       string // what its owner wants back on success, e.g. a delivery id
	Digest    []byte
	Tries     int // comparisons left
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Outcome of a guess.
type Outcome string

// The outcomes. Used means the guess was right, but another call was first:
// it is not a wrong guess.
const (
	Right   Outcome = "right"
	Wrong   Outcome = "wrong"
	Used    Outcome = "used"
	Expired Outcome = "expired"
	Spent   Outcome = "spent" // no tries left; nothing was compared
	None    Outcome = "none"  // no code is live
)

// Verdict is what Consume found. ID, Ref and IssuedAt are those of the code,
// empty for None. TriesLeft is set for Wrong; it is 0 when the code was used.
type Verdict struct {
	Outcome   Outcome
	ID        string
	Ref       string
	IssuedAt  time.Time
	TriesLeft int
}

// Rate allows Burst at once and then one more every Per/Burst (GCRA).
type Rate struct {
	Burst int
	Per   time.Duration
}

// Allowance is the answer of a rate limit.
type Allowance struct {
	OK         bool
	RetryAfter time.Duration // set when not OK
}
