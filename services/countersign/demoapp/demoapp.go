// Package demoapp is an app that signs its users in through Countersign: a small
// relying party on the gateway's paths, for countersign dev to show what a
// person and an app get to see. It calls the service as any app would, by HTTP.
//
// It owns the pages at and below /demo. What it knows of a browser stays in
// memory, found by a cookie. The process mounts it on loopback only.
package demoapp

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// The paths of the app. Its users come back from signing in at CallbackPath and
// from signing out at Path.
const (
	Path         = "/demo"
	CallbackPath = "/demo/callback"
	signInPath   = "/demo/sign-in"
	signOutPath  = "/demo/sign-out"
)

// Settings are what an app is configured with.
type Settings struct {
	Base     string // of the service, which is at the app's own address
	Issuer   string // of its tokens, but for the organization
	Account  string
	Org      string // domain of the organization
	ClientID string
	// Email and Password are of somebody who may sign in, for the page to say.
	Email, Password string
}

// App is the app. It answers 503 until it is settled.
type App struct {
	settings atomic.Pointer[Settings]
	browsers browsers
	http     http.Client
	mux      *http.ServeMux
}

// patience bounds a call of the service, which is in the same process.
const patience = 10 * time.Second

// New makes an app that waits for its settings.
func New() *App {
	a := &App{mux: http.NewServeMux(), http: http.Client{Timeout: patience}}
	a.browsers.now = time.Now
	a.mux.HandleFunc("GET "+Path, a.home)
	a.mux.HandleFunc("POST "+signInPath, a.signIn)
	a.mux.HandleFunc("GET "+CallbackPath, a.callback)
	a.mux.HandleFunc("POST "+signOutPath, a.signOut)
	return a
}

// Settle tells the app what it is registered as.
func (a *App) Settle(s Settings) { a.settings.Store(&s) }

// ServeHTTP answers at the app's own address alone: cookies of another name of
// this machine, such as localhost, would not come back with the browser. What
// another site posts is refused.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := a.settings.Load()
	if s == nil {
		w.Header().Set("Retry-After", "1")
		write(w, http.StatusServiceUnavailable, page{Problem: "The demo is being set up. Load this page again in a moment."})
		return
	}
	if own, err := url.Parse(s.Base); err != nil || r.Host != own.Host {
		http.Redirect(w, r, s.Base+Path, http.StatusSeeOther)
		return
	}
	http.NewCrossOriginProtection().Handler(a.mux).ServeHTTP(w, r)
}

func (a *App) home(w http.ResponseWriter, r *http.Request) {
	s := a.settings.Load()
	p := page{Email: s.Email, Password: s.Password, Inbox: s.Base + "/inbox"}
	if in := a.browsers.signedIn(cookieOf(r)); in != nil {
		p.Claims, p.Who = in.shown(), in.who()
	}
	write(w, http.StatusOK, p)
}

// signIn sends the browser to the service. Each time has a state and a verifier
// of its own, so that two tabs do not disturb each other.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	s := a.settings.Load()
	id, login := a.browsers.begin(cookieOf(r))
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: id, Path: Path, HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // dev answers on loopback over plain HTTP
	http.Redirect(w, r, s.start(login), http.StatusSeeOther)
}

// callback is where the browser comes back to with a code, which works once. A
// second visit, by the back button or a second click, has no state any more
// and finds whoever is signed in.
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	s, id, query := a.settings.Load(), cookieOf(r), r.URL.Query()
	verifier, ok := a.browsers.take(id, query.Get("state"))
	switch {
	case !ok && a.browsers.signedIn(id) != nil:
		http.Redirect(w, r, Path, http.StatusSeeOther)
		return
	case !ok:
		write(w, http.StatusBadRequest, page{Problem: "This browser has not asked to sign in, or it has done so already."})
		return
	case query.Get("error") != "" || query.Get("code") == "":
		write(w, http.StatusBadRequest, page{Problem: "You were not signed in: " + query.Get("error")})
		return
	}
	in, err := a.exchange(r.Context(), *s, back{
		code: query.Get("code"), org: query.Get("organization_domain"), grant: query.Get("authorization_id"), request: query.Get("request_id"), verifier: verifier,
	})
	if err != nil {
		write(w, http.StatusBadGateway, page{Problem: "You were not signed in: " + err.Error()})
		return
	}
	a.browsers.keep(id, in)
	http.Redirect(w, r, Path, http.StatusSeeOther)
}

// signOut takes the tokens back and has the browser end its session too.
func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	s := a.settings.Load()
	in := a.browsers.forget(cookieOf(r))
	if in == nil {
		http.Redirect(w, r, Path, http.StatusSeeOther)
		return
	}
	to, err := a.revoke(r.Context(), *s, in)
	if err != nil {
		write(w, http.StatusBadGateway, page{Problem: "You are signed out here, and maybe not elsewhere: " + err.Error()})
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
