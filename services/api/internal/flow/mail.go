package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/tenant"
)

// Links send links to sign in with.
type Links interface {
	Connection(ctx context.Context, t tenant.ID) (link.Connection, error)
	SignIn(ctx context.Context, c link.Caller, email string) error
}

// Mails keep the codes that are shown where a link was opened in another
// browser.
type Mails interface {
	Show(ctx context.Context, w mailcode.Whose) (secret.Text, error)
	Check(ctx context.Context, w mailcode.Whose, typed secret.Text) (mailcode.Checked, error)
}

// linkable reports whether people can sign in by a link.
func (s *Service) linkable(ctx context.Context, h at) (bool, error) {
	if !h.app.Allows(app.Email) {
		return false, nil
	}
	connection, err := s.Links.Connection(ctx, h.app.Tenant)
	return connection.Active, err
}

// Link sends a link to sign in with to an address, from StepLink. The answer is
// the same for every address.
func (s *Service) Link(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepPassword, StepLink, StepLinkSent)
	if !ok || err != nil {
		return out, err
	}
	links, err := s.linkable(ctx, h)
	if err != nil || !links {
		return out, errors.Join(err, s.say(ctx, h.held, "", time.Time{}))
	}
	h.Typed = short(email)
	if err := s.Links.SignIn(ctx, h.caller(b), email); err != nil {
		return out, s.notMailed(ctx, h, err)
	}
	h.Step, h.Elsewhere, h.Opener = StepLinkSent, false, ""
	return out, s.say(ctx, h.held, "", time.Time{})
}

// Forgot sends a link to set another password with to an address. The answer is
// the same for every address.
func (s *Service) Forgot(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepPassword, StepForgot, StepForgotSent)
	if !ok || err != nil {
		return out, err
	}
	if !h.app.Allows(app.Password) {
		return out, ErrMethod
	}
	h.Typed = short(email)
	if _, err := s.Passwords.Request(ctx, h.caller(b), email, "", false); err != nil {
		return out, s.notMailed(ctx, h, err)
	}
	h.Step = StepForgotSent
	return out, s.say(ctx, h.held, "", time.Time{})
}

// notMailed says why no mail was promised. None of it tells who has an account.
func (s *Service) notMailed(ctx context.Context, h at, err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case ok && f.Kind == fault.Limited && f.After > 0:
		return s.say(ctx, h.held, Refused, s.Now().Add(f.After))
	case ok && f.Kind == fault.Limited:
		return s.say(ctx, h.held, Refused, time.Time{})
	}
	return s.notCompared(ctx, h.held, err, NoAddress)
}

// Chosen goes back to the password, of which another one was set through the
// link that the flow has asked for.
func (s *Service) Chosen(ctx context.Context, flow secret.Text, b Browser) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepPassword, StepLink, StepLinkSent, StepForgot, StepForgotSent)
	if !ok || err != nil {
		return out, err
	}
	h.Step = StepPassword
	return out, s.say(ctx, h.held, Changed, time.Time{})
}

// Begun is what may be said of a flow in another browser than its own.
type Begun struct {
	Here    bool   // it is this browser's
	App     string // name; empty for the account page
	Back    string // where it leads, for the content policy of the page
	Network string // masked
	Device  string // what its browser calls itself, cut short and made harmless
}

// Begun tells about a flow by its key, which proves nothing: another browser
// that asks does not end the flow. It returns ErrOver.
func (s *Service) Begun(ctx context.Context, key string, b Browser) (Begun, error) {
	h, err := s.byKey(ctx, key)
	return Begun{Here: h.of(b), App: h.app.Name, Back: h.RedirectURI, Network: h.Network, Device: h.Agent}, err
}

// byKey reads a flow that is not finished.
func (s *Service) byKey(ctx context.Context, key string) (h at, err error) {
	h.key = key
	if h.stored, err = s.Store.Get(ctx, key); err != nil {
		return at{}, err
	}
	if h.stored == nil {
		return at{}, ErrOver
	}
	if h.Flow, err = s.opened(key, h.stored); err != nil {
		return at{}, err
	}
	if h.Step == StepFinished || s.Now().Sub(h.At) >= Life {
		return at{}, ErrOver
	}
	h.app, h.org, err = s.target(ctx, h.Request)
	return h, err
}

// of reports whether a flow is a browser's.
func (h at) of(b Browser) bool {
	return !b.Cookie.IsZero() && slices.Equal(h.Browser, digest(b.Cookie))
}

