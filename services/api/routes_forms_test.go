package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// diary lists the keys that are written in the short-lived store. Requests are
// counted there, too, whatever becomes of them; that is left out.
type diary struct {
	mu   sync.Mutex
	keys []string
}

func (d *diary) enter(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = append(d.keys, key)
}

// read empties the diary.
func (d *diary) read() (keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys, d.keys = d.keys, nil
	return keys
}

// of keeps the diary of a store.
func (d *diary) of(open func(t *testing.T) ephemeral.Store) func(t *testing.T) ephemeral.Store {
	return func(t *testing.T) ephemeral.Store { return diarist{open(t), d} }
}

type diarist struct {
	ephemeral.Store
	diary *diary
}

func (s diarist) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.diary.enter(key)
	return s.Store.Put(ctx, key, value, ttl)
}

func (s diarist) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	s.diary.enter(key)
	return s.Store.Swap(ctx, key, old, next, ttl)
}

func (s diarist) Delete(ctx context.Context, key string) (bool, error) {
	s.diary.enter(key)
	return s.Store.Delete(ctx, key)
}

func (s diarist) Arm(ctx context.Context, key string, code ephemeral.Code, ttl time.Duration) (*ephemeral.Code, error) {
	s.diary.enter(key)
	return s.Store.Arm(ctx, key, code, ttl)
}

func (s diarist) Disarm(ctx context.Context, key, id string) (bool, error) {
	s.diary.enter(key)
	return s.Store.Disarm(ctx, key, id)
}

func (s diarist) Consume(ctx context.Context, key string, digest []byte, now time.Time) (ephemeral.Verdict, error) {
	s.diary.enter(key)
	return s.Store.Consume(ctx, key, digest, now)
}

// overHTTPS is a house whose cookies have their full names, and that believes
// what stands in X-Forwarded-For: one address would send too much.
func overHTTPS(t *testing.T) (*parts, *diary) {
	p, d := embedded(t), &diary{}
	p.inbox, p.short = true, d.of(p.short)
	p.cfg = func(c *api.Config) {
		c.BaseURL = "https://login.example.test"
		c.TrustedProxies = []string{"127.0.0.0/8"}
	}
	return p, d
}

// Every form of every page is taken from our own page in the browser that it was
// made for. Sent from anywhere else, with another token, without the cookie or
// in another shape it is refused and changes nothing, in the database and in the
// short-lived store; and the same form as it should be is taken afterwards.
//
func TestOnlyOurOwnFormsChangeAnything(t *testing.T) {
	t.Parallel()
	p, written := overHTTPS(t)
	h, l := open(t, p), newLedger()
	db := p.openSQL(t)
	theirs := h.realm(l, "acme", "sandbox", "")
	for _, kind := range cookieKinds {
		theirs.id(kind)
	}
	forms := 0
	for _, route := range h.service.Routes() {
		if !route.Form {
			continue
		}
		forms++
		r := h.realm(l, "acme", "sandbox", "")
		for _, kind := range cookieKinds {
			r.id(kind)
		}
		f := forger{r, r.shot(route), theirs}
		all := f.all()
		rows := watch(t, db, p)
		written.read()
		for name, g := range all {
			f.wantRefused(name, g)
		}
		if keys := written.read(); len(keys) > 0 {
			t.Errorf("forged forms to %s have written %q", title(route), keys)
		}
		if f.good.form.Has("requestId") {
			f.wantRefused("for another browser's sign-in", f.planted())
		}
		rows.wantUnchanged("forged forms to " + title(route))
		if got := r.fire(f.good); got.status != success(route) {
			t.Errorf("%s: the form of our own page: status %d: %s", title(route), got.status, got.raw)
		}
	}
	if forms < 20 {
		t.Errorf("only %d forms", forms)
	}
}

