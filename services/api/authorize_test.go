package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// hostileRedirects are spellings of https://app.example.test/back and of what
// one might get past a careless comparison.
func hostileRedirects() map[string]string {
	const host, path = "app.example.test", "/back"
	good := "https://" + host + path
	out := map[string]string{
		"nothing":                         "",
		"another host":                    "https://evil.test/back",
		"a host that ends with ours":      "https://evilapp.example.test/back",
		"a host that begins with ours":    "https://app.example.test.evil.test/back",
		"a host below ours":               "https://sub.app.example.test/back",
		"the host above ours":             "https://example.test/back",
		"user info that looks like ours":  "https://app.example.test@evil.test/back",
		"user info before ours":           "https://evil@app.example.test/back",
		"user info with a password":       "https://a:b@app.example.test/back",
		"an empty user info":              "https://@app.example.test/back",
		"an encoded at":                   "https://app.example.test%40evil.test/back",
		"a backslash before the path":     `https://app.example.test\back`,
		"a backslash and another host":    `https://evil.test\@app.example.test/back`,
		"backslashes for slashes":         `https:\\app.example.test\back`,
		"one slash":                       "https:/app.example.test/back",
		"three slashes":                   "https:///app.example.test/back",
		"no scheme":                       "//app.example.test/back",
		"no scheme and no slashes":        "app.example.test/back",
		"a path alone":                    "/back",
		"plain HTTP":                      "http://app.example.test/back",
		"the scheme in capitals":          "HTTPS://app.example.test/back",
		"the host in capitals":            "https://APP.example.test/back",
		"the path in capitals":            "https://app.example.test/BACK",
		"the default port":                "https://app.example.test:443/back",
		"another port":                    "https://app.example.test:8443/back",
		"an empty port":                   "https://app.example.test:/back",
		"a slash at the end":              good + "/",
		"two slashes":                     "https://app.example.test//back",
		"no path":                         "https://app.example.test",
		"the root":                        "https://app.example.test/",
		"a longer path":                   good + "/evil",
		"a path with ours as beginning":   good + "door",
		"the path above":                  good + "/..",
		"up and down":                     "https://app.example.test/evil/../back",
		"an encoded way up":               "https://app.example.test/evil/%2e%2e/back",
		"an encoded way up in capitals":   "https://app.example.test/evil/%2E%2E/back",
		"twice encoded":                   "https://app.example.test/evil/%252e%252e/back",
		"a dot":                           "https://app.example.test/./back",
		"an encoded letter":               "https://app.example.test/%62ack",
		"an encoded slash":                "https://app.example.test/%2fback",
		"path parameters":                 good + ";a=b",
		"a query":                         good + "?a=b",
		"an empty query":                  good + "?",
		"an encoded query":                good + "%3fa=b",
		"a fragment":                      good + "#a",
		"an empty fragment":               good + "#",
		"an encoded fragment":             good + "%23a",
		"a dot after the host":            "https://app.example.test./back",
		"a wildcard":                      "https://*.example.test/back",
		"a wildcard in the path":          "https://app.example.test/*",
		"a host of another alphabet":      "https://\u0430pp.example.test/back",
		"that host in punycode":           "https://xn--pp-8cd.example.test/back",
		"a full stop of another alphabet": "https://app.example\u3002test/back",
		"a character of no width":         "https://app\u200b.example.test/back",
		"a space before":                  " " + good,
		"a space after":                   good + " ",
		"a line feed after":               good + "\n",
		"a tab inside":                    "https://app.exam\tple.test/back",
		"a header":                        good + "\r\nSet-Cookie: a=b",
		"two of them":                     good + " " + good,
		"a comma and another":             good + ",https://evil.test/",
		"in quotes":                       `"` + good + `"`,
		"in single quotes":                "'" + good + "'",
		"in brackets":                     "<" + good + ">",
		"javascript":                      "javascript:alert(1)",
		"javascript with our host":        "javascript://app.example.test/%0aalert(1)",
		"data":                            "data:text/html,<script>alert(1)</script>",
		"vbscript":                        "vbscript:msgbox(1)",
		"a file":                          "file:///etc/passwd",
		"an app of that name":             "com.evil.app:/back",
		"an address":                      "https://203.0.113.7/back",
		"a number as an address":          "https://3405803783/back",
		"loopback of another port":        "http://localhost:3001/back",
		"loopback by its address":         "http://127.0.0.1:3000/back",
		"loopback without a port":         "http://localhost/back",
		"out of band":                     "urn:ietf:wg:oauth:2.0:oob",
	}
	out["a very long one"] = good + strings.Repeat("a", 3000)
	return out
}

