package pages

import (
	"context"
	"errors"
	"net/http"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// NewPasswords are what the page for a new password calls; password.Service
// implements it.
type NewPasswords interface {
	// Look tells about a live code, or returns password.ErrCode.
	Look(ctx context.Context, code secret.Text) (password.Chosen, error)
	// SetHere sets the password. What is wrong with it is a fault with advice,
	// and the code is then still good.
	SetHere(ctx context.Context, code, plain secret.Text, by activity.By) error
}

var _ NewPasswords = (*password.Service)(nil)

// The paths of the page for a new password: a link leads there that was asked
// for on a page of ours.
const (
	NewPasswordPath  = "/password"
	PasswordSetPath  = "/password/done"
	PasswordCookie   = "cs_password" // holds the code that the link has become
	ReturnCookie     = "cs_flow"     // holds the sign-in that asked for the link
	returnCookieLife = link.PasswordLife
)

// passwordRoutes are the rows of these pages. Nobody is signed in by them:
// whoever has set a password signs in with it.
func (l *Links) passwordRoutes(page func(method, path, summary string, success int) pipeline.Route) []pipeline.Route {
	show := page(http.MethodGet, NewPasswordPath, "Show the field for a new password", http.StatusOK)
	show.Cookie, show.Handler, show.Write = l.cookie(PasswordCookie), pipeline.Handle(l.newPassword), l.writePassword
	set := page(http.MethodPost, NewPasswordPath, "Set a new password", http.StatusSeeOther)
	set.Cookie, set.Form, set.Strict, set.BodyOnly = l.cookie(PasswordCookie), true, true, true
	set.Rate, set.Within, set.Sessions = rateSignIn, pipeline.WithinHash, true
	set.Faults = []int{http.StatusUnprocessableEntity}
	set.Handler, set.Write = pipeline.Handle(l.setPassword), l.writePassword
	done := page(http.MethodGet, PasswordSetPath, "Say that the password is set", http.StatusOK)
	done.Handler, done.Write = pipeline.Handle(l.passwordSet), l.writePasswordSet
	return []pipeline.Route{show, set, done}
}

// choosePage is what the page is made of, or where the browser goes.
type choosePage struct {
	of     password.Chosen
	token  secret.Text
	advice fault.Advice // about the password that was not taken; nil for none
	to     *pipeline.Departure
}

func (l *Links) newPassword(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (choosePage, error) {
	if c.Cookie.IsZero() {
		return choosePage{}, errUnopened
	}
	if !tokenShape.MatchString(c.Cookie.Reveal()) {
		return choosePage{}, link.ErrDead
	}
	of, err := l.Passwords.Look(ctx, c.Cookie)
	if errors.Is(err, password.ErrCode) {
		err = link.ErrDead.Because(err)
	}
	return choosePage{of: of, token: c.PageToken}, err
}

func (l *Links) setPassword(ctx context.Context, c pipeline.Call, in newPasswordForm) (choosePage, error) {
	page, err := l.newPassword(ctx, c, pipeline.Nothing{})
	if err != nil {
		return page, err
	}
	err = l.Passwords.SetHere(ctx, c.Cookie, in.Password, activity.By{Actor: activity.User, TraceID: c.TraceID})
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		page.to = l.afterPassword(ctx, c)
		page.to.Cookies = append(page.to.Cookies, l.Looks.leave(page.of.Org.Domain))
		return page, nil
	case errors.Is(err, password.ErrCode):
		return page, link.ErrDead.Because(err)
	case ok && f.Kind == fault.Invalid && f.Advice != nil:
		page.advice = f.Advice
		return page, nil
	}
	return page, err
}

// afterPassword leads back to the sign-in, if it was begun in this browser, is
// not over and its app still works. The code is used up, so its cookie goes.
func (l *Links) afterPassword(ctx context.Context, c pipeline.Call) *pipeline.Departure {
	d := pipeline.Departure{
		To: secret.New(below(l.BaseURL, PasswordSetPath)),
		Cookies: []*http.Cookie{
			l.keep(PasswordCookie, secret.Text{}, -1e9), l.keep(ReturnCookie, secret.Text{}, -1e9),
		},
	}
	token := l.other(c, ReturnCookie)
	if !tokenShape.MatchString(token.Reveal()) {
		return &d
	}
	out, err := l.Flows.Chosen(ctx, token, l.browser(c))
	if err != nil { // the password is set, whatever it is: what pages say of faults would not be true
		if !errors.Is(err, flow.ErrOver) {
			noteFault(c.Request, err)
		}
		return &d
	}
	d.To = (&SignIn{BaseURL: l.BaseURL}).onward(out).To
	return &d
}

func (l *Links) passwordSet(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (setPage, error) {
	return setPage{l.Looks.of(ctx, c.Request)}, nil
}

// setPage is what the page after a new password is made of.
type setPage struct{ org tenant.Organization }