// wantRefused sends a forgery. A browser that sent it shows an error: it goes
// nowhere and gets no cookie.
func (f forger) wantRefused(name string, g *forgery) {
	f.t.Helper()
	got := f.send(g)
	switch {
	case g.status != 0 && got.status != g.status:
		f.t.Errorf("%s %s: status %d, want %d: %s", title(f.good.route), name, got.status, g.status, got.raw)
	case g.status >= http.StatusBadRequest && g.status != http.StatusMethodNotAllowed && !got.isPage():
		f.t.Errorf("%s %s: no page: %s", title(f.good.route), name, got.raw)
	}
	if to := got.header.Get("Location"); to != "" && g.status != 0 || strings.Contains(to, "code=") {
		f.t.Errorf("%s %s: the browser goes to %s", title(f.good.route), name, to)
	}
	if set := got.header.Values("Set-Cookie"); len(set) > 0 {
		f.t.Errorf("%s %s: the browser gets %q", title(f.good.route), name, set)
	}
}

// lookings are pages that write into the short-lived store when they are looked
// at, by the beginning of the key.
var lookings = map[string]string{
	"GET /authz-srv/authz":  "flow:", // begins a sign-in, as OpenID Connect has it
	"GET /oauth2/authorize": "flow:",
	"GET /a/{account}/":     "flow:",
	"GET /":                 "flow:",
	// Whoever shows the code of a logout uses it up; only the app's own revocation
	// makes one.
	"GET /api/v1/tenants/{app_org}/{app_id}/oauth/token/slo-after-revoke-token": "logout:",
}

// Looking at a page changes nothing that lasts, wherever a link to it stands, and
// signs the browser neither in nor out.
// Covers R-156 for links.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	p, written := overHTTPS(t)
	h, l := open(t, p), newLedger()
	db := p.openSQL(t)
	for _, route := range h.service.Routes() {
		if !route.Page || route.Method != http.MethodGet {
			continue
		}
		r := h.realm(l, "acme", "sandbox", "")
		s := r.shot(route)
		s.header.Set("Sec-Fetch-Site", "cross-site")
		s.header.Set("X-Forwarded-For", r.address())
		rows := watch(t, db, p)
		written.read()
		got := r.fire(s).want(success(route))
		rows.wantUnchanged(title(route))
		for _, key := range written.read() {
			if begins := lookings[title(route)]; begins == "" || !strings.HasPrefix(key, begins) {
				t.Errorf("%s writes %s", title(route), key)
			}
		}
		for _, set := range got.header.Values("Set-Cookie") {
			if name, _, _ := strings.Cut(set, "="); name != "__Host-cs_link" { // which a click is asked for
				t.Errorf("%s gives the browser %s", title(route), set)
			}
		}
	}
}

// What is no form of a page takes no browser at its cookies: with all of them
// and nothing else it is refused where a token of the API is asked for, and
// elsewhere it signs the browser neither in nor out.
// Covers R-156 for what is no form of a page.
func TestCookiesAreNothingToOtherRoutes(t *testing.T) {
	t.Parallel()
	p, _ := overHTTPS(t)
	h := open(t, p)
	db := p.openSQL(t)
	r := h.realm(newLedger(), "acme", "sandbox", "")
	var cookies []string
	for _, route := range h.service.Routes() {
		if kind := cookieKind(route); route.Cookie != "" {
			cookies = append(cookies, route.Cookie+"="+r.id(kind))
		}
	}
	slices.Sort(cookies)
	all := strings.Join(slices.Compact(cookies), "; ")
	for _, route := range h.service.Routes() {
		if route.Form || route.Method == http.MethodGet {
			continue
		}
		s := r.shot(route)
		s.token, s.cookie = "", all
		s.header.Set("Sec-Fetch-Site", "cross-site")
		s.header.Set("Origin", "https://evil.test")
		s.header.Set("X-Forwarded-For", r.address())
		before := read(t, db, "sessions", `SELECT * FROM sessions`)
		got := r.fire(s)
		wantUnchanged(t, title(route)+" with cookies alone", before, read(t, db, "sessions", `SELECT * FROM sessions`))
		if set := got.header.Values("Set-Cookie"); len(set) > 0 {
			t.Errorf("%s gives the browser %q", title(route), set)
		}
		if asked := route.Credential == pipeline.APIKey || route.Credential == pipeline.UserToken; asked && got.status != http.StatusUnauthorized {
			t.Errorf("%s with cookies alone: status %d, want 401: %s", title(route), got.status, got.raw)
		}
	}
}
