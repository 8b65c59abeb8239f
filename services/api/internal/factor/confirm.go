package factor

import (
	"context"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
)

// Confirmation makes a waiting factor one that takes codes.
type Confirmation struct {
	Factor Factor
	// Step and Drift are those of an app's first code. The step is used up with
	// it.
	Step  int64
	Drift int
	// Set are the recovery codes that the user gets with it; without an id the
	// user keeps what is left.
	Set  Set
	Told []outbox.Entry
	At   time.Time
}

// Confirmed is the answer to an enrolment's first code.
type Confirmed struct {
	Checked
	EnrolledAt time.Time // set when OK
	// Codes are the new recovery codes, shown this once. None are made where
	// the user keeps those that are left.
	Codes []RecoveryCode
	SetID string // theirs
}

// ConfirmEnrolment checks the first code of an enrolment: one that the app
// shows, or the one that was sent to the phone.
func (s *Service) ConfirmEnrolment(ctx context.Context, w Whose, code Code) (out Confirmed, err error) {
	if err := w.open(); err != nil {
		return Confirmed{}, err
	}
	f, now := w.Waiting, s.Now().Truncate(time.Millisecond)
	if f.ID == "" || !f.ExpiresAt.After(now) {
		return Confirmed{}, ErrNoWaiting
	}
	mints := f.Mode == Reset || w.Recovery.ID == ""
	confirm := func(ctx context.Context, step int64, drift int) error {
		set, codes, err := s.confirm(ctx, w, Confirmation{Factor: f, Step: step, Drift: drift, At: now}, mints)
		if err == nil {
			out.EnrolledAt, out.Codes, out.SetID = now, codes, set.ID
		}
		return err
	}
	check := func(ctx context.Context) (err error) {
		if f.Method == App {
			out.Checked, err = s.confirmApp(ctx, w, f, code, confirm)
		} else {
			out.Checked, err = s.confirmPhone(ctx, w, f, code, confirm)
		}
		return err
	}
	if mints {
		err = s.Guard.InTurn(ctx, w.subject(), check)
	} else {
		err = check(ctx)
	}
	if err != nil {
		return Confirmed{}, err
	}
	return out, nil
}

// first is the guess at the first code of a factor. Beside other factors it
// proves nothing about those.
func (w Whose) first(f Factor) guard.Try {
	t := w.try(purposeEnroll)
	t.KeepsCount = f.Mode == Add
	return t
}

// checkWithin is how long a first code may be checked: somebody waits.
// What a right one leads to may take longer.
const checkWithin = 1750 * time.Millisecond

type confirming func(ctx context.Context, step int64, drift int) error

func (s *Service) confirmApp(ctx context.Context, w Whose, f Factor, code Code, confirm confirming) (Checked, error) {
	apps, err := expected([]Factor{f}, s.Now())
	if err != nil {
		return Checked{}, err
	}
	checking, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	digits := guard.Digits{Typed: code.digits, Apps: apps}
	verdict, err := s.Guard.Digits(checking, w.first(f), digits, func(_ context.Context, c guard.AppCode) (bool, error) {
		err := confirm(ctx, c.Step, c.Drift) // it has its own time, for five hashes
		return err == nil, err
	})
	if err != nil {
		return Checked{}, err
	}
	return Checked{Outcome: verdict.Outcome, Method: App, InARow: verdict.InARow}, s.last(ctx, w, verdict)
}

func (s *Service) confirmPhone(ctx context.Context, w Whose, f Factor, code Code, confirm confirming) (Checked, error) {
	checking, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	checked, err := s.checkSent(checking, w, w.first(f), f, code)
	if err != nil || !checked.OK() {
		return checked, err
	}
	return checked, confirm(ctx, 0, 0)
}

// confirm makes the recovery codes that are due and stores it all.
func (s *Service) confirm(ctx context.Context, w Whose, c Confirmation, mints bool) (set Set, codes []RecoveryCode, err error) {
	if mints {
		if c.Set, codes, err = s.mint(c.At); err != nil {
			return Set{}, nil, err
		}
	}
	if c.Told, err = s.toldConfirmed(ctx, w, c); err != nil {
		return Set{}, nil, err
	}
	if err := s.Store.Confirm(ctx, c); err != nil {
		return Set{}, nil, err
	}
	s.Notices.Relay.Wake()
	return c.Set, codes, nil
}

// Checked is what became of a code.
type Checked struct {
	Outcome ephemeral.Outcome
	Method  string // that proved it, when OK
	InARow  int    // wrong codes of the user, when Wrong
	// Of a code that was sent.
	RequestID string
	IssuedAt  time.Time
	SentAt    time.Time
	ByCaller  bool
}

// OK reports whether this call used up the right code.
func (c Checked) OK() bool { return c.Outcome == ephemeral.Right }

// Wrong reports whether something was compared and was another code.
func (c Checked) Wrong() bool { return c.Outcome == ephemeral.Wrong }

// Used reports whether the code was right and had been used before.
func (c Checked) Used() bool { return c.Outcome == ephemeral.Used }

// ByRecovery reports whether a recovery code stood in for the factors.
func (c Checked) ByRecovery() bool { return c.OK() && c.Method == Recovery }
