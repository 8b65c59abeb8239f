package mailcode

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
)

// method is what the activity calls these codes.
const method = "email"

// Checked is what became of a code.
type Checked struct {
	Outcome ephemeral.Outcome
	// InARow is how many wrong codes of the user this wrong one was, without a
	// right one between; zero for nobody.
	InARow int
}

// OK reports that the code was right, and used up by it.
func (c Checked) OK() bool { return c.Outcome == ephemeral.Right }

// Wrong reports that it was compared and wrong.
func (c Checked) Wrong() bool { return c.Outcome == ephemeral.Wrong }

// Used reports that it was right, but another call was first.
func (c Checked) Used() bool { return c.Outcome == ephemeral.Used }

// Check compares what somebody typed with the code that was sent. All codes of
// six digits of a user share one budget of guesses. It returns
// factor.ErrMalformed for what cannot be a code, guard.ErrSpent and
// guard.ErrShut when the budget is spent, and the faults of its parts; then
// nothing was compared.
//
// The mail of a right code is left alone: its person has read it.
func (s *Service) Check(ctx context.Context, w Whose, typed secret.Text) (Checked, error) {
	if !challenge.IsCode(typed.Reveal()) {
		return Checked{}, factor.ErrMalformed
	}
	sent := guard.Sent{Key: s.key(w), Digest: s.digest(w, typed)}
	if w.User == nil {
		outcome, err := s.Guard.Nobody(ctx, sent, func(ctx context.Context) error {
			return s.Store.TakeBudgets(ctx, s.guesses(w), s.Now())
		})
		if err != nil {
			return Checked{}, err
		}
		return Checked{Outcome: outcome}, nil
	}
	sent.Accepted = []outbox.Entry{s.Outbox.Event(activity.Record{
		Tenant: w.Tenant, UserID: w.User.ID, Action: event.TypeCodeAccepted, By: w.By, Data: map[string]string{"method": method},
	})}
	try := guard.Try{
		Subject: guard.Subject{Tenant: w.Tenant, UserID: w.User.ID, Class: guard.SecondFactor}, By: w.By, Purpose: w.purpose(), KeepsCount: !w.Finishes,
	}
	verdict, err := s.Guard.Digits(ctx, try, guard.Digits{Typed: typed, Sent: &sent}, nil)
	if err != nil {
		return Checked{}, s.shut(ctx, w, err)
	}
	if verdict.Outcome == ephemeral.Right {
		s.Relay.Wake()
	}
	if verdict.Last {
		if err := s.exhausted(ctx, w); err != nil {
			return Checked{}, err
		}
	}
	return Checked{Outcome: verdict.Outcome, InARow: verdict.InARow}, nil
}

// shut stops the user's factors at a refusal at the cap, in case the call that
// reached it died before it could. It returns the refusal.
func (s *Service) shut(ctx context.Context, w Whose, refusal error) error {
	if !errors.Is(refusal, guard.ErrShut) {
		return refusal
	}
	if err := s.exhausted(ctx, w); err != nil {
		return err
	}
	return refusal
}

func (s *Service) exhausted(ctx context.Context, w Whose) error {
	return s.Factors.Exhausted(ctx, factor.Whose{Tenant: w.Tenant, Org: w.Org, Standing: factor.Standing{User: *w.User}, By: w.By})
}

// guesses stand in for the budget of a user where there is none: the windows
// of the guard, one after the other, as who goes on guessing meets them. The
// longest is first, since the first that is spent says when to return.
func (s *Service) guesses(w Whose) []challenge.Budget {
	policy, span := s.Guard.Policy, time.Duration(0)
	out := make([]challenge.Budget, len(policy.Windows))
	for i, window := range policy.Windows {
		span += window
		out[len(out)-1-i] = challenge.Budget{Key: "nobody|" + s.nobody(w), Span: span, Most: policy.Guesses * (i + 1), Fault: guard.ErrSpent}
	}
	return out
}
