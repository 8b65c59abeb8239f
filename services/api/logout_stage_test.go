package api_test

import (
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	apps "countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

const (
	afterLogin  = "https://app.acme.test/cb"
	afterLogout = "https://app.acme.test/bye"
	endSession  = "/session/end_session"
	signOut     = "/session/sign-out"
	signedOut   = "/session/signed-out"
)

// stage is a house with the rules that a login in a browser ends in, so that
// the tests of logouts can make any session and any token, however old.
type stage struct {
	*house
	store    *sqlstore.Store
	apps     *apps.Service
	sessions *session.Service
	grants   *grant.Service
	tokens   *token.Service
	now      time.Time // zero: the real one
	env      string    // of its apps
}

func newStage(t *testing.T, h *house) *stage {
	t.Helper()
	keys, err := seal.Parse("keys", h.parts.seal)
	if err != nil {
		t.Fatal(err)
	}
	index, err := seal.ParseIndex("index", h.parts.index)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: h.parts.database, Keys: keys, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &stage{house: h, store: store, env: tenant.Sandbox}
	s.apps = &apps.Service{Store: store, Outbox: &outbox.Composer{Keys: keys, Now: s.time}, Relay: h, Now: s.time}
	s.sessions = &session.Service{Store: store, Outbox: &outbox.Composer{Keys: keys, Now: s.time}, Relay: h, Now: s.time}
	s.grants = &grant.Service{Store: store, Keys: keys, Now: s.time}
	s.tokens = &token.Service{Store: store, Keys: keys, Issuer: h.public, Now: s.time}
	return s
}

func (s *stage) time() time.Time {
	if s.now.IsZero() {
		return time.Now()
	}
	return s.now
}

// app makes an app of the house's organization, called Shop unless it is named.
func (s *stage) app(named ...string) string {
	s.t.Helper()
	name := strings.Join(append([]string{}, named...), "")
	if name == "" {
		name = "Shop"
	}
	made, _, err := s.apps.Create(s.t.Context(), s.caller(), apps.New{Change: apps.Change{
		Name: &name, RedirectURIs: &[]string{afterLogin}, LogoutURIs: &[]string{afterLogout, backURL},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// deactivate switches an app off.
func (s *stage) deactivate(clientID string) {
	s.t.Helper()
	off := false
	if _, err := s.apps.Update(s.t.Context(), s.caller(), clientID, apps.Change{Active: &off}); err != nil {
		s.t.Fatal(err)
	}
}

// caller manages the apps of the house's organization.
func (s *stage) caller() apps.Caller {
	s.t.Helper()
	org, err := s.store.LivingOrganization(s.t.Context(), s.org)
	if err != nil {
		s.t.Fatal(err)
	}
	return apps.Caller{Tenant: tenant.ID{Account: org.AccountID, Org: org.ID, Env: s.env}, By: activity.By{Actor: activity.Key("test")}}
}

// login is what somebody has who has signed in to an app with a browser.
type login struct {
	*browser
	session session.Session
	id      string // an ID token
	access  string
	refresh secret.Text
}

// signIn gives a browser a session of the user and an app the tokens of it.
func (s *stage) signIn(in *browser, app, user string, scope ...string) login {
	s.t.Helper()
	of, err := s.store.AppByID(s.t.Context(), app)
	if err != nil {
		s.t.Fatal(err)
	}
	value, begun, err := s.sessions.Begin(s.t.Context(), session.New{
		Tenant: of.Tenant, UserID: user, AMR: []string{grant.Password}, Source: netip.MustParseAddr("192.0.2.7"),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	in.keep(in.set().With(session.Realm(of.Org, of.Tenant.Env), value))
	l := s.tokensOf(begun, app, user, scope...)
	l.browser, l.session = in, begun
	return l
}

// closed is why a session ends that its user ends from elsewhere.
func closed() session.Cause {
	return session.Cause{Why: session.Closed, By: activity.By{Actor: activity.User}}
}

// Wake implements outbox.Waker: the house looks by itself.
func (h *house) Wake() {}

// tokensOf are the tokens of a login that came of a session; of none when its
// id is empty.
func (s *stage) tokensOf(of session.Session, app, user string, scope ...string) (l login) {
	s.t.Helper()
	ctx := s.t.Context()
	client, err := s.store.AppByID(ctx, app)
	if err != nil {
		s.t.Fatal(err)
	}
	code, err := s.grants.NewCode(ctx, grant.New{
		Tenant: client.Tenant, UserID: user, ClientID: app, SessionID: of.ID, RedirectURI: afterLogin,
		Scope: append([]string{grant.OpenID}, scope...), AMR: []string{grant.Password},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	live, err := s.grants.Redeem(ctx, code, grant.Binding{ClientID: app, RedirectURI: afterLogin})
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := s.tokens.IssueUser(ctx, live, code)
	if err != nil {
		s.t.Fatal(err)
	}
	return login{id: made.ID.Reveal(), access: made.Access.Reveal(), refresh: live.Refresh}
}

// set is what the browser has of its sessions.
func (b *browser) set() session.Set {
	return session.ParseSet(secret.New(b.cookie("cs_sessions")))
}

// keep gives the browser sessions.
func (b *browser) keep(set session.Set) {
	b.h.t.Helper()
	target, err := url.Parse(b.h.base)
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.jar.SetCookies(target, []*http.Cookie{{Name: "cs_sessions", Value: set.Text().Reveal(), Path: "/"}})
}

// cookie is what the browser has under a name; empty when there is none.
func (b *browser) cookie(name string) string {
	b.h.t.Helper()
	target, err := url.Parse(b.h.base)
	if err != nil {
		b.h.t.Fatal(err)
	}
	for _, cookie := range b.jar.Cookies(target) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	return ""
}

// end sends the browser to sign out, as an app does.
func (b *browser) end(params ...string) *reply {
	b.h.t.Helper()
	return b.visit(http.MethodGet, endSession+"?"+formOf(params...).Encode(), nil)
}

func formOf(params ...string) url.Values {
	form := url.Values{}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		form.Set(name, value)
	}
	return form
}

// press presses a button of the question that an answer leads to.
func (b *browser) press(asked *reply, realm string) *reply {
	b.h.t.Helper()
	page := b.visit(http.MethodGet, asked.wantTo(signOut).header.Get("Location"), nil).want(http.StatusOK)
	form := fieldsOfPage(page)
	form.Set("realm", realm)
	return b.visit(http.MethodPost, signOut, form)
}

// wantTo checks that the browser is sent to one of our paths, or to exactly
// that address.
func (r *reply) wantTo(where string) *reply {
	r.t.Helper()
	to := r.header.Get("Location")
	path, _, _ := strings.Cut(to, "?")
	if r.status != http.StatusSeeOther || to != where && path != where {
		r.t.Fatalf("%s: status %d to %q, want %q: %s", r.what, r.status, to, where, r.raw)
	}
	return r
}

// corner is an organization with an app and a user of its own.
type corner struct{ org, app, user string }

// elsewhere makes another organization.
func (s *stage) elsewhere() corner {
	s.t.Helper()
	there := *s
	house := *s.house
	there.house = &house
	there.org = s.call("POST", "/api/v2/organizations", "name=Elsewhere Ltd").want(http.StatusCreated).text("domain")
	return corner{there.org, there.app("Elsewhere"), there.newUser("eve@elsewhere.test", "+4915112345670")}
}

var pageField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// fieldsOfPage are the hidden fields of the form of a page.
func fieldsOfPage(page *reply) url.Values {
	page.t.Helper()
	form := url.Values{}
	for _, field := range pageField.FindAllStringSubmatch(page.raw, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	if form.Get("page_token") == "" {
		page.t.Fatalf("the page has no form: %d %s", page.status, page.raw)
	}
	return form
}

// hostileURIs are addresses that are not the registered one, by how they differ
// from it.
func hostileURIs(registered string) map[string]string {
	u, err := url.Parse(registered)
	if err != nil {
		panic(err)
	}
	host, path := u.Host, u.Path
	capital := strings.ToUpper(host[:1]) + host[1:]
	return map[string]string{
		"another host": "https://evil.test" + path, "http": "http://" + host + path, "no scheme": "//" + host + path, "a path alone": path,
		"a host alone": host + path, "no path": "https://" + host, "a slash more": registered + "/", "a slash alone": "https://" + host + "/",
		"another path": "https://" + host + "/other", "below it": registered + "/more", "a longer word": registered + "x", "a shorter word": registered[:len(registered)-1],
		"an empty query": registered + "?", "a query": registered + "?next=https://evil.test", "a fragment": registered + "#", "a fragment with a path": registered + "#@evil.test",
		"a capital host": "https://" + capital + path, "capitals": strings.ToUpper(registered), "a capital path": "https://" + host + strings.ToUpper(path), "a capital scheme": "HTTPS://" + host + path,
		"the usual port": "https://" + host + ":443" + path, "another port": "https://" + host + ":8443" + path, "an empty port": "https://" + host + ":" + path, "port zero": "https://" + host + ":0" + path,
		"a user": "https://" + host + "@evil.test" + path, "a user and password": "https://" + host + ":x@evil.test" + path, "an empty user": "https://@" + host + path, "somebody in front": "https://evil@" + host + path,
		"a subdomain": "https://x." + host + path, "ours as a subdomain": "https://" + host + ".evil.test" + path, "ours at the end of a name": "https://evil" + host + path, "a dot at the end": "https://" + host + "." + path,
		"a dot segment": "https://" + host + "/." + path, "two dots": "https://" + host + "/x/.." + path, "dots at the end": registered + "/..", "encoded dots": "https://" + host + "/x/%2e%2e" + path,
		"double slash": "https://" + host + "/" + path, "encoded slash": "https://" + host + "/%2f" + strings.TrimPrefix(path, "/"), "encoded letter": "https://" + host + "/%62" + path[2:], "encoded twice": "https://" + host + "/%2562" + path[2:],
		"backslash": "https://" + host + `\bye`, "backslashes": `https:\\` + host + path, "backslash and at": "https://evil.test\\@" + host + path, "slash and backslash": `/\evil.test`,
		"three slashes": "https:///" + host + path, "one slash": "https:/" + host + path, "no slashes": "https:" + host + path, "four slashes": "https:////" + host + path,
		"blank in front": " " + registered, "blank behind": registered + " ", "a tab": "https://" + host + "\t" + path, "a line": registered + "\r\nLocation: https://evil.test",
		"a line in the name": "https://evil.test\n." + host + path, "a null": registered + "\x00", "an encoded null": registered + "%00", "a soft hyphen": "https://app.ac\u00adme.test" + path,
		"cyrillic": "https://\u0430pp.acme.test" + path, "full width": "https://app\uff0eacme\uff0etest" + path, "punycode": "https://xn--pp-6kc.acme.test" + path, "ideographic dot": "https://app\u3002acme.test" + path,
		"a wildcard": "https://*.acme.test" + path, "a star": "*", "javascript": "javascript:alert(1)//" + registered, "data": "data:text/html," + registered,
		"a file": "file:///etc/passwd", "an app's scheme": "evil.app:/bye", "about": "about:blank", "twice": registered + "," + registered, "two with a blank": registered + " " + registered,
		"in brackets": "<" + registered + ">", "half a quote": `"` + registered, "a parameter of the path": registered + ";x=1", "a redirect inside": "https://evil.test/?" + registered, "a semicolon query": registered + ";?x",
	}
}
