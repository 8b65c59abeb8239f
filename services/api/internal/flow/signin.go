package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/session"
)

// Password takes the first proof of a flow. Whatever is wrong with it, the
// browser goes to the page again, which says it; nobody learns from it whether
// the address has a user.
func (s *Service) Password(ctx context.Context, flow secret.Text, b Browser, email string, plain secret.Text) (Outcome, error) {
	h, err := s.find(ctx, flow, b.Cookie)
	if err != nil {
		return Outcome{}, err
	}
	a, org, err := s.app(ctx, h.ClientID)
	if err != nil {
		return Outcome{}, err
	}
	if !a.Allows(app.Password) {
		return Outcome{}, ErrMethod
	}
	again := Outcome{Flow: flow, Locale: h.Locale}
	// Whoever had come further here begins again with this.
	h.UserID, h.SessionID, h.Typed = "", "", short(email)
	v, err := s.Passwords.Challenge(ctx, link.Caller{
		App: a.ID, RequestID: h.RequestID, Tenant: a.Tenant, Org: org, By: b.by(),
	}, email, plain, b.Source)
	if err != nil {
		return again, s.notCompared(ctx, h, err, Wrong)
	}
	switch {
	case !v.Valid:
		return again, s.wrong(ctx, h, Wrong)
	case h.Subject != "" && h.Subject != v.UserID:
		return Outcome{}, s.end(ctx, h, ErrOther)
	case v.MustChange, v.Lapsed:
		return Outcome{}, s.end(ctx, h, ErrPassword)
	case v.MFARequired:
		h.UserID = v.UserID
		return again, s.say(ctx, h, "", time.Time{})
	}
	return s.proven(ctx, h, a, v.Login, b)
}

// longestTyped is how much of an address is shown again, in bytes.
const longestTyped = 320

