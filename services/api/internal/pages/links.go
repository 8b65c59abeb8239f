package pages

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// Links is where a link from a mail leads. Opening it uses nothing up, since
// scanners open everything: the token moves out of the address into a cookie,
// and the clean page that follows says what a click will do. Only its form
// uses the link, and sends the browser on: to the app, to our own page for a new
// password, or to the sign-in that has asked for the link. Where that was begun
// in another browser, this one is signed in nowhere: it shows a code to
// type there.
type Links struct {
	Links     link.Pages
	Passwords NewPasswords
	Flows     LinkFlows
	Looks     Looks
	BaseURL   string // decides the cookie's name and the paths; no header does
	Now       func() time.Time
}

// LinkFlows are the sign-ins that links belong to; flow.Service implements it.
type LinkFlows interface {
	Begun(ctx context.Context, key string, b flow.Browser) (flow.Begun, error)
	Followed(ctx context.Context, key, userID string, b flow.Browser) (out flow.Outcome, code secret.Text, err error)
	Chosen(ctx context.Context, flow secret.Text, b flow.Browser) (flow.Outcome, error)
	PlaceOf(ctx context.Context, key string, b flow.Browser) (flow.Place, error)
}

var _ LinkFlows = (*flow.Service)(nil)

// The paths. Links in mails are the base URL with VerifyPath; the contract's
// clients know CallbackPath as well.
const (
	VerifyPath   = "/magic-link/verify/{token}"
	CallbackPath = "/callback"
	LinkPath     = "/link"
	// ShownPath shows the code of a link that was opened in another browser.
	ShownPath = "/link/code"
)

// LinkCookie holds the token between the mail and the click. Over https it is
// bound to the host by the prefix __Host-.
const LinkCookie = "cs_link"

// ShownCookie holds the code that the page after a click shows.
const ShownCookie = "cs_shown"

const linkCookieLife = 10 * time.Minute

// tokenShape is that of 256 random bits; nothing else is looked up or handed
// back to the browser.
var tokenShape = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

var errUnopened = fault.New(fault.NotFound, "link_not_opened", "no link was opened in this browser within the last ten minutes; open it from the message")

// Routes is the table of these pages.
func (l *Links) Routes() []pipeline.Route {
	page := func(method, path, summary string, success int) pipeline.Route {
		return pipeline.Route{
			Method: method, Path: path, Summary: summary, Success: success, Page: true,
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RatePages, WriteFault: l.writeFault,
		}
	}
	verify := page(http.MethodGet, VerifyPath, "Open a link from a mail", http.StatusSeeOther)
	verify.Handler, verify.Write = pipeline.Handle(l.verify), pipeline.Depart
	callback := page(http.MethodGet, CallbackPath, "Open a link from a mail, with the token in the query", http.StatusSeeOther)
	callback.Handler, callback.Write = pipeline.Handle(l.callback), pipeline.Depart
	show := page(http.MethodGet, LinkPath, "Show what a link will do", http.StatusOK)
	show.Cookie, show.Handler, show.Write = l.cookieName(), pipeline.Handle(l.show), l.writeLink
	follow := page(http.MethodPost, LinkPath, "Use a link and go on to the app", http.StatusSeeOther)
	follow.Cookie, follow.Form, follow.Strict, follow.BodyOnly = l.cookieName(), true, true, true
	follow.Handler, follow.Write = pipeline.Handle(l.follow), pipeline.Depart
	show.Sessions, follow.Sessions = true, true
	shown := page(http.MethodGet, ShownPath, "Show the code of a link that was opened in another browser than its sign-in", http.StatusOK)
	shown.Cookie, shown.Handler, shown.Write = l.cookie(ShownCookie), pipeline.Handle(l.shown), l.writeShown
	return append([]pipeline.Route{verify, callback, show, follow, shown}, l.passwordRoutes(page)...)
}

type callbackIn struct {
	Token secret.Text `in:"token"`
}

// followIn is read by the pipeline, which checks it.
type followIn struct {
	PageToken secret.Text `in:"page_token"`
}

func (l *Links) verify(_ context.Context, c pipeline.Call, _ pipeline.Nothing) (pipeline.Departure, error) {
	return l.enter(secret.New(c.Path("token")))
}

func (l *Links) callback(_ context.Context, _ pipeline.Call, in callbackIn) (pipeline.Departure, error) {
	return l.enter(in.Token)
}

// enter takes the token out of the address: a page at that address would hand
// it to whatever it links to, and leave it in the browser's history.
func (l *Links) enter(token secret.Text) (pipeline.Departure, error) {
	if !tokenShape.MatchString(token.Reveal()) {
		return pipeline.Departure{}, link.ErrDead
	}
	return l.depart(secret.New(l.path()), token, int(linkCookieLife.Seconds())), nil
}

