package pages

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// asked is the moment at which all links here were asked for; it is three
// minutes later.
var asked = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// shelf stands where the rules of links stand: it keeps links in a map.
type shelf struct {
	mu       sync.Mutex
	links    map[string]link.View
	followed []string
	fails    error
	panics   bool
}

var _ link.Pages = (*shelf)(nil)

func (s *shelf) find(token secret.Text) (link.View, error) {
	view, ok := s.links[token.Reveal()]
	switch {
	case s.panics:
		panic("canary")
	case s.fails != nil:
		return link.View{}, s.fails
	case !ok:
		return link.View{}, link.ErrDead
	}
	return view, nil
}

func (s *shelf) Look(_ context.Context, token secret.Text) (link.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(token)
}

func (s *shelf) Follow(_ context.Context, token secret.Text, source netip.Addr) (link.Followed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	view, err := s.find(token)
	if err != nil {
		return link.Followed{}, err
	}
	delete(s.links, token.Reveal())
	s.followed = append(s.followed, source.String())
	return link.Followed{Redirect: secret.New("https://" + view.AppHost + "/cb?password_code=canary-code")}, nil
}

// tokenOf makes a token that is easy to find.
func tokenOf(name string) string { return (name + strings.Repeat("canary-token", 4))[:43] }

// with puts a link on the shelf and returns its token.
func (s *shelf) with(name string, change func(v *link.View)) string {
	view := link.View{
		Purpose: link.Reset, Org: tenant.Organization{Name: "Acme & Söhne", Color: "#336699"}, Address: "a••@acme.test",
		AppHost: "app.acme.test", AskedAt: asked, ExpiresAt: asked.Add(time.Hour),
	}
	if change != nil {
		change(&view)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[tokenOf(name)] = view
	return tokenOf(name)
}

// site is the pages behind the real pipeline and house.
type site struct {
	*shelf
	t     *testing.T
	addr  string
	base  string // the configured one
	log   *lines
	forms guard.Forms
}

type lines struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// newSite serves the pages on the loopback interface; without a base URL that
// is where they are.
func newSite(t *testing.T, base string) *site {
	t.Helper()
	index, err := seal.ParseIndex("index", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{shelf: &shelf{links: map[string]link.View{}}, t: t, log: &lines{}, forms: guard.Forms{Index: index}}
	server := httptest.NewUnstartedServer(nil)
	s.addr = server.Listener.Addr().String()
	s.base = base
	if base == "" {
		s.base = "http://" + s.addr
	}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mux := chi.NewRouter()
	p := &pipeline.Pipeline{Limits: ephemeral.NewMemory(time.Now), Log: log, Forms: s.forms, BaseURL: s.base}
	links := &Links{Links: s.shelf, BaseURL: s.base, Now: func() time.Time { return asked.Add(3 * time.Minute) }}
	p.Mount(mux, links.Routes())
	server.Config.Handler = web.House(web.Config{
		Log: log, HSTS: strings.HasPrefix(s.base, "https:"), Allow: func(r *http.Request) string { return pipeline.Allowed(mux, r) },
	})(mux)
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// seen is an answer as it came.
type seen struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   string
}

// ask sends a request as a browser of that address does that follows nothing.
func (s *site) ask(method, path, body string, change ...func(r *http.Request)) *seen {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.base != "" {
		req.Host = hostOf(s.t, s.base)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, f := range change {
		f(req)
	}
	return s.send(req, "")
}

func hostOf(t *testing.T, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// send goes out from an address of this machine.
func (s *site) send(req *http.Request, from string) *seen {
	s.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if from != "" {
		transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	}
	res, err := persist(transport, req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, set := range res.Header.Values("Set-Cookie") {
		if loose := rig.LooseCookie(set, strings.HasPrefix(s.base, "https:")); loose != "" {
			s.t.Errorf("%s %s sets a cookie that %s: %s", req.Method, req.URL.Path, loose, set)
		}
	}
	return &seen{s.t, req.Method + " " + req.URL.Path, res.StatusCode, res.Header, string(body)}
}

// cookie is what a browser sends that has opened a link.
func (s *site) cookie(token string) func(r *http.Request) {
	name := "cs_link"
	if strings.HasPrefix(s.base, "https:") {
		name = "__Host-cs_link"
	}
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: token}) }
}

// ours is what a browser says of a form that our own page has sent. Under our
// referrer policy the origin of its forms is null.
func ours(r *http.Request) {
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", "null")
}

// form is what the form of a link's page sends.
func (s *site) form(token string) string {
	return "page_token=" + s.forms.Token(secret.New(token)).Reveal()
}

// click sends the form as the page of the link has it.
func (s *site) click(token string) *seen {
	s.t.Helper()
	page := s.ask("GET", "/link", "", s.cookie(token)).want(200)
	match := regexp.MustCompile(`name="page_token" value="([^"]+)"`).FindStringSubmatch(page.body)
	if match == nil {
		s.t.Fatalf("the page has no token: %s", page.body)
	}
	return s.ask("POST", "/link", "page_token="+match[1], s.cookie(token), ours)
}

func (s *seen) want(status int) *seen {
	s.t.Helper()
	if s.status != status {
		s.t.Fatalf("%s: status %d, want %d: %s", s.what, s.status, status, s.body)
	}
	return s
}

// styled is how a page names its style, relative to where it is.
var styled = regexp.MustCompile(`<link rel="stylesheet" href="(\.|\.\.(/\.\.)*)/assets/pages\.[a-z2-7]{16}\.css">`)

// wantPage checks what every page must be: short, in one language, with one
// heading, able to run or load nothing. An error has its reference.
func (s *seen) wantPage(heading string) *seen {
	s.t.Helper()
	policy := s.header.Get("Content-Security-Policy")
	if s.header.Get("Content-Type") != textHTML || len(s.body) > 20<<10 {
		s.t.Errorf("%s: %d bytes of %q", s.what, len(s.body), s.header.Get("Content-Type"))
	}
	for _, once := range []string{"<h1>" + heading + "</h1>", "<h1", "<main>", `<html lang="`, `name="viewport"`, "<title>" + heading + "</title>"} {
		if strings.Count(s.body, once) != 1 {
			s.t.Errorf("%s: %q stands %d times in %s", s.what, once, strings.Count(s.body, once), s.body)
		}
	}
	for _, never := range []string{"<script", "http-equiv", "src=", "style=", "url(", "@import", " onload", " onclick", "javascript:", "http:", "https:", "canary"} {
		if strings.Contains(s.body, never) {
			s.t.Errorf("%s: %q stands in %s", s.what, never, s.body)
		}
	}
	if !styled.MatchString(s.body) || strings.Contains(s.body, "<style") ||
		!strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; base-uri 'none'; form-action '") || !strings.HasSuffix(policy, "; frame-ancestors 'none'") {
		s.t.Errorf("%s: the policy is %q", s.what, policy)
	}
	if id := s.header.Get("X-Request-Id"); s.status >= 400 && (id == "" || !strings.Contains(s.body, "<code>"+id+"</code>")) {
		s.t.Errorf("%s: the request id %q is not on the page: %s", s.what, id, s.body)
	}
	return s
}

// persist sends a large body again when the server has hung up: it does once it
// has refused it, and whether its answer is read before that is luck.
func persist(through http.RoundTripper, req *http.Request) (*http.Response, error) {
	for tries := 0; ; tries++ {
		res, err := through.RoundTrip(req)
		if err == nil || req.ContentLength < 32<<10 || tries == 20 {
			return res, err
		}
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
}
