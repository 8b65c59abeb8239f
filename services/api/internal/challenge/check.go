package challenge

import (
	"context"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
)

// Result of a check.
type Result struct {
	Outcome   ephemeral.Outcome
	RequestID string    // of the challenge; empty when none is live
	IssuedAt  time.Time // of the challenge
	// SentAt is when a provider took the message, as far as it is known yet.
	SentAt time.Time
	// ByCaller says that the caller sent the code itself.
	ByCaller bool
}

// OK reports whether this call used up the right code.
func (r Result) OK() bool { return r.Outcome == ephemeral.Right }

// Wrong reports whether a live code was compared and was another one.
func (r Result) Wrong() bool { return r.Outcome == ephemeral.Wrong }

// Answer is a code that somebody typed.
type Answer struct {
	Subject guard.Subject
	Purpose string
	Factor  string
	To      string // the number it was sent to, E.164
	Prefix  string // the first digits of To
	Code    secret.Text
}

// Check compares a code through the guard. A right one works once; it ends
// the number's resend gap and withdraws a delivery that is still waiting. It
// returns faults of kind Limited when the user's guesses are spent and
// Unavailable when a part is down; then nothing was compared.
func (s *Service) Check(ctx context.Context, a Answer) (Result, error) {
	verdict, err := s.Guard.Code(ctx, a.Subject, s.key(a.Subject, a.Purpose), s.digest(a.Subject, a.Purpose, a.Factor, a.Code))
	if err != nil {
		return Result{}, err
	}
	result := Result{Outcome: verdict.Outcome, RequestID: verdict.ID, IssuedAt: verdict.IssuedAt}
	if !result.OK() {
		return result, nil
	}
	result.SentAt, err = s.Store.Answered(ctx, s.number(a.Subject.Tenant.Env, a.To), a.Subject.Tenant, verdict.Ref)
	if err != nil {
		return Result{}, err
	}
	if result.ByCaller = verdict.Ref == ""; !result.ByCaller {
		s.verified(ctx, a)
		// What is still queued would tell the person a code that is used.
		// Failing to withdraw it harms nobody, so it does not fail the login.
		if _, err := s.Claims.Withdraw(ctx, verdict.Ref); err != nil {
			s.Log.WarnContext(ctx, "claim not withdrawn", "delivery_id", verdict.Ref, "error", err)
		}
	}
	return result, nil
}
