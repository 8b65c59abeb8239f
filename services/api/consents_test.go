package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/session"
)

// anothers makes an app that is not the organization's own.
func (h *house) anothers() api.App {
	h.t.Helper()
	return h.shop(func(in *api.NewApp) {
		no, name := false, "Third Party Ltd"
		in.FirstParty, in.Name = &no, &name
	})
}

// answers says whether the app of a flow may have what it asks for.
func (b *browser) answers(at, allow string) *reply {
	b.h.t.Helper()
	to, err := url.Parse(at)
	if err != nil || !strings.HasPrefix(at, "/login?") {
		b.h.t.Fatalf("the browser is sent to %q, not to a page: %v", at, err)
	}
	// Each page of a browser has the same token.
	page := b.signInPage(wanted(b.h.shop(), "prompt=login"))
	return b.led(b.visit(http.MethodPost, "/login/consent", url.Values{
		"requestId": {to.Query().Get("requestId")}, "page_token": {b.fill(page, "/login").Get("page_token")}, "allow": {allow},
	}))
}

// redeemed exchanges the code of a way back for a refresh token.
func (h *house) redeemed(a api.App, q url.Values) string {
	h.t.Helper()
	return h.as("").call("POST", tokenPath, "grant_type=authorization_code", "client_id="+a.ID, "code="+q.Get("code"), "redirect_uri="+appBack,
		"code_verifier="+verifier).want(200).text("refresh_token")
}

func (h *house) refreshes(a api.App, token string, status int) *reply {
	h.t.Helper()
	return h.as("").call("POST", tokenPath, "grant_type=refresh_token", "client_id="+a.ID, "refresh_token="+token).want(status)
}

func (h *house) consents(rest string) string {
	return "/api/v2/org/" + h.org + "/users/" + h.user + "/consents" + rest
}

// A person is asked whether an app of others may have what it wants, once for
// each scope; and what was allowed is taken back with all that came of it.
//
func TestAnAppOfOthersNeedsConsent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.second(false).anothers(), h.browser()
		wantError := func(what string, r *reply, status int, code string) {
			t.Helper()
			if q := r.wantBack(status); q.Get("error") != code || q.Get("state") != "st&te=1 " || q.Has("code") {
				t.Errorf("%s: the app hears %v, want %s", what, q, code)
			}
		}
		wantError("nobody signed in", b.authorize(wanted(a, "prompt=none")), http.StatusFound, "login_required")
		sent := b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain).want(http.StatusSeeOther)
		tokens := h.redeemed(a, b.answers(sent.to(), "yes").wantCode(http.StatusSeeOther))

		b.authorize(wanted(a)).wantCode(http.StatusFound)
		b.authorize(wanted(a, "prompt=none", "scope=openid")).wantCode(http.StatusFound)
		more := wanted(a, "scope=openid profile")
		wantError("more than was allowed", b.authorize(wanted(a, "prompt=none", "scope=openid profile")), http.StatusFound, "consent_required")
		wantError("a refusal", b.answers(b.authorize(more).want(http.StatusFound).to(), "no"), http.StatusSeeOther, "access_denied")
		wantError("after a refusal", b.authorize(wanted(a, "prompt=none", "scope=openid profile")), http.StatusFound, "consent_required")
		b.answers(b.authorize(more).want(http.StatusFound).to(), "yes").wantCode(http.StatusSeeOther)
		b.authorize(wanted(a, "prompt=none", "scope=openid email profile")).wantCode(http.StatusFound)
		b.answers(b.authorize(wanted(a, "prompt=consent")).want(http.StatusFound).to(), "yes").wantCode(http.StatusSeeOther)

		listed := h.call("GET", h.consents("")).want(200)
		given := listed.body["data"].([]any)[0].(map[string]any)
		if listed.body["total"] != 1.0 || given["client_id"] != a.ID || given["client_name"] != "Third Party Ltd" || given["scope"] != "email openid profile" {
			t.Errorf("listed: %s", listed.raw)
		}
		own := h.shop()
		kept := h.redeemed(own, b.authorize(wanted(own)).wantCode(http.StatusFound))
		open := b.authorize(wanted(a, "prompt=consent")).want(http.StatusFound)
		tokens = h.refreshes(a, tokens, 200).text("refresh_token")
		h.call("DELETE", h.consents("/"+a.ID)).want(200)
		if r := h.refreshes(a, tokens, 400); r.body["error"] != "invalid_grant" {
			t.Errorf("after it was taken back: %s", r.raw)
		}
		h.refreshes(own, kept, 200)
		wantError("after it was taken back", b.authorize(wanted(a, "prompt=none")), http.StatusFound, "consent_required")
		h.call("DELETE", h.consents("/"+a.ID)).wantFault(404, "consent_not_found")
		h.call("DELETE", h.consents("/nobody")).wantFault(404, "consent_not_found")
		for action, n := range map[string]float64{"consent.given": 3, "consent.revoked": 1} {
			if told := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action="+action, "user="+h.user).want(200); told.body["total"] != n {
				t.Errorf("%s: %s", action, told.raw)
			}
		}
		// A page that was left open speaks for nobody who has signed out.
		b.keep(session.Set{})
		b.answers(open.to(), "yes").wantFault(404, "sign_in_over")
	})
}

// Somebody is asked for consent in a session of one factor and enrols another
// one elsewhere, while the page stands open. The answer is kept, and the new
// factor is asked for before the app gets a code.
// Covers R-036 for a page of consent that was open when a factor was enrolled.
func TestConsentIsNoWayAroundANewFactor(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a := h.second(false).anothers()
	b := h.signedIn(h.shop())
	page := b.signInPage(wanted(a))
	h.second(true).enrolPhone()
	sent := b.submit(page, "/login/consent", "allow=yes").want(http.StatusSeeOther)
	page = b.at(sent.wantTo("/login"), "/login/code")
	b.submit(page, "/login/code", "code="+h.sentCode()).wantCode(http.StatusSeeOther)
}