func (l *Links) show(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (linkPage, error) {
	if c.Cookie.IsZero() {
		return linkPage{}, errUnopened
	}
	if !tokenShape.MatchString(c.Cookie.Reveal()) {
		return linkPage{}, link.ErrDead
	}
	view, err := l.Links.Look(ctx, c.Cookie)
	if err != nil {
		return linkPage{}, err
	}
	begun, err := l.begun(ctx, c, view)
	return linkPage{view, begun, c.PageToken}, l.located(ctx, c, view, err)
}

func (l *Links) follow(ctx context.Context, c pipeline.Call, _ followIn) (pipeline.Departure, error) {
	if !tokenShape.MatchString(c.Cookie.Reveal()) {
		return pipeline.Departure{}, link.ErrDead
	}
	view, err := l.Links.Look(ctx, c.Cookie)
	if err != nil {
		return pipeline.Departure{}, err
	}
	if _, err := l.begun(ctx, c, view); err != nil { // nothing to go on with: the link is not used up
		return pipeline.Departure{}, l.located(ctx, c, view, err)
	}
	followed, err := l.Links.Follow(ctx, c.Cookie, c.Source)
	if err != nil {
		return pipeline.Departure{}, l.located(ctx, c, view, err)
	}
	d := l.depart(followed.Redirect, secret.Text{}, -1)
	switch {
	case followed.Flow != "":
		err = l.located(ctx, c, view, l.goOn(ctx, c, followed, &d))
		d.Cookies = append(d.Cookies, l.Looks.leave(view.Org.Domain))
	case !followed.Password.IsZero():
		d.To = secret.New(below(l.BaseURL, NewPasswordPath))
		d.Cookies = append(d.Cookies, l.keep(PasswordCookie, followed.Password, link.CodeLife))
	}
	return d, err
}

// goOn leads the browser of a sign-in back to it, and any other to the code
// that is typed there.
func (l *Links) goOn(ctx context.Context, c pipeline.Call, followed link.Followed, d *pipeline.Departure) error {
	out, code, err := l.Flows.Followed(ctx, followed.Flow, followed.UserID, l.browser(c))
	if err != nil {
		return err
	}
	if !code.IsZero() {
		d.To = secret.New(below(l.BaseURL, ShownPath))
		d.Cookies = append(d.Cookies, l.keep(ShownCookie, code, mailcode.Life))
		return nil
	}
	on := (&SignIn{BaseURL: l.BaseURL}).onward(out)
	d.To, d.Cookies = on.To, append(d.Cookies, on.Cookies...)
	return nil
}

// begun tells about the sign-in that a link belongs to. One that is over takes
// a link to sign in with along; a password can be set for all that.
func (l *Links) begun(ctx context.Context, c pipeline.Call, view link.View) (flow.Begun, error) {
	if view.Flow == "" {
		return flow.Begun{}, nil
	}
	begun, err := l.Flows.Begun(ctx, view.Flow, l.browser(c))
	if errors.Is(err, flow.ErrOver) && view.Purpose != link.Login {
		return flow.Begun{}, nil
	}
	return begun, err
}

// located adds to a fault of a link whose it is, and where its sign-in began.
func (l *Links) located(ctx context.Context, c pipeline.Call, view link.View, err error) error {
	if err == nil || !placeable(err) {
		return err
	}
	if view.Flow == "" {
		return placed{error: err, org: view.Org}
	}
	at, unknown := l.Flows.PlaceOf(ctx, view.Flow, l.browser(c))
	if unknown != nil {
		at = flow.Place{}
	}
	at.Org = view.Org // whoever has the link sees whose it is
	return begunAt(err, at, l.BaseURL)
}

// codeShape is that of a code that is shown.
var codeShape = regexp.MustCompile(`^[0-9]{6}$`)

// shownPage is a code to type in another browser.
type shownPage struct {
	code secret.Text
	org  tenant.Organization
}

func (l *Links) shown(ctx context.Context, c pipeline.Call, _ pipeline.Nothing) (shownPage, error) {
	if !codeShape.MatchString(c.Cookie.Reveal()) {
		return shownPage{}, errUnopened
	}
	return shownPage{c.Cookie, l.Looks.of(ctx, c.Request)}, nil
}

// browser is the one that a link was opened in, as sign-ins know it: the cookie
// of these pages is another.
func (l *Links) browser(c pipeline.Call) flow.Browser {
	b := browserOf(c)
	b.Cookie = l.other(c, "cs_browser")
	return b
}

// other is a cookie that the page is not about; see pipeline.Call.Cookie.
func (l *Links) other(c pipeline.Call, bare string) secret.Text {
	if given := c.Request.CookiesNamed(l.cookie(bare)); len(given) == 1 {
		return secret.New(given[0].Value)
	}
	return secret.Text{}
}

func (l *Links) cookie(bare string) string { return pipeline.CookiesOf(l.BaseURL).Name(bare) }

// keep makes a cookie of these pages that lives for a while.
func (l *Links) keep(bare string, value secret.Text, life time.Duration) *http.Cookie {
	return pipeline.CookiesOf(l.BaseURL).Make(l.cookie(bare), value, int(life.Seconds()))
}

// path is that of the clean page.
func (l *Links) path() string { return below(l.BaseURL, LinkPath) }

func (l *Links) cookieName() string { return l.cookie(LinkCookie) }

// depart sends the browser elsewhere, with the cookie of these pages.
func (l *Links) depart(to, value secret.Text, seconds int) pipeline.Departure {
	return pipeline.Departure{To: to, Cookies: []*http.Cookie{pipeline.CookiesOf(l.BaseURL).Make(l.cookieName(), value, seconds)}}
}