// Followed goes on with the flow that a link belongs to, whose user has just
// opened it. In the browser of the flow the address is proven. In another one a
// code is made for the flow's own browser, which is returned to be shown, and
// nobody is signed in.
func (s *Service) Followed(ctx context.Context, key, userID string, b Browser) (out Outcome, code secret.Text, err error) {
	h, err := s.byKey(ctx, key)
	if err != nil {
		return Outcome{}, secret.Text{}, err
	}
	if !h.of(b) {
		code, err = s.elsewhere(ctx, h, userID, b)
		return Outcome{}, code, err
	}
	out = Outcome{Flow: secret.New(h.Token), Locale: h.Locale}
	if h.UserID != "" { // something was proven by other means meanwhile
		return out, secret.Text{}, nil
	}
	return out, secret.Text{}, s.mailProven(ctx, h, userID, b)
}

// elsewhere makes the code that is typed in the flow's own browser. From here
// on it is compared there, and not before: nobody who has no link open can
// spend the user's guesses.
func (s *Service) elsewhere(ctx context.Context, h at, userID string, b Browser) (secret.Text, error) {
	w, err := s.opener(ctx, h, userID, b)
	if err != nil {
		return secret.Text{}, err
	}
	code, err := s.Mails.Show(ctx, w)
	if err != nil {
		return secret.Text{}, err
	}
	for range tries {
		if h.UserID != "" {
			return secret.Text{}, ErrOver
		}
		h.Step, h.Elsewhere, h.Opener = StepLinkSent, true, userID
		h.Said, h.Until, h.Advice = "", time.Time{}, nil
		value, err := s.sealed(h.key, h.Flow)
		if err != nil {
			return secret.Text{}, err
		}
		kept, err := s.Store.Swap(ctx, h.key, h.stored, value, max(Life-s.Now().Sub(h.At), time.Millisecond))
		if err != nil || kept {
			return code, err
		}
		if h, err = s.byKey(ctx, h.key); err != nil {
			return secret.Text{}, err
		}
	}
	return secret.Text{}, ErrOver
}

// opener is who has opened the link of a flow. A code of theirs is good in that
// flow alone.
func (s *Service) opener(ctx context.Context, h at, userID string, b Browser) (mailcode.Whose, error) {
	standing, err := s.Factors.Find(ctx, h.app.Tenant, userID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !standing.User.Active {
		return mailcode.Whose{}, ErrOver
	}
	if err != nil {
		return mailcode.Whose{}, err
	}
	u := standing.User
	return mailcode.Whose{
		Tenant: h.app.Tenant, Org: h.org, User: &u, Address: u.Email, RequestID: h.RequestID, Flow: h.key, Finishes: !standing.Enrolled(), By: b.by(),
	}, nil
}

// Shown takes the code that another browser has shown where the link was
// opened, at StepLinkSent.
func (s *Service) Shown(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	h, out, ok, err := s.open(ctx, flow, b, StepLinkSent)
	if !ok || err != nil {
		return out, err
	}
	if !h.Elsewhere {
		return out, s.say(ctx, h.held, NotSent, time.Time{})
	}
	w, err := s.opener(ctx, h, h.Opener, b)
	if err != nil {
		return out, err
	}
	checked, err := s.Mails.Check(ctx, w, factor.Typed(typed))
	switch {
	case errors.Is(err, factor.ErrMalformed):
		return out, s.say(ctx, h.held, NoCode, time.Time{})
	case err != nil:
		return out, s.notCompared(ctx, h.held, err, NoCode)
	case checked.Wrong():
		return out, s.wrong(ctx, h.held, WrongCode)
	case checked.Used():
		return out, s.say(ctx, h.held, Used, time.Time{})
	case !checked.OK():
		return out, s.say(ctx, h.held, NotSent, time.Time{})
	}
	return out, s.mailProven(ctx, h, w.User.ID, b)
}

// mailProven goes on from an address that was proven, as a first factor.
func (s *Service) mailProven(ctx context.Context, h at, userID string, b Browser) error {
	done, err := s.Logins.Complete(ctx, login.Login{
		RequestID: h.RequestID, Tenant: h.app.Tenant, UserID: userID, ClientID: h.app.ID, AMR: []string{grant.Mail}, At: s.Now().Truncate(time.Millisecond), Browser: true,
	})
	if err != nil {
		return err
	}
	h.Elsewhere, h.Opener = false, ""
	return s.firstProven(ctx, h, done, b)
}
