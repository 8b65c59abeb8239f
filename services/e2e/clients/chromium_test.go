package clients_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
)

// tokens is what oidc-client-ts knows of a user.
type tokens struct {
	Access  string         `json:"access_token"`
	Refresh string         `json:"refresh_token"`
	ID      string         `json:"id_token"`
	Scopes  []string       `json:"scopes"`
	Profile map[string]any `json:"profile"`
}

// Apps that live in a browser: oidc-client-ts in a real Chromium, on an origin of
// its own, from the sign-in pages to the way back after the logout. The browser
// has nothing to complain of: no violation of a policy, no answer that the page
// may not read, no error of a script.
//
// Covers R-152 for oidc-client-ts.
// Covers R-153 (Chromium's half, on the pages of sign-in and logout).
// Covers R-148 (in a browser: prompt=none with and without a session).
// Covers R-149 (in a browser: the credentials are posted once, and stay there).
func TestOIDCClientTSSignsIn(t *testing.T) {
	t.Parallel()
	chromium := browser.Start(t)
	s := newScene(t)
	site := newSite(t, s)
	tab := chromium.Profile(t)
	page := spa{t: t, tab: tab, site: site.URL}
	page.open("/")
	page.unknown("before anybody signs in")

	ana := s.person(t)
	browser.Script[any](tab, "app.signIn()")
	tab.Fill("email", ana.email)
	tab.Fill("password", ana.password)
	if at := tab.Location(); !strings.HasPrefix(at, s.issuer+"/login?") {
		t.Errorf("the page of sign-in is at %s", at)
	}
	tab.Press("button[type=submit]")
	tab.Fill("code", ana.app.code())
	tab.Press("button[type=submit]")
	page.arrived("/callback")

	first := page.user("app.user()")
	page.isWhole(first, ana)
	second := page.user("app.renew()")
	if page.isWhole(second, ana); second.Access == first.Access || second.Refresh == first.Refresh || second.Refresh == "" {
		t.Error("the renewal brought an old token")
	}
	page.recognized(ana)

	page.revoke(second)
	page.recognized(ana) // the session of the browser is another thing

	browser.Script[any](tab, "app.signOut()")
	page.arrived("/goodbye")
	page.unknown("after the logout")
}

// newSite serves the pages of the app, and registers the app.
func newSite(t *testing.T, s *scene) *httptest.Server {
	t.Helper()
	library := bundle(t)
	mux := http.NewServeMux()
	file := func(name, contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			http.ServeFile(w, r, name)
		}
	}
	for _, path := range []string{"/{$}", "/callback", "/silent", "/goodbye"} {
		mux.Handle(path, file("js/app.html", "text/html; charset=utf-8"))
	}
	mux.Handle("/app.js", file("js/app.js", "text/javascript"))
	mux.Handle("/oidc-client-ts.js", file(library, "text/javascript"))
	// The bundle names its map, for which only an open console would ask.
	mux.Handle("/"+filepath.Base(library)+".map", file(library+".map", "application/json"))
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	app := s.app(t, "Page", site.URL+"/callback", "client_type=public", "redirect_uris[]="+site.URL+"/silent",
		"post_logout_redirect_uris[]="+site.URL+"/goodbye", "origins[]="+site.URL)
	mux.HandleFunc("/settings.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		writeJSON(t, w, map[string]any{
			"authority": s.issuer, "client_id": app.id, "redirect_uri": app.redirect, "silent_redirect_uri": site.URL + "/silent",
			"post_logout_redirect_uri": site.URL + "/goodbye", "scope": "openid profile email offline_access",
		})
	})
	return site
}

// spa is the tab with the pages of the app.
type spa struct {
	t    *testing.T
	tab  *browser.Tab
	site string
}

func (p spa) open(path string) {
	p.t.Helper()
	p.tab.Open(p.site + path)
	p.arrived(path)
}

// arrived waits until a page of the app has done its work.
func (p spa) arrived(path string) {
	p.t.Helper()
	p.tab.AwaitAddress(p.site + path)
	p.tab.Await("body[data-state]")
	if failure := browser.Script[string](p.tab, `document.body.dataset.state === "failed" ? document.body.textContent : ""`); failure != "" {
		p.t.Fatalf("%s: %s", path, failure)
	}
}

func (p spa) user(expression string) tokens {
	p.t.Helper()
	user := browser.Script[*tokens](p.tab, expression)
	if user == nil {
		p.t.Fatalf("%s knows nobody", expression)
	}
	return *user
}

// isWhole looks whether all is there that was asked for.
func (p spa) isWhole(user tokens, who *person) {
	p.t.Helper()
	if user.Access == "" || user.ID == "" || user.Profile["sub"] != who.id || user.Profile["email"] != who.email {
		p.t.Errorf("the app knows %+v", user)
	}
	if status := browser.Script[int](p.tab, `app.userInfo("`+user.Access+`")`); status != http.StatusOK {
		p.t.Errorf("userinfo answers %d", status)
	}
}

type recognition struct {
	User  *tokens `json:"user"`
	Error string  `json:"error"`
}

// recognized asks with prompt=none in a frame.
func (p spa) recognized(who *person) {
	p.t.Helper()
	got := browser.Script[recognition](p.tab, "app.recognize()")
	if got.User == nil {
		p.t.Fatalf("the session is not recognized: %s", got.Error)
	}
	p.isWhole(*got.User, who)
}

func (p spa) unknown(when string) {
	p.t.Helper()
	if got := browser.Script[recognition](p.tab, "app.recognize()"); got.User != nil || got.Error != "login_required" {
		p.t.Errorf("%s: %+v", when, got)
	}
}

// revoke takes the app's tokens back; afterwards the access token is refused, in
// words that the page may read.
func (p spa) revoke(last tokens) {
	p.t.Helper()
	browser.Script[any](p.tab, "app.revoke()")
	if status := browser.Script[int](p.tab, `app.userInfo("`+last.Access+`")`); status != http.StatusUnauthorized {
		p.t.Errorf("userinfo answers %d to a revoked token", status)
	}
	// Chromium writes every answer of 400 or more into its console.
	if n := p.tab.Expected("the server responded with a status of 401"); n != 1 {
		p.t.Errorf("%d answers were 401", n)
	}
}
