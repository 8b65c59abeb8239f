// Package guard is the only place of the product that compares secrets.
//
// A guess is counted first, in one conditional statement that commits on its
// own, and compared after. Budgets are keyed by tenant, user and factor class,
// never by what was typed or through which flow, protocol or address it came,
// so parallel sessions share one budget. Where a counter cannot be reached,
// nothing is compared. A test of the tree keeps the comparison primitives out
// of every other package.
package guard

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// SecondFactor is the class of app codes, SMS codes and recovery codes alike:
// they open the same door, so they share one budget.
const SecondFactor = "second_factor"

// Subject is whose budget a guess is taken from.
type Subject struct {
	Tenant tenant.ID
	UserID string
	Class  string
}

// Try is a guess: whose budget it is taken from, who brings it, and what it is
// for, in a word for the activity.
type Try struct {
	Subject
	By      activity.By
	Purpose string
	// KeepsCount says that a right code proves nothing about what was guessed
	// at before, such as the first code of another device: its own guess is
	// given back, and the others stay counted.
	KeepsCount bool
}

// Policy bounds guessing. Its hard limits are checked by Validate.
type Policy struct {
	Guesses int             // wrong guesses per window
	Windows []time.Duration // how long a spent budget stays shut, longer each time
	Cap     int             // wrong guesses in a row before the factor is shut for good
}

// DefaultPolicy is 5 guesses per 15 minutes, then 1 hour, then 24 hours, and
// at most 100 in a row (NIST SP 800-63B-4 3.2.2).
func DefaultPolicy() Policy {
	return Policy{Guesses: 5, Windows: []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour}, Cap: 100}
}

// Validate refuses limits that are off or too wide.
func (p Policy) Validate() error {
	if p.Guesses < 1 || p.Guesses > 10 {
		return fmt.Errorf("COUNTERSIGN_GUESSES (R-016): must be 1 to 10 wrong guesses per 15 minutes, limits cannot be switched off")
	}
	if p.Cap < p.Guesses || p.Cap > 100 {
		return fmt.Errorf("COUNTERSIGN_GUESS_CAP (R-016): must be between the guesses per window and 100")
	}
	return nil
}

// Window is the row a policy is applied to, for stores.
type Window struct {
	Guesses int
	Cap     int
	Spans   [3]int64 // milliseconds: first, second, every further window
}

func (p Policy) window() Window {
	w := Window{Guesses: p.Guesses, Cap: p.Cap}
	for i := range w.Spans {
		w.Spans[i] = p.Windows[min(i, len(p.Windows)-1)].Milliseconds()
	}
	return w
}

// Store keeps the budgets where they survive restarts and flushed caches.
type Store interface {
	// CountGuess takes one guess in one conditional statement. When the
	// budget is spent it takes none.
	CountGuess(ctx context.Context, s Subject, w Window, now time.Time) (Count, error)
	// ReturnGuess gives one back that turned out not to be a guess, and writes
	// the entries with it.
	ReturnGuess(ctx context.Context, s Subject, told ...outbox.Entry) error
	// ClearGuesses forgets all of them after a right one, and writes the
	// entries with it.
	ClearGuesses(ctx context.Context, s Subject, told ...outbox.Entry) error
	Sprays
}

// Count is the answer of counting a guess.
type Count struct {
	OK     bool
	InARow int       // with this one; set when OK
	Free   time.Time // when not OK: when the next is free, the zero time for never
}

// Codes is the part of the ephemeral store that holds live codes.
type Codes interface {
	Armed(ctx context.Context, key string) (*ephemeral.Code, error)
	Consume(ctx context.Context, key string, digest []byte, now time.Time) (ephemeral.Verdict, error)
	Allow(ctx context.Context, key string, rate ephemeral.Rate) (ephemeral.Allowance, error)
	Delete(ctx context.Context, key string) (bool, error)
}

// Guard counts and compares.
type Guard struct {
	Store  Store
	Codes  Codes
	Policy Policy
	Now    func() time.Time
	// Turns and Tagger are for recovery codes.
	Turns  Turns
	Tagger Tagger
	// Outbox makes the records of wrong guesses; nil records none.
	Outbox *outbox.Composer
	// Observe hears of every comparison; nil hears nothing.
	Observe func(class string, outcome ephemeral.Outcome)
	// Alarm hears when the breaker of an organization trips; nil hears nothing.
	Alarm func(ctx context.Context, t tenant.ID, s Spray)
}

// ErrSpent is returned, with the time to wait, when a budget is spent.
var (
	ErrSpent     = fault.New(fault.Limited, "too_many_attempts", "too many wrong codes; wait before the next try")
	ErrShut      = fault.New(fault.Limited, "factor_disabled", "the user's second factors are disabled, after too many wrong codes in a row or by an administrator; use a recovery code, or have the user enrolled anew with force_enroll")
	ErrMalformed = fault.New(fault.Limited, "too_many_malformed", "too many malformed codes from this address; wait before the next try")
)

func spent(free, now time.Time) error {
	if free.IsZero() {
		return ErrShut
	}
	return ErrSpent.RetryIn(max(free.Sub(now), time.Second))
}

// Wrong secrets per owner and source before a pause. A right one clears it.
var secretRate = ephemeral.Rate{Burst: 20, Per: time.Minute}

// Secret compares digests of a secret of 128 random bits or more, such as an
// API key's. Tries count by whose secret it is and where the guess came from,
// so that nobody can shut out the owner from elsewhere. An owner that does not
// exist is passed as a nil digest, under one name for all of them, and costs
// the same.
func (g *Guard) Secret(ctx context.Context, owner string, source netip.Addr, want, got []byte) (bool, error) {
	name := "secret|" + owner
	allowance, err := ephemeral.AllowFrom(ctx, g.Codes, name, source, secretRate)
	if err != nil {
		return false, err
	}
	if !allowance.OK {
		return false, ErrSpent.RetryIn(allowance.RetryAfter)
	}
	if subtle.ConstantTimeCompare(want, got) != 1 || len(want) == 0 {
		return false, nil
	}
	err = ephemeral.ClearFrom(ctx, g.Codes, name, source)
	return err == nil, err
}

// Malformed codes per source before a pause: they cost no guess, and they are
// no way around the budget either.
var malformedRate = ephemeral.Rate{Burst: 60, Per: time.Minute}

// Malformed counts an input that is no code at all.
func (g *Guard) Malformed(ctx context.Context, source netip.Addr) error {
	allowance, err := ephemeral.AllowFrom(ctx, g.Codes, "malformed", source, malformedRate)
	if err != nil {
		return err
	}
	if !allowance.OK {
		return ErrMalformed.RetryIn(allowance.RetryAfter)
	}
	return nil
}