// No redirect URI but those that the app has registered gets a browser, not
// even with an error: the browser stays here, on a page.
//
// Covers R-158 for redirect_uri.
func TestHostileRedirectURIsEndInAPage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		a, b := h.shop(), h.browser()
		hostile := hostileRedirects()
		if len(hostile) < 60 {
			t.Fatalf("%d variants are not enough", len(hostile))
		}
		for name, uri := range hostile {
			for _, path := range []string{"/authz-srv/authz", "/oauth2/authorize", "/", "/a/acme/"} {
				wantPage(t, name, b.visit(http.MethodGet, path+"?"+wanted(a, "redirect_uri="+uri).Encode(), nil))
			}
			wantPage(t, name+", and more that is wrong", b.authorize(wanted(a, "redirect_uri="+uri, "response_type=token", "code_challenge")))
			wantPage(t, name+", posted", b.visit(http.MethodPost, "/authz-srv/authz", wanted(a, "redirect_uri="+uri)))
		}
		q := wanted(a)
		wantPage(t, "twice", b.visit(http.MethodGet, "/authz-srv/authz?"+q.Encode()+"&redirect_uri="+url.QueryEscape(appBack), nil))
		b.authorize(q).want(http.StatusFound) // the good one is good
	})
}

// wantPage checks that the browser stays.
func wantPage(t *testing.T, what string, r *reply) {
	t.Helper()
	if r.status != http.StatusBadRequest || r.to() != "" || r.header.Get("Refresh") != "" || !r.isPage() || strings.Contains(r.raw, "http-equiv") {
		t.Errorf("%s: status %d, Location %q: %s", what, r.status, r.to(), r.raw)
	}
}

// Who an app is, is known before anything goes back to it.
func TestAppsThatAreNotThereEndInAPage(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a, b := h.shop(), h.browser()
	off, no := h.shop(func(in *api.NewApp) { active := false; in.Active = &active }), "app_"+strings.Repeat("a", 27)
	for name, q := range map[string]url.Values{
		"no client_id":            wanted(a, "client_id"),
		"one that never was":      wanted(a, "client_id="+no),
		"something else":          wanted(a, "client_id=shop"),
		"the id of an API key":    wanted(a, "client_id=0c9c4fd4-1d5a-4a6e-9b43-0f3f6a0f7a11"),
		"one that is not active":  wanted(off),
		"two":                     {"client_id": {a.ID, a.ID}, "redirect_uri": {appBack}},
		"another account's start": nil,
	} {
		if q == nil {
			wantPage(t, name, b.visit(http.MethodGet, "/a/other/?"+wanted(a).Encode(), nil))
			continue
		}
		wantPage(t, name, b.authorize(q))
	}
	wantPage(t, "another organization", b.visit(http.MethodGet, "/a/acme/?"+wanted(a, "organization=other").Encode(), nil))
	h.call("DELETE", "/api/v2/org/"+h.org+"/users/"+h.user).want(200)
	h.call("DELETE", "/api/v2/organizations/"+h.org).want(200)
	wantPage(t, "a deleted organization's", b.authorize(wanted(a)))
}