func short(text string) string {
	if len(text) > longestTyped {
		return ""
	}
	return text
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

// second is what the second half of a flow is about.
type second struct {
	held
	app     app.App
	whose   factor.Whose
	session *session.Session // that is raised; nil where a login waits
}

// errLate says that the first half counts no more.
var errLate = errors.New("the first half of the login is too old")

// half reads the second half of a flow, with the methods that the app allows
// alone. It returns errLate where the first one has to be done again.
func (s *Service) half(ctx context.Context, h held, b Browser) (out second, err error) {
	a, org, err := s.app(ctx, h.ClientID)
	if err != nil {
		return second{}, err
	}
	out = second{held: h, app: a}
	if h.UserID == "" {
		return out, errLate
	}
	if h.SessionID != "" {
		out.session, _, err = s.signedIn(ctx, a, b)
		if err == nil && (out.session == nil || out.session.ID != h.SessionID || out.session.User.ID != h.UserID) {
			err = errLate
		}
	} else {
		var waits bool
		if waits, err = s.Logins.Waits(ctx, h.RequestID, a.Tenant, h.UserID, a.ID); err == nil && !waits {
			err = errLate
		}
	}
	if err != nil {
		return out, err
	}
	standing, err := s.Factors.Find(ctx, a.Tenant, h.UserID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !standing.User.Active {
		return out, errLate
	}
	if err != nil {
		return out, err
	}
	standing.Factors = slices.DeleteFunc(slices.Clone(standing.Factors), func(f factor.Factor) bool { return !a.Allows(f.Method) })
	out.whose = factor.Whose{Tenant: a.Tenant, Org: org, Standing: standing, Source: b.Source, By: b.by(), Page: true}
	return out, nil
}

// Code takes the second proof of a flow. Recovery codes are not taken here:
// one obliges to enrol anew, and there is no page for that yet.
func (s *Service) Code(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	h, err := s.find(ctx, flow, b.Cookie)
	if err != nil {
		return Outcome{}, err
	}
	again := Outcome{Flow: flow, Locale: h.Locale}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return again, s.orLate(ctx, h, err)
	}
	code, err := s.Factors.ReadDigits(ctx, b.Source, typed)
	if err != nil {
		return again, s.notCompared(ctx, h, err, NoCode)
	}
	checked, err := s.Factors.Validate(ctx, half.whose, code)
	switch {
	case err != nil:
		return again, s.notCompared(ctx, h, err, NoCode)
	case checked.Wrong():
		return again, s.wrongCode(ctx, half, checked, b)
	case checked.Used():
		return again, s.say(ctx, h, Used, time.Time{})
	case !checked.OK():
		return again, s.say(ctx, h, NotSent, time.Time{})
	}
	if half.session != nil {
		return s.raised(ctx, h, half.app, *half.session, proofOf(checked.Method), b)
	}
	return s.complete(ctx, half, proofOf(checked.Method), b)
}

// complete ends the login that waited for a second factor.
func (s *Service) complete(ctx context.Context, half second, proof string, b Browser) (Outcome, error) {
	done, waited, err := s.Logins.Continue(ctx, half.RequestID, half.app.Tenant, half.UserID, half.app.ID, proof)
	switch {
	case errors.Is(err, login.ErrStale):
		return Outcome{}, s.end(ctx, half.held, ErrOver)
	case err != nil:
		return Outcome{}, err
	case !waited:
		return Outcome{}, ErrOver // another request has just ended it
	case done.MustChange, done.Lapsed:
		return Outcome{}, s.end(ctx, half.held, ErrPassword)
	}
	return s.proven(ctx, half.held, half.app, done.Login, b)
}

// orLate goes back to the first half where that is too old; anything else is
// the fault that it is.
func (s *Service) orLate(ctx context.Context, h held, err error) error {
	if !errors.Is(err, errLate) {
		return err
	}
	if h.UserID == "" {
		return nil // the page asks for it as it is
	}
	h.UserID, h.SessionID = "", ""
	return s.say(ctx, h, Late, time.Time{})
}

// failures is how many wrong codes in a row are news.
const failures = 3

func (s *Service) wrongCode(ctx context.Context, half second, checked factor.Checked, b Browser) error {
	if checked.InARow >= failures {
		err := s.Notices.Tell(ctx, notice.About{Org: half.whose.Org, User: half.whose.User, By: b.by()},
			event.TemplateNoticeSecondFactorFailing, event.TypeMFAFailed)
		if err != nil {
			return err
		}
	}
	return s.wrong(ctx, half.held, WrongCode)
}

// Send sends a code to the user's phone.
func (s *Service) Send(ctx context.Context, flow secret.Text, b Browser) (Outcome, error) {
	h, err := s.find(ctx, flow, b.Cookie)
	if err != nil {
		return Outcome{}, err
	}
	again := Outcome{Flow: flow, Locale: h.Locale}
	half, err := s.half(ctx, h, b)
	if err != nil {
		return again, s.orLate(ctx, h, err)
	}
	_, err = s.Factors.Challenge(ctx, half.whose)
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		return again, s.say(ctx, h, Sent, time.Time{})
	case errors.Is(err, guard.ErrShut), !ok, f.Kind == fault.Unavailable, f.Kind == fault.Internal:
		return again, s.notCompared(ctx, h, err, NotSent)
	case f.After > 0:
		return again, s.say(ctx, h, Refused, s.Now().Add(f.After))
	}
	return again, s.say(ctx, h, Refused, time.Time{})
}

// proofOf is what a factor's code proves, in the words of tokens.
func proofOf(method string) string {
	if method == factor.SMS {
		return grant.SMS
	}
	return grant.App
}

// Look returns what the page of a flow shows, and changes nothing.
func (s *Service) Look(ctx context.Context, flow secret.Text, b Browser) (View, error) {
	h, err := s.find(ctx, flow, b.Cookie)
	if err != nil {
		return View{}, err
	}
	a, org, err := s.app(ctx, h.ClientID)
	if err != nil {
		return View{}, err
	}
	v := View{Step: StepPassword, Org: org, Env: a.Tenant.Env, App: a.Name, Back: h.RedirectURI, Locale: h.Locale, Address: h.Typed, Said: h.Said, Until: h.Until}
	half, err := s.half(ctx, h, b)
	switch {
	case errors.Is(err, errLate):
		if h.UserID != "" {
			v.Said = Late
		}
		if !a.Allows(app.Password) {
			err = ErrMethod
		} else {
			err = nil
		}
		return v, err
	case err != nil:
		return View{}, err
	}
	v.Step, v.Address = StepCode, secret.MaskEmail(half.whose.User.Email.Written)
	for _, f := range half.whose.Factors {
		v.Apps = v.Apps || f.Method == factor.App
	}
	if phone := half.whose.Phone(); phone.ID != "" {
		v.Phone = secret.MaskPhone(phone.Phone)
	}
	if !v.Apps && v.Phone == "" {
		return View{}, ErrMethod
	}
	return v, nil
}
