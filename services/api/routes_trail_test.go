package api_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
)

// logsIn goes every way from nothing to tokens, with the mails that a user
// gets, so that each secret on the way is known to the search.
func (r *trail) logsIn() {
	r.t.Helper()
	here := r.realm(r.ledger, "acme", "sandbox", "").passwordsByMail()
	here.call("PUT", "/api/v2/org/"+here.org+"/magic-link-connection", "active=true").want(200)
	set := func(params ...string) *reply { return r.step(here, "POST /api/v2/password", params...).want(200) }
	try := func(password string) *reply {
		return r.step(here, "POST /api/v2/password-challenge", "user_email="+here.id("email"), "org_domain="+here.org, "plain_text="+password)
	}
	first, second, third := r.word("password"), r.word("password"), r.word("password")

	set("user_email="+here.id("email"), "org_domain="+here.org, "plain_text="+first)
	renew, _ := try(first).want(200).body["renew_password"].(map[string]any)
	code, _ := renew["password_code"].(string)
	r.exchanges(here, set("password_code="+code, "plain_text="+second).text("code"))
	r.exchanges(here, try(second).want(200).text("code"))
	for range 6 { // until they are not compared any more
		try(r.word("password"))
	}
	code = r.follows(here, "POST /api/v2/password-request").Get("password_code")
	r.exchanges(here, set("password_code="+code, "plain_text="+third).text("code"))
	r.exchanges(here, r.follows(here, "POST /api/v2/magic-link-challenge").Get("code"))

	here.id("request") // a second factor
	waiting := try(third).want(200).text("request_id")
	ended := r.step(here, "POST /api/v2/org/{org}/totp-challenge/validation/{user}", "code="+here.codes["totp-challenge"], "request_id="+waiting)
	r.exchanges(here, ended.want(200).text("authorization_code"))
}

// passwordsByMail allows passwords whose links are sent, and some without.
func (r *realm) passwordsByMail() *realm {
	r.t.Helper()
	r.ids["connection"] = r.call("POST", "/api/v2/org/"+r.org+"/password-connection", "direct_creation=true").want(201).text("id")
	return r
}

// step calls a route with these parameters alone.
func (r *trail) step(here *realm, name string, params ...string) *reply {
	r.t.Helper()
	route := r.route(name)
	s := &shot{route: route, ids: here.ids, form: url.Values{}, header: http.Header{}, base: here.public}
	if route.Credential != pipeline.None {
		s.token = here.token
	}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		s.form.Set(name, value)
	}
	return r.take(route, r.fire(r.marked(s)))
}

// follows asks for a link, takes it from the mail, and opens and uses it as a
// browser does. It returns what the app gets.
func (r *trail) follows(here *realm, ask string) url.Values {
	r.t.Helper()
	asked := r.step(here, ask, "user_email="+here.id("email"), "org_domain="+here.org, "redirect_uri="+backURL).want(201)
	link := r.courier.letterFor(r.t, asked.text("request_id")).Link
	here.ids["link"] = r.note("mailed link", link[strings.LastIndexByte(link, '/')+1:])
	var answer *reply
	for _, name := range []string{"GET /magic-link/verify/{token}", "GET /callback", "GET /link", "POST /link"} {
		route := r.route(name)
		answer = r.take(route, r.fire(r.marked(here.shot(route)))).want(success(route))
	}
	return leadsTo(answer)
}

// exchanges turns a code into tokens and renews them, and tries the code once
// more, which ends all of it.
func (r *trail) exchanges(here *realm, code string) {
	r.t.Helper()
	exchange := func() *reply {
		return r.step(here, "POST /api/v2/oauth/token", "grant_type=authorization_code", "code="+code)
	}
	given := exchange().want(200)
	r.step(here, "POST /oauth/token", "grant_type=refresh_token", "refresh_token="+given.text("refresh_token")).want(200)
	exchange().want(http.StatusBadRequest)
}

// fresh makes good requests to a route, of which each may be the last: what it
// takes with it is made for the first one alone.
func (r *trail) fresh(here *realm, route pipeline.Route, variant string) func() *shot {
	if variant == "" {
		return func() *shot { return here.shot(route) }
	}
	made := here.variant(route, variant)
	return func() *shot {
		s := *made
		s.form, s.header = url.Values{}, http.Header{}
		for name, values := range made.form {
			s.form[name] = slices.Clone(values)
		}
		return &s
	}
}

// unpacked is the body of an answer whose tokens are read: what they say is a
// place of its own.
func (r *trail) unpacked(answer *reply) string {
	r.t.Helper()
	body := answer.raw
	for name, what := range map[string]string{"access_token": "an access token", "id_token": "an ID token"} {
		token, _ := answer.body[name].(string)
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			continue
		}
		for _, part := range parts[:2] {
			said, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				r.t.Fatal(err)
			}
			r.places["content of "+what] = append(r.places["content of "+what], string(said))
			body = strings.Replace(body, part, "", 1)
		}
	}
	return body
}
