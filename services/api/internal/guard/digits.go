package guard

import (
	"context"
	"crypto/subtle"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/outbox"
)

// Digits are what somebody typed as a code of an app or of a text message.
// Nothing tells the two apart, so one guess is taken for both.
type Digits struct {
	Typed secret.Text
	// Apps are the codes that the user's apps may show at the moment.
	Apps []AppCode
	// Sent is where a code that was sent to the user is; nil for users without
	// a phone.
	Sent *Sent
}

// AppCode is the code of one time step of an app.
type AppCode struct {
	Factor string
	Step   int64
	Drift  int // in steps; positive where the app's clock is ahead
	// Used says that this step or a later one was accepted before.
	Used bool
	Text secret.Text
}

// Sent is a code that was sent.
type Sent struct {
	Key    string
	Digest []byte
	// Accepted is written when it was right.
	Accepted []outbox.Entry
}

// Verdict is what became of a guess.
type Verdict struct {
	// Outcome is one of ephemeral's. Used means right, but used before: that
	// is no wrong guess.
	Outcome ephemeral.Outcome
	App     *AppCode          // whose code it was, when Right or Used and an app's
	Sent    ephemeral.Verdict // what was found of a sent one
	// InARow is how many wrong guesses of the user this wrong one was, without a
	// right one between. Last says that it was the last that the cap allows.
	InARow int
	Last   bool
}

// Digits guesses a code. The guess is counted in SQL before anything is
// compared; what was no guess (nothing to compare with, or right but used) is
// given back, and a right one clears the count.
//
// A right code of an app is handed to accept, which uses up its time step and
// clears the count in one transaction, and reports whether it was the first to
// do so. When accept fails the guess is given back: it was no wrong one.
func (g *Guard) Digits(ctx context.Context, t Try, d Digits, accept func(context.Context, AppCode) (bool, error)) (Verdict, error) {
	sent := d.Sent
	if sent != nil {
		live, err := g.Codes.Armed(ctx, sent.Key)
		if err != nil {
			return Verdict{}, err
		}
		if live == nil {
			sent = nil
		}
	}
	if sent == nil && len(d.Apps) == 0 {
		return Verdict{Outcome: ephemeral.None}, nil
	}
	now := g.Now()
	count, err := g.count(ctx, t, g.Policy.window(), now)
	if err != nil {
		return Verdict{}, err
	}
	if code := match(d); code != nil {
		return g.app(ctx, t, *code, accept)
	}
	v := Verdict{Outcome: ephemeral.Wrong}
	if sent != nil {
		if v.Sent, err = g.Codes.Consume(ctx, sent.Key, sent.Digest, now); err != nil {
			return Verdict{}, err // stays counted: the store may have compared
		}
		v.Outcome = v.Sent.Outcome
		if len(d.Apps) > 0 && v.Outcome != ephemeral.Right && v.Outcome != ephemeral.Used {
			v.Outcome = ephemeral.Wrong // it was compared with those of apps, too
		}
	}
	if v.Outcome == ephemeral.Wrong {
		v.InARow, v.Last = count.InARow, count.InARow >= g.Policy.Cap
	}
	return v, g.settle(ctx, t, v.Outcome, d.Sent, now)
}

// count takes a guess, or returns ErrSpent or ErrShut.
func (g *Guard) count(ctx context.Context, t Try, w Window, now time.Time) (Count, error) {
	count, err := g.Store.CountGuess(ctx, t.Subject, w, now)
	if err == nil && !count.OK {
		err = spent(count.Free, now)
	}
	return count, err
}

// match finds the code that was typed among those of apps, in the same time
// whichever it is. A code that was not used yet goes before one that was.
func match(d Digits) (found *AppCode) {
	typed := []byte(d.Typed.Reveal())
	for i, code := range d.Apps {
		if subtle.ConstantTimeCompare([]byte(code.Text.Reveal()), typed) == 1 && (found == nil || found.Used) {
			found = &d.Apps[i]
		}
	}
	return found
}

// app settles a code of an app that was right.
func (g *Guard) app(ctx context.Context, t Try, code AppCode, accept func(context.Context, AppCode) (bool, error)) (Verdict, error) {
	v := Verdict{Outcome: ephemeral.Used, App: &code}
	if !code.Used {
		var err error
		if v.Outcome, err = g.use(ctx, t, func() (bool, error) { return accept(ctx, code) }); err != nil {
			return Verdict{}, err
		}
	}
	g.observe(t, v.Outcome)
	if v.Outcome == ephemeral.Right {
		return v, nil
	}
	return v, g.Store.ReturnGuess(ctx, t.Subject, g.refused(t, v.Outcome)...)
}

// use hands a right code to what uses it up and reports whether this call was
// the first to. When that fails the guess is given back.
func (g *Guard) use(ctx context.Context, t Try, accept func() (first bool, err error)) (ephemeral.Outcome, error) {
	first, err := accept()
	switch {
	case err != nil:
		_ = g.Store.ReturnGuess(context.WithoutCancel(ctx), t.Subject) // failing here leaves it counted
		return ephemeral.None, err
	case first:
		return ephemeral.Right, nil
	}
	return ephemeral.Used, nil
}

// settle brings the count in line with the outcome of a comparison.
func (g *Guard) settle(ctx context.Context, t Try, outcome ephemeral.Outcome, sent *Sent, now time.Time) error {
	g.observe(t, outcome)
	switch outcome {
	case ephemeral.Wrong:
		return g.failed(ctx, t, now)
	case ephemeral.Right:
		if t.KeepsCount {
			return g.Store.ReturnGuess(ctx, t.Subject, sent.Accepted...)
		}
		return g.Store.ClearGuesses(ctx, t.Subject, sent.Accepted...)
	case ephemeral.Used:
		return g.Store.ReturnGuess(ctx, t.Subject, g.refused(t, outcome)...)
	default: // nothing was compared
		return g.Store.ReturnGuess(ctx, t.Subject)
	}
}

func (g *Guard) observe(t Try, outcome ephemeral.Outcome) {
	if g.Observe != nil {
		g.Observe(t.Class, outcome)
	}
}
