package flow

import (
	"context"
	"errors"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/password"
)

// Renew sets another password in place of one that was right and must change.
// All that the login needs was proven before.
func (s *Service) Renew(ctx context.Context, flow secret.Text, b Browser, plain secret.Text) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepRenew)
	if !ok || err != nil {
		return out, err
	}
	standing, err := s.Factors.Find(ctx, h.app.Tenant, h.UserID)
	if err != nil {
		return out, err
	}
	if h.Login == nil {
		return out, s.orLate(ctx, h, errLate)
	}
	code, err := s.Passwords.Renew(ctx, standing.User, *h.Login)
	if errors.Is(err, login.ErrStale) { // it was changed elsewhere, meanwhile
		return out, s.orLate(ctx, h, errLate)
	}
	if err != nil {
		return out, err
	}
	done, err := s.Passwords.Set(ctx, h.caller(b), password.Set{Code: code, Plain: plain})
	if f, ok := errors.AsType[*fault.Error](err); ok && (f.Kind == fault.Invalid || f.Kind == fault.Malformed || f.Kind == fault.TooLarge) {
		h.Said, h.Until, h.Advice = Weak, time.Time{}, adviceOf(f)
		return out, s.keep(ctx, h.held)
	}
	if err != nil {
		return out, s.notCompared(ctx, h.held, err, Weak)
	}
	h.Login.Password, h.Login.MustChange, h.Login.Expires, h.Login.Lapses = done.Number, false, time.Time{}, time.Time{}
	h.Renewing = false
	return out, s.onward(ctx, h)
}

// Advice is what is wrong with a new password, in all languages in which
// somebody may be told: sentences by their tag.
type Advice map[string][]string

func adviceOf(f *fault.Error) Advice {
	if f.Advice == nil {
		return nil
	}
	out := Advice{}
	for _, lang := range password.Spoken() {
		out[lang] = f.Advice.In(lang)
	}
	return out
}

// In implements fault.Advice for the languages of the pages.
func (a Advice) In(languages ...string) []string {
	for _, wanted := range languages {
		base, _, _ := strings.Cut(wanted, "-")
		if said, ok := a[strings.ToLower(base)]; ok {
			return said
		}
	}
	return a["en"]
}
