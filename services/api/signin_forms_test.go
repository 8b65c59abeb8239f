package api_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// send sends a form as it is: with these headers and, where cookie says so,
// without what the browser has.
func (b *browser) send(path string, form url.Values, cookie string, headers ...string) *reply {
	b.h.t.Helper()
	req, err := http.NewRequestWithContext(b.h.t.Context(), http.MethodPost, b.h.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	return b.h.plainly(req)
}

// Every form of a sign-in is taken from our own page in the browser that it was
// shown to, and from nowhere else; nothing is compared for another.
// Covers R-156 for signing in.
func TestOnlyOurOwnFormsSignIn(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	h.enrolPhone()
	a, b := h.shop(), h.browser()
	first := b.signInPage(wanted(a))
	second := b.next(b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain))
	stranger := h.browser()
	foreign := stranger.fill(stranger.signInPage(wanted(a)), "/login").Get("page_token")
	ours, mine := "Sec-Fetch-Site: same-origin", "cs_browser="+b.cookie("cs_browser")
	forms := map[string]url.Values{
		"/login":      b.fill(first, "/login", "email=ana@acme.test", "password="+plain),
		"/login/code": b.fill(second, "/login/code", "code="+h.sentCode()),
		"/login/send": b.fill(second, "/login/send"),
	}
	for path, good := range forms {
		token := good.Get("page_token")
		for name, c := range map[string]struct {
			token, cookie, query string
			headers              []string
			status               int
		}{
			"no token":              {"", mine, "", []string{ours}, 403},
			"another token":         {"canary", mine, "", []string{ours}, 403},
			"another browser's":     {foreign, mine, "", []string{ours}, 403},
			"a token cut short":     {token[:len(token)-1], mine, "", []string{ours}, 403},
			"no cookie":             {token, "", "", []string{ours}, 403},
			"another cookie":        {token, "cs_browser=" + stranger.cookie("cs_browser"), "", []string{ours}, 403},
			"two cookies":           {token, mine + "; " + mine, "", []string{ours}, 403},
			"from another site":     {token, mine, "", []string{"Sec-Fetch-Site: cross-site"}, 403},
			"from a subdomain":      {token, mine, "", []string{"Sec-Fetch-Site: same-site"}, 403},
			"an older browser":      {token, mine, "", []string{"Origin: https://evil.test"}, 403},
			"an opaque origin":      {token, mine, "", []string{"Origin: null"}, 403},
			"the token in a query":  {"", mine, "?page_token=" + token, []string{ours}, 400},
			"another method inside": {token, mine, "?_method=GET", []string{ours}, 400},
		} {
			form := maps.Clone(good)
			form.Set("page_token", c.token)
			if got := b.send(path+c.query, form, c.cookie, c.headers...); got.status != c.status || !got.isPage() || got.to() != "" || len(got.header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s, %s: status %d to %q, want %d: %s", path, name, got.status, got.to(), c.status, got.raw)
			}
		}
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if got := b.visit(method, path, good); got.status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status %d", method, path, got.status)
			}
		}
	}
	// What was refused has used nothing up.
	b.led(b.send("/login/code", forms["/login/code"], mine, ours)).wantCode(http.StatusSeeOther)
}

// What browsers get while somebody signs in. That they are bound to the host is
// looked at in every answer of every test; see house.plainly.
func TestCookiesOfASignIn(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.second(false).shop(), h.browser()
	sent := b.authorize(wanted(a)).want(http.StatusFound)
	page := b.visit(http.MethodGet, sent.to(), nil).want(http.StatusOK)
	back := b.submit(page, "/login", "email=ana@acme.test", "password="+plain)
	back.wantCode(http.StatusSeeOther)
	set := 0
	for _, r := range []*reply{sent, page, back} {
		for _, raw := range r.header.Values("Set-Cookie") {
			set++
			c, err := http.ParseSetCookie(raw)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Value) < 43 {
				t.Errorf("the cookie %s can be guessed: %q", c.Name, c.Value)
			}
		}
	}
	if set != 3 {
		t.Errorf("%d cookies were set, want the browser's, its sessions' and what it is known by", set)
	}
}

// Two people sign in to two apps in two tabs of one browser, a step here and a
// step there: each tab stays with its person, its app and its own code. The
// cookies of this and every other answer are looked at by house.plainly.
//
func TestTwoTabsOfABrowserDoNotMix(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		h.enrolPhone()
		ben := h.enrolled("ben@acme.test", "+4915112345679")
		h.withPassword("ben@acme.test", plain)
		shop, other, b := h.shop(), h.shop(func(in *api.NewApp) { name := "Other"; in.Name = &name }), h.browser()

		one, two := b.signInPage(wanted(shop, "state=one")), b.signInPage(wanted(other, "state=two"))
		one = b.next(b.submit(one, "/login", "email=ana@acme.test", "password="+plain))
		two = b.next(b.submit(two, "/login", "email=ben@acme.test", "password="+plain))
		codes := map[string]string{"ana": h.sentCode(), "ben": h.code(h.call("POST", h.challenge(ben)).want(201))}
		if codes["ana"] != codes["ben"] {
			one = b.at(b.submit(one, "/login/code", "code="+codes["ben"]), "/login/code")
		}
		keys := h.keysAt("/.well-known/jwks.json")
		for _, tab := range []struct {
			page        *reply
			app         api.App
			state, user string
			code        string
		}{{one, shop, "one", h.user, codes["ana"]}, {two, other, "two", ben, codes["ben"]}} {
			back := b.submit(tab.page, "/login/code", "code="+tab.code).wantBack(http.StatusSeeOther)
			got := h.as("").call("POST", "/token-srv/token", "grant_type=authorization_code", "client_id="+tab.app.ID, "redirect_uri="+appBack,
				"code="+back.Get("code"), "code_verifier="+verifier).want(http.StatusOK)
			if claims := claimsOf(t, keys, got.text("id_token")); back.Get("state") != tab.state || claims["sub"] != tab.user || claims["aud"] != tab.app.ID {
				t.Errorf("the tab of %s goes back with %q and %v", tab.user, back.Get("state"), claims)
			}
		}
	})
}

