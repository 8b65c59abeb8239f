package challenge

import (
	"context"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
)

// Answer is a code that somebody typed.
type Answer struct {
	Subject guard.Subject
	Purpose string
	Factor  string
	To      string // the number it was sent to, E.164
	Prefix  string // the first digits of To
	Code    secret.Text
}

// Found is what a check found of the challenge.
type Found struct {
	RequestID string    // empty when none is live
	IssuedAt  time.Time // zero when none is live
	// SentAt is when a provider took the message, as far as it is known yet.
	SentAt time.Time
	// ByCaller says that the caller sent the code itself.
	ByCaller bool
}

// Expected is what the guard compares an answer with.
func (s *Service) Expected(a Answer) *guard.Sent {
	return &guard.Sent{Key: s.key(a.Subject, a.Purpose), Digest: s.digest(a.Subject, a.Purpose, a.Factor, a.Code)}
}

// Settle does what follows from what the guard has found: a right code ends
// the number's resend gap and withdraws a delivery that is still waiting.
func (s *Service) Settle(ctx context.Context, a Answer, verdict ephemeral.Verdict) (Found, error) {
	found := Found{RequestID: verdict.ID, IssuedAt: verdict.IssuedAt}
	if verdict.Outcome != ephemeral.Right {
		return found, nil
	}
	var err error
	found.SentAt, err = s.Store.Answered(ctx, s.number(a.Subject.Tenant.Env, a.To), a.Subject.Tenant, verdict.Ref)
	if err != nil {
		return Found{}, err
	}
	if found.ByCaller = verdict.Ref == ""; !found.ByCaller {
		s.verified(ctx, a)
		// What is still queued would tell the person a code that is used.
		// Failing to withdraw it harms nobody, so it does not fail the login.
		if _, err := s.Claims.Withdraw(ctx, verdict.Ref); err != nil {
			s.Log.WarnContext(ctx, "claim not withdrawn", "delivery_id", verdict.Ref, "error", err)
		}
	}
	return found, nil
}
