package factor

import (
	"context"
	"slices"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/phone"
	"countersign.dev/services/api/internal/tenant"
)

// Accepted is a code of an app that was right.
type Accepted struct {
	Tenant tenant.ID
	UserID string
	Factor string
	Step   int64
	Drift  int
	At     time.Time
}

// Validate checks a code of the user: one that an app shows, the one that
// Challenge sent, or a recovery code. Each works once.
func (s *Service) Validate(ctx context.Context, w Whose, code Code) (Checked, error) {
	if err := w.enrolled(); err != nil {
		return Checked{}, err
	}
	if code.digits.IsZero() {
		return s.tryRecovery(ctx, w, code.recovery)
	}
	taking := slices.DeleteFunc(slices.Clone(w.Factors), func(f Factor) bool { return !f.Takes() })
	if len(taking) == 0 {
		return Checked{}, guard.ErrShut
	}
	if i := slices.IndexFunc(taking, func(f Factor) bool { return f.Method == SMS }); i >= 0 && len(taking) == 1 {
		return s.checkSent(ctx, w, w.try(purposeLogin), taking[i], code)
	}
	return s.checkDigits(ctx, w, taking, code)
}

// checkDigits compares with the codes of all apps around now and with the one
// that was sent, if the user has a phone as well.
func (s *Service) checkDigits(ctx context.Context, w Whose, taking []Factor, code Code) (Checked, error) {
	now := s.Now()
	apps, err := expected(taking, now)
	if err != nil {
		return Checked{}, err
	}
	digits := guard.Digits{Typed: code.digits, Apps: apps}
	var answer challenge.Answer
	for _, f := range taking {
		if f.Method == SMS {
			answer, digits.Sent = s.sent(w, purposeLogin, f, code)
		}
	}
	verdict, err := s.Guard.Digits(ctx, w.try(purposeLogin), digits, func(ctx context.Context, c guard.AppCode) (bool, error) {
		accepted := Accepted{Tenant: w.Tenant, UserID: w.User.ID, Factor: c.Factor, Step: c.Step, Drift: c.Drift, At: now}
		return s.Store.AcceptStep(ctx, accepted, []outbox.Entry{s.accepted(w, App, c.Factor)})
	})
	if err != nil {
		return Checked{}, s.shutNow(ctx, w, err)
	}
	checked := Checked{Outcome: verdict.Outcome, Method: App, InARow: verdict.InARow}
	switch {
	case verdict.App == nil && verdict.Sent.ID != "":
		if checked, err = s.settle(ctx, answer, verdict); err != nil {
			return Checked{}, err
		}
	case checked.OK():
		s.Notices.Relay.Wake()
		if s.Drifted != nil {
			s.Drifted(verdict.App.Drift)
		}
	}
	return checked, s.last(ctx, w, verdict)
}

// checkSent compares with the code that was sent to a phone and nothing else.
func (s *Service) checkSent(ctx context.Context, w Whose, t guard.Try, f Factor, code Code) (Checked, error) {
	answer, sent := s.sent(w, t.Purpose, f, code)
	verdict, err := s.Guard.Digits(ctx, t, guard.Digits{Typed: code.digits, Sent: sent}, nil)
	if err != nil {
		return Checked{}, s.shutNow(ctx, w, err)
	}
	checked, err := s.settle(ctx, answer, verdict)
	if err != nil {
		return Checked{}, err
	}
	return checked, s.last(ctx, w, verdict)
}

// sent is the answer to a challenge, and what the guard needs of it.
func (s *Service) sent(w Whose, purpose string, f Factor, code Code) (challenge.Answer, *guard.Sent) {
	answer := challenge.Answer{Subject: w.subject(), Purpose: purpose, Factor: f.ID, To: f.Phone, Prefix: phone.Prefix(f.Phone), Code: code.digits}
	sent := s.Challenges.Expected(answer)
	if purpose == purposeLogin { // an enrolment has a record of its own
		sent.Accepted = []outbox.Entry{s.accepted(w, SMS, f.ID)}
	}
	return answer, sent
}

func (s *Service) settle(ctx context.Context, answer challenge.Answer, verdict guard.Verdict) (Checked, error) {
	found, err := s.Challenges.Settle(ctx, answer, verdict.Sent)
	if verdict.Outcome == ephemeral.Right {
		s.Notices.Relay.Wake()
	}
	return Checked{
		Outcome: verdict.Outcome, Method: SMS, InARow: verdict.InARow, RequestID: found.RequestID, IssuedAt: found.IssuedAt, SentAt: found.SentAt, ByCaller: found.ByCaller,
	}, err
}

// expected are the codes that apps may show at a time.
func expected(factors []Factor, now time.Time) (out []guard.AppCode, err error) {
	for _, f := range factors {
		if f.Method != App {
			continue
		}
		codes, err := f.Key.Codes(now)
		if err != nil {
			return nil, err
		}
		for _, c := range codes {
			out = append(out, guard.AppCode{Factor: f.ID, Step: c.Step, Drift: c.Drift, Used: c.Step <= f.LastStep, Text: c.Text})
		}
	}
	return out, nil
}

// shut returns ErrShut for a factor that takes no codes.
func shut(f Factor) error {
	if !f.Takes() {
		return guard.ErrShut
	}
	return nil
}

// last stops the user's factors after the last wrong code that the cap allows,
// and tells the user.
func (s *Service) last(ctx context.Context, w Whose, verdict guard.Verdict) error {
	if !verdict.Last {
		return nil
	}
	return s.stop(context.WithoutCancel(ctx), w)
}

// shutNow is last for a refusal at the cap, in case the call that reached it
// died before it could stop the factors. It returns the refusal.
func (s *Service) shutNow(ctx context.Context, w Whose, refusal error) error {
	if !isShut(refusal) || !slices.ContainsFunc(w.Factors, Factor.Takes) {
		return refusal
	}
	if err := s.stop(ctx, w); err != nil {
		return err
	}
	return refusal
}

// Exhausted is what follows from the last wrong code that the cap allows, and
// from every refusal after it, where codes that share the budget are compared
// by other rules. Of w it needs whose it is and who asks. The second
// time it changes nothing.
func (s *Service) Exhausted(ctx context.Context, w Whose) error {
	return s.stop(context.WithoutCancel(ctx), w)
}

func (s *Service) stop(ctx context.Context, w Whose) error {
	mail, err := s.mail(ctx, w, event.TemplateNoticeFactorsDisabled, "")
	if err != nil {
		return err
	}
	happened := s.failed(w, event.TypeFactorsDisabled, map[string]string{"by": ByGuesses})
	stopped, err := s.Store.Disable(ctx, Stop{Tenant: w.Tenant, UserID: w.User.ID, By: ByGuesses, At: s.Now()}, []outbox.Entry{happened, mail})
	if stopped {
		s.Notices.Relay.Wake()
	}
	return err
}
