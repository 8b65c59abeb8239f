package api_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
)

// What an app's own page meets that leads a login step by step.

const (
	generatePath = "/authz-srv/authrequest/authz/generate"
	finishPath   = "/login-srv/verification/login"
	loginPath    = "/login-srv/login"
	continuePath = "/login-srv/precheck/continue/"
	pageOrigin   = "https://shop.example.test"
)

// The usages, and the two of them that begin a login.
const (
	initial = "INITIAL_AUTHENTICATION"
	further = "MULTIFACTOR_AUTHENTICATION"
)

// paths are those that the contract's clients of one age call. The star stands
// for the method.
type paths struct{ list, initiate, verify, cancel string }

// ages are the columns of the contract's table, the newest first.
var ages = []paths{
	{
		"/verification-srv/public/graph/user/setup", "/verification-srv/authentication/*/initiation",
		"/verification-srv/authentication/*/verification", "/verification-srv/authentication/*/cancel",
	},
	{
		"/verification-srv/v2/setup/public/configured/list", "/verification-srv/authentication/*/initiation",
		"/verification-srv/authentication/*/verification", "/verification-srv/v2/authenticate/cancel/*",
	},
	{
		"/verification-srv/v2/setup/public/configured/list", "/verification-srv/v2/authenticate/initiate/*",
		"/verification-srv/v2/authenticate/authenticate/*", "/verification-srv/v2/setup/cancel/*",
	},
}

func of(path, method string) string { return strings.Replace(path, "*", method, 1) }

// steps is one login that a page leads: an app, and the request id that it was
// given.
type steps struct {
	*client
	paths
	request string
}

// sandboxed makes the courier fill the sandbox's inbox.
func (p *parts) sandboxed() *parts {
	p.reports = true
	return p
}

// codesAlone opens a house whose organization lets users in by a password, and
// by a code alone.
func codesAlone(t *testing.T, p *parts) *house {
	t.Helper()
	h := start(t, p.sandboxed()).passwords()
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "passwordless=true").want(200)
	return h
}

// pages is an app of the house whose pages lead logins.
func (h *house) pages(change ...func(*apps.New)) *client {
	h.t.Helper()
	origins := []string{pageOrigin}
	in := apps.New{Change: apps.Change{Origins: &origins}}
	for _, c := range change {
		c(&in)
	}
	return h.client(in)
}

// within is the same app for a part of a test.
func (c *client) within(t *testing.T) *client {
	h := *c.house
	h.t = t
	return &client{&h, c.app, c.secret}
}

// asked is what an app asks a request id with.
func (c *client) asked(change ...string) url.Values {
	form := url.Values{
		"client_id": {c.app.ID}, "redirect_uri": {callbackURL}, "scope": {"email openid profile"}, "response_type": {"code"},
		"response_mode": {"fragment"}, "nonce": {"1893553445123"}, "ui_locales": {"undefined"},
	}
	for _, one := range change {
		name, value, _ := strings.Cut(one, "=")
		form.Set(name, value)
	}
	return form
}

// leads gets a request id.
func (c *client) leads(change ...string) *steps {
	c.t.Helper()
	r := c.raw("POST", generatePath, asJSON, strings.NewReader(jsonOf(c.asked(change...))))
	return &steps{c, ages[0], r.said("requestId")}
}

// says posts JSON.
func (c *client) says(path string, pairs ...string) *reply {
	c.t.Helper()
	form := url.Values{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		form.Set(name, value)
	}
	return c.raw("POST", path, asJSON, strings.NewReader(jsonOf(form)))
}

func (s *steps) initiate(method, usage string, pairs ...string) *reply {
	s.t.Helper()
	return s.says(of(s.paths.initiate, method), append([]string{"request_id=" + s.request, "usage_type=" + usage}, pairs...)...)
}

// prove shows a code for what was started.
func (s *steps) prove(method string, started *reply, code string, pairs ...string) *reply {
	s.t.Helper()
	return s.says(of(s.verify, method), append([]string{"exchange_id=" + started.exchangeID(), "pass_code=" + code}, pairs...)...)
}

// begins is a login that begins with a proof of a method.
func (s *steps) begins(method, email, code string) *reply {
	s.t.Helper()
	return s.prove(method, s.initiate(method, initial, "email="+email), code)
}

// sends is a form that a browser sends by itself. Its answer stands in no
// document.
func (c *client) sends(path string, pairs ...string) *reply {
	c.t.Helper()
	form := make([]string, 0, len(pairs))
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		form = append(form, url.QueryEscape(name)+"="+url.QueryEscape(value))
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.base+path, strings.NewReader(strings.Join(form, "&")))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.plainly(req)
}

// finish sends the browser to the end of a login that was proven.
func (s *steps) finish(method string, proven *reply) *reply {
	s.t.Helper()
	return s.sends(finishPath, "requestId="+s.request, "verificationType="+method, "sub="+proven.said("sub"), "status_id="+proven.said("status_id"))
}

// data is what is in the envelope.
func (r *reply) data() map[string]any {
	r.t.Helper()
	data, _ := r.body["data"].(map[string]any)
	if r.status != http.StatusOK || r.body["success"] != true || r.body["status"] != 200.0 || data == nil {
		r.t.Fatalf("%s: status %d: %s", r.what, r.status, r.raw)
	}
	return data
}

// said is a text of what is in the envelope.
func (r *reply) said(name string) string {
	r.t.Helper()
	text := said(r.data(), name)
	if text == "" {
		r.t.Fatalf("%s: no %q in %s", r.what, name, r.raw)
	}
	return text
}