// What is wrong with a request goes back to where the app listens, with what
// was asked to come back and with who says it.
// Covers R-139 for the authorization endpoint.
// Covers R-142 for response types.
// Covers R-148 for parameters that cannot be honoured.
func TestRefusalsGoBackToTheApp(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	b := h.browser()
	first := h.shop()
	third := h.shop(func(in *api.NewApp) { no := false; in.FirstParty = &no })
	narrow := h.shop(func(in *api.NewApp) { scopes := []string{"openid"}; in.Scopes = &scopes })
	cases := map[string]struct {
		q    url.Values
		code string
	}{
		"no challenge":                     {wanted(first, "code_challenge", "code_challenge_method"), "invalid_request"},
		"a method without a challenge":     {wanted(first, "code_challenge"), "invalid_request"},
		"a challenge without a method":     {wanted(first, "code_challenge_method"), "invalid_request"},
		"plain":                            {wanted(first, "code_challenge_method=plain"), "invalid_request"},
		"plain with a verifier":            {wanted(first, "code_challenge_method=plain", "code_challenge="+verifier), "invalid_request"},
		"s256 in small letters":            {wanted(first, "code_challenge_method=s256"), "invalid_request"},
		"another method":                   {wanted(first, "code_challenge_method=S512"), "invalid_request"},
		"a challenge of 42 characters":     {wanted(first, "code_challenge="+challengeOf("x")[:42]), "invalid_request"},
		"a challenge of 44 characters":     {wanted(first, "code_challenge="+challengeOf("x")+"A"), "invalid_request"},
		"a padded challenge":               {wanted(first, "code_challenge="+challengeOf("x")+"="), "invalid_request"},
		"a challenge in plain base64":      {wanted(first, "code_challenge="+strings.Repeat("+/", 21)+"A"), "invalid_request"},
		"no response_type":                 {wanted(first, "response_type"), "invalid_request"},
		"scopes of no one":                 {wanted(first, "scope"), "invalid_scope"},
		"a scope that nobody has":          {wanted(first, "scope=openid admin"), "invalid_scope"},
		"a scope that the app has not":     {wanted(narrow, "scope=openid email"), "invalid_scope"},
		"a scope in capitals":              {wanted(first, "scope=OPENID"), "invalid_scope"},
		"an app of others, without a page": {wanted(third, "prompt=none"), "login_required"},
		"a request object":                 {wanted(first, "request=eyJhbGciOiJub25lIn0.e30."), "request_not_supported"},
		"a request by its address":         {wanted(first, "request_uri=https://evil.test/r"), "request_uri_not_supported"},
		"a registration":                   {wanted(first, "registration={}"), "registration_not_supported"},
		"a prompt that nobody knows":       {wanted(first, "prompt=create"), "invalid_request"},
		"no page and a login":              {wanted(first, "prompt=none login"), "invalid_request"},
		"an age that is no number":         {wanted(first, "max_age=soon"), "invalid_request"},
		"an age below zero":                {wanted(first, "max_age=-1"), "invalid_request"},
		"an age beyond all measure":        {wanted(first, "max_age=99999999999999999999"), "invalid_request"},
		"a level that nobody knows":        {wanted(first, "acr_values=urn:mace:incommon:iap:silver"), "unmet_authentication_requirements"},
		"a hint that is no token":          {wanted(first, "id_token_hint=nonsense"), "invalid_request"},
		"a hint without a signature":       {wanted(first, "id_token_hint=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ."), "invalid_request"},
		"a form as the answer":             {wanted(first, "response_mode=form_post"), "invalid_request"},
		"a nonce beyond all measure":       {wanted(first, "nonce="+strings.Repeat("n", 1025)), "invalid_request"},
		"nobody signed in, without a page": {wanted(first, "prompt=none"), "login_required"},
	}
	for _, kind := range []string{"token", "id_token", "none", "code id_token", "code token", "code id_token token", "id_token token", "CODE", "code code", "saml"} {
		cases["response_type "+kind] = struct {
			q    url.Values
			code string
		}{wanted(first, "response_type="+kind), "unsupported_response_type"}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				var r *reply
				status := http.StatusFound
				if method == http.MethodGet {
					r = b.authorize(c.q)
				} else {
					r, status = b.visit(method, "/oauth2/authorize", c.q), http.StatusSeeOther
					if strings.HasPrefix(r.to(), "/oauth2/authorize?") { // good as a request: the answer is the one of the GET
						r, status = b.visit(http.MethodGet, r.want(status).to(), nil), http.StatusFound
					}
				}
				q := r.wantBack(status)
				if q.Get("error") != c.code || q.Get("state") != "st&te=1 " || q.Get("iss") != h.public || q.Get("error_description") == "" || q.Has("code") {
					t.Errorf("%s: the app hears %v, want %s", method, q, c.code)
				}
			}
		})
	}
	q := b.authorize(wanted(first, "state="+strings.Repeat("s", 4097))).wantBack(http.StatusFound)
	if q.Get("error") != "invalid_request" || q.Has("state") {
		t.Errorf("a state beyond all measure: %v", q)
	}
	r := b.authorize(wanted(first, "response_mode=fragment", "prompt=none")).want(http.StatusFound)
	if !strings.HasPrefix(r.to(), appBack+"#") || !strings.Contains(r.to(), "error=login_required") {
		t.Errorf("in the fragment: %s", r.to())
	}
}

