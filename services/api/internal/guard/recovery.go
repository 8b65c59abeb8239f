package guard

import (
	"context"
	"crypto/subtle"
	"math"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
)

// Recovery codes have 80 bits, so nobody guesses one; they are counted like
// all second factors because they stand in the same field. The cap is not for
// them: they are the way out when it has shut the others.

// Set is the recovery codes of a user, all hashed with one salt, so that one
// evaluation is enough to try them all.
type Set struct {
	Made string // how they were hashed; empty: the user has none
	Tags [][]byte
	Used func(i int) bool
}

// Tagger evaluates recovery codes.
type Tagger interface {
	// Tag hashes a candidate in the way that is said, in the turn of the
	// caller. Where nothing is said it costs the same.
	Tag(candidate secret.Text, made string) ([]byte, error)
}

// Recovery guesses a recovery code. It takes a turn at hashing first, so that
// a guess that gets none is not counted, counts, evaluates once and compares.
// A right code is handed to accept, which uses it up and clears the count in
// one transaction, and reports whether it was the first to do so.
//
// It returns ErrSpent, and compared nothing, when the budget is spent, and the
// faults of its parts.
func (g *Guard) Recovery(ctx context.Context, t Try, typed secret.Text, set Set, accept func(ctx context.Context, i int) (bool, error)) (v Verdict, err error) {
	err = g.InTurn(ctx, t.Subject, func(ctx context.Context) (err error) {
		v, err = g.tryRecovery(ctx, t, typed, set, accept)
		return err
	})
	return v, err
}

// InTurn runs fn, which hashes recovery codes of a user, when it is its turn:
// of a user's one runs at a time. A guess that leads to hashing is taken within
// fn, so that one without a turn is not counted and uses up no code. It returns
// fn's error, or a fault of kind Unavailable when fn was not called.
func (g *Guard) InTurn(ctx context.Context, s Subject, fn func(ctx context.Context) error) error {
	return g.Turns.Do(ctx, s.Tenant.Org, "recovery|"+s.Tenant.Org+"|"+s.Tenant.Env+"|"+s.UserID, fn)
}

func (g *Guard) tryRecovery(ctx context.Context, t Try, typed secret.Text, set Set, accept func(ctx context.Context, i int) (bool, error)) (Verdict, error) {
	now, w := g.Now(), g.Policy.window()
	w.Cap = math.MaxInt32
	count, err := g.count(ctx, t, w, now)
	if err != nil {
		return Verdict{}, err
	}
	got, err := g.Tagger.Tag(typed, set.Made)
	if err != nil {
		return Verdict{}, err // stays counted
	}
	found := -1
	for i, tag := range set.Tags {
		if subtle.ConstantTimeCompare(tag, got) == 1 {
			found = i
		}
	}
	v := Verdict{Outcome: ephemeral.Wrong, InARow: count.InARow, Last: count.InARow >= g.Policy.Cap}
	if found >= 0 {
		v = Verdict{Outcome: ephemeral.Used}
		if !set.Used(found) {
			if v.Outcome, err = g.use(ctx, t, func() (bool, error) { return accept(ctx, found) }); err != nil {
				return Verdict{}, err
			}
		}
	}
	if v.Outcome == ephemeral.Right {
		g.observe(t, v.Outcome)
		return v, nil
	}
	return v, g.settle(ctx, t, v.Outcome, nil, now)
}
