package api_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"countersign.dev/services/api/internal/grant"
)

// Pages say what went wrong in HTML. The tests of the route table read it as if
// the API had said it: one reader for both.

var (
	pageReference = regexp.MustCompile(`<code>([A-Z2-7]{26})</code> \(<code>([a-z_]+)</code>\)`)
	pageHeading   = regexp.MustCompile(`<h1>([^<]+)</h1>`)
)

// readPage reads the page of an error into the body of the reply.
func (r *reply) readPage() {
	if r.status < http.StatusBadRequest || !r.isPage() {
		return
	}
	reference, heading := pageReference.FindStringSubmatch(r.raw), pageHeading.FindStringSubmatch(r.raw)
	if reference == nil || heading == nil {
		return
	}
	r.body = map[string]any{"error": map[string]any{
		"type": reference[2], "message": heading[1], "doc_urls": []any{}, "request_id": reference[1],
	}}
}

func (r *reply) isPage() bool { return strings.HasPrefix(r.header.Get("Content-Type"), "text/html") }

// errorText is an error as the API writes it.
func (r *reply) errorText() string {
	if !r.isPage() {
		return r.raw
	}
	text, err := json.Marshal(r.body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// addLink gets a link by which the realm's user logs in, and keeps its token.
// The answer holds it: a mail would change rows whenever it comes.
func (r *realm) addLink() {
	r.t.Helper()
	r.call("PUT", "/api/v2/org/"+r.org+"/magic-link-connection", "active=true", "delivery=caller").want(200)
	asked := r.call("POST", "/api/v2/magic-link-challenge", "user_email="+r.id("email"), "org_domain="+r.org, "redirect_uri="+backURL).want(201)
	r.learn(asked)
	link := asked.text("magic_link")
	r.ids["link"] = link[strings.LastIndexByte(link, '/')+1:]
}

// addSessions signs the realm's user in with two factors, and keeps what the
// browser has of it. The proof is of an hour to come, so that it stays fresh
// for as long as a test takes.
func (r *realm) addSessions() {
	r.t.Helper()
	b, s := r.browser(), r.stage()
	s.now = time.Now().Add(time.Hour)
	l := s.signIn(b, r.id("app"), r.id("user"))
	token, _, err := s.sessions.Raise(r.t.Context(), l.session, grant.SMS)
	if err != nil {
		r.t.Fatal(err)
	}
	set := b.set().With(b.set().Realms()[0], token)
	r.note("session token", set.Token(set.Realms()[0]).Reveal())
	r.ids["sessions"] = set.Text().Reveal()
}

// addSession signs the realm's user in with another browser.
func (r *realm) addSession() {
	r.t.Helper()
	r.ids["session"] = r.stage().signIn(r.browser(), r.id("app"), r.id("user")).session.ID
}

func (r *realm) stage() *stage {
	r.t.Helper()
	s := newStage(r.t, r.house)
	s.env = r.env
	return s
}
