package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// What a person's browser meets between an app and its way back.

const (
	appBack  = "https://app.example.test/back"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-verifier"
)

// challengeOf is the code challenge of a verifier (RFC 7636 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// shop makes a public app of the house's organization.
func (h *house) shop(change ...func(*api.NewApp)) api.App {
	h.t.Helper()
	in := api.NewApp{}
	name, back := "Shop", []string{appBack, "http://localhost:3000/back"}
	in.Name, in.RedirectURIs = &name, &back
	for _, c := range change {
		c(&in)
	}
	made, err := h.service.AddApp(h.t.Context(), "acme", h.org, in)
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

// second switches second factors on or off. Where they are on, who has none
// enrols one at the sign-in.
func (h *house) second(on bool) *house {
	h.t.Helper()
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "active="+strconv.FormatBool(on)).want(200)
	return h
}

// wanted is an authorization request that is good.
func wanted(a api.App, change ...string) url.Values {
	q := url.Values{
		"client_id": {a.ID}, "redirect_uri": {appBack}, "response_type": {"code"}, "scope": {"openid email"}, "state": {"st&te=1 "},
		"nonce": {"n-1"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	for _, c := range change {
		name, value, given := strings.Cut(c, "=")
		q[name] = nil
		if given {
			q[name] = []string{value}
		}
	}
	return q
}

// authorize sends the browser to the authorization endpoint.
func (b *browser) authorize(q url.Values) *reply {
	b.h.t.Helper()
	return b.visit(http.MethodGet, "/authz-srv/authz?"+q.Encode(), nil)
}

// to is where an answer sends the browser.
func (r *reply) to() string { return r.header.Get("Location") }

// signInPage goes to the page that an authorization request leads to.
func (b *browser) signInPage(q url.Values) *reply {
	b.h.t.Helper()
	sent := b.authorize(q).want(http.StatusFound)
	if !strings.HasPrefix(sent.to(), "/login?") {
		b.h.t.Fatalf("the browser is sent to %s, not to the sign-in page", sent.to())
	}
	return b.visit(http.MethodGet, sent.to(), nil).want(http.StatusOK)
}

var formField = regexp.MustCompile(`<form method="post" action="([^"]+)">|name="([^"]+)" value="([^"]*)"`)

// fill is the first form of a page whose action has this path, with what is
// hidden in it and what is typed.
func (b *browser) fill(page *reply, action string, typed ...string) url.Values {
	b.h.t.Helper()
	form, at := url.Values{}, ""
	for _, match := range formField.FindAllStringSubmatch(page.raw, -1) {
		if match[1] != "" {
			at = match[1]
		} else if at == action {
			form.Set(match[2], match[3])
		}
	}
	if len(form) == 0 {
		b.h.t.Fatalf("the page has no form to %s: %s", action, page.raw)
	}
	for _, t := range typed {
		name, value, _ := strings.Cut(t, "=")
		form.Set(name, value)
	}
	return form
}

// submit fills the form and sends it.
func (b *browser) submit(page *reply, action string, typed ...string) *reply {
	b.h.t.Helper()
	return b.led(b.visit(http.MethodPost, action, b.fill(page, action, typed...)))
}

// led goes on with an answer for whose sign-in nothing is left to do: the page
// that it leads to leads on.
func (b *browser) led(sent *reply) *reply {
	b.h.t.Helper()
	if !strings.HasPrefix(sent.to(), "/login?") {
		return sent
	}
	if on := b.visit(http.MethodGet, sent.to(), nil); on.status != http.StatusOK {
		return on
	}
	return sent
}

// next follows an answer to the page that it leads to.
func (b *browser) next(sent *reply) *reply {
	b.h.t.Helper()
	return b.visit(http.MethodGet, sent.want(http.StatusSeeOther).to(), nil).want(http.StatusOK)
}

// wantBack reads the query with which an answer sends the browser to the app.
func (r *reply) wantBack(status int) url.Values {
	r.t.Helper()
	r.want(status)
	base, query, _ := strings.Cut(r.to(), "?")
	q, err := url.ParseQuery(query)
	if err != nil || base != appBack {
		r.t.Fatalf("the browser is sent to %q, not to the app", r.to())
	}
	return q
}

// wantCode is wantBack for a code.
func (r *reply) wantCode(status int) url.Values {
	r.t.Helper()
	q := r.wantBack(status)
	if names := slices.Sorted(maps.Keys(q)); !slices.Equal(names, []string{"code", "iss", "state"}) {
		r.t.Fatalf("the way back has %v", q)
	}
	if q.Get("state") != "st&te=1 " || q.Get("iss") != "http://127.0.0.1:8080" || len(q.Get("code")) != 43 {
		r.t.Errorf("the way back has %v", q)
	}
	return q
}

// From the app to a code with a password, and once more without one.
func TestAPersonSignsInToAnApp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.second(false).shop(), h.browser()

		page := b.signInPage(wanted(a))
		if !strings.Contains(page.raw, "Acme Test Ltd") || !strings.Contains(page.raw, "Shop") {
			t.Errorf("the page does not say where one signs in: %s", page.raw)
		}
		wrong := b.next(b.submit(page, "/login", "email=ana@acme.test", "password=not this one"))
		if !strings.Contains(wrong.raw, "The address or the password is wrong.") || !strings.Contains(wrong.raw, `value="ana@acme.test"`) {
			t.Errorf("after a wrong password: %s", wrong.raw)
		}
		b.submit(wrong, "/login", "email=ana@acme.test", "password="+plain).wantCode(http.StatusSeeOther)

		b.authorize(wanted(a)).wantCode(http.StatusFound)
		if q := b.authorize(wanted(a, "prompt=none")).wantCode(http.StatusFound); q.Get("code") == "" {
			t.Error("no code for prompt=none")
		}
		if q := h.browser().authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("error") != "login_required" || q.Get("state") == "" || q.Get("iss") == "" {
			t.Errorf("nobody signed in, prompt=none: %v", q)
		}
	})
}