// On none of the ways in which an app sends a browser does it begin without a
// challenge, whatever kind of app it is. A verifier beside a code without one
// counts for nothing, so that this is what keeps stolen codes useless.
func TestNoAppBeginsWithoutAChallenge(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	b := h.browser()
	for kind, a := range map[string]api.App{
		"public": h.shop(), "confidential": h.shop(func(in *api.NewApp) { in.Type = "confidential" }),
		"gateway": h.shop(func(in *api.NewApp) { profile := "gateway"; in.Profile = &profile }),
	} {
		for _, path := range []string{"/authz-srv/authz", "/oauth2/authorize", "/", "/a/acme/"} {
			good := b.visit(http.MethodGet, path+"?"+wanted(a).Encode(), nil).want(http.StatusFound)
			if !strings.Contains(good.to(), "requestId=") {
				t.Errorf("%s at %s begins with %s", kind, path, good.to())
			}
			for name, q := range map[string]url.Values{
				"none": wanted(a, "code_challenge", "code_challenge_method"), "an empty one": wanted(a, "code_challenge="),
				"a method alone": wanted(a, "code_challenge"), "a plain one": wanted(a, "code_challenge_method=plain"), "no method": wanted(a, "code_challenge_method"),
			} {
				if back := b.visit(http.MethodGet, path+"?"+q.Encode(), nil).wantBack(http.StatusFound); back.Get("error") != "invalid_request" || back.Has("code") {
					t.Errorf("%s at %s with %s: %v", kind, path, name, back)
				}
			}
		}
	}
}

// What a request says of its host changes nothing of where it leads.
// Covers R-138 for the authorization endpoint.
func TestHostHeadersDoNotMoveTheWayBack(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.shop()
	for name, change := range map[string]func(*http.Request){
		"Host":             func(r *http.Request) { r.Host = "evil.test" },
		"X-Forwarded-Host": func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.test") },
		"Forwarded":        func(r *http.Request) { r.Header.Set("Forwarded", "host=evil.test;proto=https") },
		"X-Original-URL":   func(r *http.Request) { r.Header.Set("X-Original-Url", "https://evil.test/") },
		"a Host with two":  func(r *http.Request) { r.Host = "evil.test:80" },
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+"/authz-srv/authz?"+wanted(a, "prompt=none").Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		change(req)
		r := h.as("").plainly(req)
		if r.status == http.StatusMisdirectedRequest {
			continue // the page of another host is none of ours
		}
		if q := r.wantBack(http.StatusFound); q.Get("iss") != h.public {
			t.Errorf("%s: %v", name, q)
		}
		if strings.Contains(fmt.Sprint(r.header)+r.raw, "evil") {
			t.Errorf("%s: %v %s", name, r.header, r.raw)
		}
	}
}
