package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// at is a flow that was found, with the app that it is for.
type at struct {
	held
	app app.App
	org tenant.Organization
}

// open reads the flow of a form, and tells in which of the steps it has to be
// for that. Where it is elsewhere, the form is one of a page that is over: ok
// is false, and out leads to the page of now, or from a finished flow on to
// where it led before.
func (s *Service) open(ctx context.Context, flow secret.Text, b Browser, steps ...Step) (h at, out Outcome, ok bool, err error) {
	if h.held, err = s.find(ctx, flow, b.Cookie); err != nil {
		return at{}, Outcome{}, false, err
	}
	if h.Step == StepFinished {
		out, err = s.again(ctx, h.held, b)
		return h, out, false, err
	}
	out = Outcome{Flow: flow, Locale: h.Locale}
	if !slices.Contains(steps, h.Step) {
		return h, out, false, nil
	}
	h.app, h.org, err = s.target(ctx, h.Request)
	return h, out, err == nil, err
}

// caller is who asks the rules of passwords and links.
func (h at) caller(b Browser) link.Caller {
	return link.Caller{App: h.app.ID, RequestID: h.RequestID, Tenant: h.app.Tenant, Org: h.org, By: b.by(), Device: b.Device, Flow: h.key}
}

// Password takes the first proof of a flow. Whatever is wrong with it, the
// browser goes to the page again, which says it; nobody learns from it whether
// the address has a user.
func (s *Service) Password(ctx context.Context, flow secret.Text, b Browser, email string, plain secret.Text) (Outcome, error) {
	// In whichever tab it is typed, as long as nothing is proven. Later it is the
	// form of a page that is over, and must not undo what was proven since.
	h, out, ok, err := s.open(ctx, flow, b, StepAddress, StepPassword, StepLink, StepLinkSent, StepForgot, StepForgotSent)
	if !ok || err != nil {
		return out, err
	}
	if !h.app.Allows(app.Password) {
		return Outcome{}, ErrMethod
	}
	h.Step, h.Typed = StepPassword, short(email)
	v, err := s.Passwords.Challenge(ctx, h.caller(b), email, plain, b.Source)
	switch {
	case err != nil:
		return out, s.notCompared(ctx, h.held, err, Wrong)
	case !v.Valid:
		return out, s.wrong(ctx, h.held, Wrong)
	}
	return out, s.firstProven(ctx, h, v.Completed, b)
}

// firstProven goes on from a first factor that was right: to the second one, or
// to what is left to do where that is all that the user has.
func (s *Service) firstProven(ctx context.Context, h at, done login.Completed, b Browser) error {
	h.UserID, h.SessionID = done.Login.UserID, ""
	switch {
	case h.Subject != "" && h.Subject != h.UserID:
		return s.end(ctx, h.held, ErrOther)
	case done.Lapsed:
		h.UserID, h.Step = "", StepForgot
		return s.say(ctx, h.held, Lapsed, time.Time{})
	case done.MFARequired:
		h.Step = StepCode
		return s.move(ctx, h.held, "")
	}
	return s.complete(ctx, h, done, b)
}

// longestTyped is how much of an address is shown again, in bytes.
const longestTyped = 320

func short(text string) string {
	if len(text) > longestTyped {
		return ""
	}
	return text
}

// Address takes the address of StepAddress. It says nothing of users: only to
// which organization addresses of this domain belong.
func (s *Service) Address(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepAddress)
	if !ok || err != nil {
		return out, err
	}
	h.Typed = short(email)
	address, err := user.ParseAddress(email)
	if err != nil {
		return out, s.say(ctx, h.held, NoAddress, time.Time{})
	}
	other, err := s.Domains.ByEmailDomain(ctx, h.app.Account, h.app.Tenant.Env, address.Canonical[strings.LastIndexByte(address.Canonical, '@')+1:], func(string) bool { return true })
	switch {
	case err == nil && other.ID != h.app.Tenant.Org:
		return out, s.say(ctx, h.held, OtherOrg, time.Time{})
	case err != nil && (fault.KindOf(err) == fault.Internal || fault.KindOf(err) == fault.Unavailable):
		return out, err
	}
	h.Step = StepPassword
	return out, s.say(ctx, h.held, "", time.Time{})
}

// notCompared says why a proof was not looked at. What is no matter of the one
// who typed it stays a fault.
func (s *Service) notCompared(ctx context.Context, h held, err error, malformed Said) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	until := time.Time{}
	if f.After > 0 {
		until = s.Now().Add(f.After)
	}
	switch {
	case errors.Is(err, guard.ErrShut), errors.Is(err, factor.ErrReenrol), errors.Is(err, factor.ErrNotEnrolled):
		return s.say(ctx, h, Shut, until)
	case errors.Is(err, factor.ErrWait):
		return s.say(ctx, h, OneADay, until)
	case f.Code == guard.ErrOff.Code:
		return s.say(ctx, h, Off, until)
	case f.Kind == fault.Limited:
		return s.say(ctx, h, Paused, until)
	case f.Kind == fault.Unavailable:
		return s.say(ctx, h, Busy, until)
	case f.Kind == fault.Malformed, f.Kind == fault.Invalid, f.Kind == fault.TooLarge:
		return s.say(ctx, h, malformed, until)
	}
	return err
}