// Whoever is gone, or may not sign in any more, does not come to the end of a
// sign-in that has begun.
// Covers R-040 for sign-ins under way.
func TestASignInEndsWithWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]func(h *house, a api.App){
		"the user": func(h *house, _ api.App) {
			h.call("PUT", "/api/v2/org/"+h.org+"/users/"+h.user, "active=false").want(200)
		},
		"the app": func(h *house, a api.App) {
			h.call("PUT", "/api/v2/org/"+h.org+"/apps/"+a.ID, "active=false").want(200)
		},
		"the organization": func(h *house, _ api.App) {
			h.call("DELETE", "/api/v2/organizations/"+h.org).want(200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, embedded(t)).passwords()
			h.withPassword("ana@acme.test", plain)
			a, in, b := h.second(false).shop(), h.browser(), h.browser()
			in.submit(in.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain).wantCode(http.StatusSeeOther)
			h.second(true).enrolPhone()
			first := b.fill(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain)
			second := b.next(b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain))
			code := h.sentCode()
			gone(h, a)
			for step, r := range map[string]*reply{
				"the password":         b.visit(http.MethodPost, "/login", first),
				"the code":             b.submit(second, "/login/code", "code="+code),
				"who was signed in":    in.authorize(wanted(a)),
				"who was, and no page": in.authorize(wanted(a, "prompt=none")),
			} {
				if strings.Contains(r.to(), "code=") || r.status >= 500 {
					t.Errorf("%s: status %d, to %s", step, r.status, r.to())
				}
			}
		})
	}
}

// What a sign-in can end in, beside a code.
func TestSignInsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a := h.second(false).shop()
	here := h.signedIn(a)
	tokens := h.as("").call("POST", "/token-srv/token", "grant_type=authorization_code", "client_id="+a.ID, "redirect_uri="+appBack,
		"code="+here.authorize(wanted(a)).wantCode(http.StatusFound).Get("code"), "code_verifier="+verifier).want(200)

	// The app expects who is signed in; another browser's user is asked first,
	// and not at all without a page.
	hint := "id_token_hint=" + tokens.text("id_token")
	here.authorize(wanted(a, hint, "prompt=none")).wantCode(http.StatusFound)
	ben := h.newUser("ben@acme.test", "+4915112345679")
	h.withPassword("ben@acme.test", plain)
	elsewhere := h.browser()
	elsewhere.submit(elsewhere.signInPage(wanted(a)), "/login", "email=ben@acme.test", "password="+plain).wantCode(http.StatusSeeOther)
	if q := elsewhere.authorize(wanted(a, hint, "prompt=none")).wantBack(http.StatusFound); q.Get("error") != "login_required" {
		t.Errorf("another user than the app expects: %v", q)
	}
	if r := elsewhere.submit(elsewhere.signInPage(wanted(a, hint)), "/login", "email=ben@acme.test", "password="+plain); r.status != 403 || r.to() != "" {
		t.Errorf("another user than the app expects has signed in: status %d, to %s", r.status, r.to())
	}

	h.call("POST", "/api/v2/org/"+h.org+"/users/"+ben+"/password/force-change").want(200)
	b := h.browser()
	if r := b.next(b.submit(b.signInPage(wanted(a)), "/login", "email=ben@acme.test", "password="+plain)); !strings.Contains(r.raw, "/login/renew") {
		t.Errorf("a password that must change: %s", r.raw)
	}

	h.second(true).enrolPhone()
	only := h.shop(func(in *api.NewApp) { methods := []string{"password"}; in.Methods = &methods })
	b = h.browser()
	if r := b.submit(b.signInPage(wanted(only)), "/login", "email=ana@acme.test", "password="+plain); strings.Contains(r.to(), "code=") || r.status == http.StatusSeeOther && !strings.HasPrefix(r.to(), "/login?") {
		t.Errorf("the app does not allow the user's second factor: status %d, to %s", r.status, r.to())
	}

	b = h.browser()
	page := b.next(b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain))
	code := h.sentCode()
	for range 5 {
		page = b.next(b.submit(page, "/login/code", "code="+other(code)))
	}
	if r := b.submit(page, "/login/code", "code="+code); strings.Contains(r.to(), "code=") {
		t.Errorf("a right code after five wrong ones: status %d, to %s", r.status, r.to())
	}
}
