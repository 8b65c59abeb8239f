package pages

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/pipeline"
)

// Links is where a link from a mail leads. Opening it uses nothing up, since
// scanners open everything: the token moves out of the address into a cookie,
// and the clean page that follows says what a click will do. Only its form
// uses the link, and sends the browser on to the app.
type Links struct {
	Links   link.Pages
	BaseURL string // decides the cookie's name and the paths; no header does
	Now     func() time.Time
}

// The paths. Links in mails are the base URL with VerifyPath; the contract's
// clients know CallbackPath as well.
const (
	VerifyPath   = "/magic-link/verify/{token}"
	CallbackPath = "/callback"
	LinkPath     = "/link"
)

// LinkCookie holds the token between the mail and the click. Over https it is
// bound to the host by the prefix __Host-.
const LinkCookie = "cs_link"

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
	return []pipeline.Route{verify, callback, show, follow}
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
	return linkPage{view, c.PageToken}, err
}

func (l *Links) follow(ctx context.Context, c pipeline.Call, _ followIn) (pipeline.Departure, error) {
	if !tokenShape.MatchString(c.Cookie.Reveal()) {
		return pipeline.Departure{}, link.ErrDead
	}
	to, err := l.Links.Follow(ctx, c.Cookie, c.Source)
	if err != nil {
		return pipeline.Departure{}, err
	}
	return l.depart(to, secret.Text{}, -1), nil
}

// path is that of the clean page.
func (l *Links) path() string { return below(l.BaseURL, LinkPath) }

func (l *Links) cookieName() string { return pipeline.CookiesOf(l.BaseURL).Name(LinkCookie) }

// depart sends the browser elsewhere, with the cookie of these pages.
func (l *Links) depart(to, value secret.Text, seconds int) pipeline.Departure {
	return pipeline.Departure{To: to, Cookies: []*http.Cookie{pipeline.CookiesOf(l.BaseURL).Make(l.cookieName(), value, seconds)}}
}