func (r *reply) exchangeID() string {
	r.t.Helper()
	return r.said("exchange_id")
}

// wantVER checks all that the contract's clients read of an error.
func (r *reply) wantVER(status int, code string) *reply {
	r.t.Helper()
	said, _ := r.body["error"].(string)
	if r.status != status || r.body["code"] != code || r.body["success"] != false || r.body["status"] != float64(status) || said == "" || r.body["error_description"] != said {
		r.t.Errorf("%s: status %d, want %d %s: %s", r.what, r.status, status, code, r.raw)
	}
	if media := r.header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") {
		r.t.Errorf("%s: content type %q", r.what, media)
	}
	return r
}

// types are the methods of a list.
func (r *reply) types() (out []string) {
	r.t.Helper()
	list, ok := r.data()["configured_list"].([]any)
	if !ok {
		r.t.Fatalf("%s: no list: %s", r.what, r.raw)
	}
	for _, item := range list {
		m := item.(map[string]any)
		out = append(out, m["type"].(string))
		for _, medium := range m["mediums"].([]any) { // always there
			medium := medium.(map[string]any)
			if medium["id"] == "" || medium["id"] != medium["medium_id"] || medium["medium_text"] == "" {
				r.t.Errorf("%s: a medium is %v", r.what, medium)
			}
		}
	}
	return out
}

// mediumOf is the first medium of a method in a list.
func (r *reply) mediumOf(method string) string {
	r.t.Helper()
	for _, item := range r.data()["configured_list"].([]any) {
		m := item.(map[string]any)
		if mediums, _ := m["mediums"].([]any); m["type"] == method && len(mediums) > 0 {
			return mediums[0].(map[string]any)["id"].(string)
		}
	}
	r.t.Fatalf("%s: no %s in %s", r.what, method, r.raw)
	return ""
}

// wantReturn reads what a browser brings back to the app, in the part of the
// address after a mark.
func (r *reply) wantReturn(mark string) url.Values {
	r.t.Helper()
	r.want(http.StatusFound)
	base, rest, _ := strings.Cut(r.to(), mark)
	q, err := url.ParseQuery(rest)
	if err != nil || base != callbackURL {
		r.t.Fatalf("%s: the browser is sent to %q", r.what, r.to())
	}
	return q
}

// wantCodeIn is wantReturn for a code, and nothing else that was not asked for.
func (r *reply) wantCodeIn(mark string) string {
	r.t.Helper()
	q := r.wantReturn(mark)
	if names := slices.Sorted(maps.Keys(q)); !slices.Equal(names, []string{"code", "iss"}) || q.Get("iss") != "http://127.0.0.1:8080" {
		r.t.Fatalf("%s: the browser brings %v", r.what, q)
	}
	return q.Get("code")
}

// wantMore is wantReturn for a login that needs another step.
func (s *steps) wantMore(r *reply, view string) (trackID, sub string) {
	r.t.Helper()
	q := r.wantReturn("#")
	if q.Get("error") != "interaction_required" || q.Get("requestId") != s.request || q.Get("view_type") != view || q.Get("sub") == "" || q.Get("q") != q.Get("sub") || q.Get("code") != "" {
		r.t.Fatalf("%s: the browser brings %v", r.what, q)
	}
	return q.Get("track_id"), q.Get("sub")
}

// wantTokens redeems a code, and checks whose login it was and what it rests on.
func (c *client) wantTokens(code, user, amr, acr string) *reply {
	c.t.Helper()
	return c.wantClaims(c.sendJSON(tokenPath, c.exchange(code)).want(200), user, amr, acr)
}

func (c *client) wantClaims(given *reply, user, amr, acr string) *reply {
	c.t.Helper()
	claims := claimsOf(c.t, c.keysAt("/.well-known/jwks.json"), given.text("id_token"))
	var proofs []string
	for _, proof := range claims["amr"].([]any) {
		proofs = append(proofs, proof.(string))
	}
	slices.Sort(proofs)
	if got := strings.Join(proofs, " "); claims["sub"] != user || got != amr || claims["acr"] != acr || claims["nonce"] != "1893553445123" || claims["aud"] != c.app.ID {
		c.t.Errorf("the ID token says %v, want %s with %s, %s", claims, user, amr, acr)
	}
	return given
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// codesTo are the codes in the inbox's messages to a number or an address, the
// newest first.
func (h *house) codesTo(to string) (codes []string) {
	h.t.Helper()
	for _, item := range h.call("GET", "/api/v2/org/"+h.org+"/inbox", "to="+to, "per_page=200").want(200).body["data"].([]any) {
		if code := sixDigits.FindString(item.(map[string]any)["text"].(string)); code != "" {
			codes = append(codes, code)
		}
	}
	return codes
}

// received runs what sends a code, and returns its answer and the code that
// comes into the inbox.
func (h *house) received(to string, send func() *reply) (started *reply, code string) {
	h.t.Helper()
	before := len(h.codesTo(to))
	started = send()
	started.data()
	until(h.t, func() bool {
		codes := h.codesTo(to)
		if len(codes) <= before {
			return false
		}
		code = codes[0]
		return true
	})
	return started, code
}

// wantMoment checks an end of an exchange id: five minutes from now, with
// milliseconds, in UTC.
func (r *reply) wantMoment() {
	r.t.Helper()
	exchanged, _ := r.data()["exchange_id"].(map[string]any)
	text, _ := exchanged["expires_at"].(string)
	at, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	if left := time.Until(at); err != nil || left > 5*time.Minute || left < 4*time.Minute {
		r.t.Errorf("%s: the exchange id ends at %q", r.what, text)
	}
}
