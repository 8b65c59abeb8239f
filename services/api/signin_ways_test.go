package api_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// signedIn brings a browser of the house's user to a session of one factor.
func (h *house) signedIn(a api.App) *browser {
	h.t.Helper()
	b := h.browser()
	b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain).wantCode(http.StatusSeeOther)
	return b
}

// enrolPhone gives the house's user a second factor.
func (h *house) enrolPhone() {
	h.t.Helper()
	started := h.call("POST", h.enrollment(h.user), "method=sms").want(201)
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+h.code(started)).want(200).wantSuccess(true)
}

// sentCode is a code that the user's phone gets for a login.
func (h *house) sentCode() string {
	h.t.Helper()
	return h.code(h.call("POST", h.challenge(h.user)).want(201))
}

// A user with a second factor is asked for it on the next page, and the session
// has both from then on. One who was signed in before it was enrolled is asked
// for it alone, and nowhere gets by without.
// Covers R-036 for browsers.
//
func TestASecondFactorIsAskedForInTheBrowser(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a := h.second(false).shop()
		old := h.signedIn(a)
		before := old.cookie("cs_sessions")
		if q := old.authorize(wanted(a, "acr_values=aal2")).wantBack(http.StatusFound); q.Get("error") != "unmet_authentication_requirements" {
			t.Errorf("two factors of somebody with one: %v", q)
		}
		h.second(true).enrolPhone()

		b := h.browser()
		page := b.next(b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain))
		if !strings.Contains(page.raw, `action="/login/code"`) || !strings.Contains(page.raw, `action="/login/send"`) || strings.Contains(page.raw, "ana@acme.test") {
			t.Fatalf("the second page: %s", page.raw)
		}
		if said := b.next(b.submit(page, "/login/code", "code=12 34")); !strings.Contains(said.raw, "six or eight digits") {
			t.Errorf("no code: %s", said.raw)
		}
		if said := b.next(b.submit(page, "/login/send")); !strings.Contains(said.raw, "on its way") {
			t.Errorf("a code was asked for: %s", said.raw)
		}
		code := h.sentCode()
		if said := b.next(b.submit(page, "/login/code", "code="+other(code))); !strings.Contains(said.raw, "This code is wrong") {
			t.Errorf("a wrong code: %s", said.raw)
		}
		b.submit(page, "/login/code", "code="+code).wantCode(http.StatusSeeOther)
		b.authorize(wanted(a, "acr_values=aal2", "prompt=none")).wantCode(http.StatusFound)

		if q := old.authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("error") != "login_required" {
			t.Errorf("one factor of two, without a page: %v", q)
		}
		step := old.signInPage(wanted(a))
		if !strings.Contains(step.raw, `action="/login/code"`) {
			t.Fatalf("a session with one factor of two is not asked for the other: %s", step.raw)
		}
		old.submit(step, "/login/code", "code="+h.sentCode()).wantCode(http.StatusSeeOther)
		if after := old.cookie("cs_sessions"); after == before || after == "" {
			t.Error("the session has the token that it had before the second factor")
		}
		old.authorize(wanted(a, "acr_values=aal2", "prompt=none")).wantCode(http.StatusFound)
	})
}

// A flow is one browser's, once, and what is shown to two tabs stays apart.
// Covers R-028 for flows of browsers.
func TestAFlowIsOneBrowsersAndEndsOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.second(false).shop(), h.browser()
		typed := []string{"email=ana@acme.test", "password=" + plain}

		first, second := b.signInPage(wanted(a, "state=one")), b.signInPage(wanted(a, "state=two"))
		one := b.fill(first, "/login", typed...)
		if q := b.submit(second, "/login", typed...).wantBack(http.StatusSeeOther); q.Get("state") != "two" {
			t.Errorf("the second tab goes back with %v", q)
		}
		q := b.led(b.visit(http.MethodPost, "/login", one)).wantBack(http.StatusSeeOther)
		if q.Get("state") != "one" {
			t.Errorf("the first tab goes back with %v", q)
		}
		// The flow is over: its browser may be led on once more, with another
		// code. Other browsers find nothing.
		if again := b.visit(http.MethodPost, "/login", one).wantBack(http.StatusSeeOther); again.Get("state") != "one" || again.Get("code") == q.Get("code") {
			t.Errorf("after its end a flow leads to %v, before to %v", again, q)
		}
		h.browser().visit(http.MethodGet, "/login?requestId="+one.Get("requestId"), nil).wantFault(404, "sign_in_over")

		// The page of somebody else's flow, sent by a victim's browser: login
		// CSRF. The attacker's flow is dead after it.
		attacker, victim := h.browser(), h.browser()
		page := attacker.signInPage(wanted(a))
		form := attacker.fill(page, "/login", typed...)
		victim.signInPage(wanted(a))
		victim.visit(http.MethodPost, "/login", form).wantFault(403, "page_expired")
		own := victim.fill(victim.signInPage(wanted(a)), "/login", typed...)
		own.Set("requestId", form.Get("requestId"))
		victim.visit(http.MethodPost, "/login", own).wantFault(404, "sign_in_over")
		attacker.visit(http.MethodPost, "/login", form).wantFault(404, "sign_in_over")
		h.browser().visit(http.MethodPost, "/login", form).wantFault(403, "page_expired") // without any cookie

		// Somebody else's user, where the app shows an ID token, is in the
		// rules' own test; another purpose finds nothing.
		flow := b.fill(b.signInPage(wanted(a, "prompt=login")), "/login").Get("requestId")
		h.call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+flow).want(422)
	})
}

// Of 32 that finish one flow at once, at two processes, one gets a code.
// Covers R-028 for flows that many finish at once.
func TestAFlowGivesOneCode(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.shared(t)
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.second(false).shop(), h.browser()
		there := &browser{open(t, p), b.jar}
		form := b.fill(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain)
		codes, busy := 0, 0
		for _, r := range together(func(i int) *reply {
			at := []*browser{b, there}[i%2]
			return at.visit(http.MethodPost, "/login", form)
		}) {
			switch {
			case strings.HasPrefix(r.to(), appBack+"?"):
				codes++
				r.wantCode(http.StatusSeeOther)
			case r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests || strings.HasPrefix(r.to(), "/login?"):
				busy++
			case r.to() != "":
				t.Errorf("somebody is sent to %s", r.to())
			}
		}
		if codes > 1 || codes == 0 && busy < 32 {
			t.Errorf("%d codes of one flow, %d may try again", codes, busy)
		}
		t.Logf("%d codes, %d may try again", codes, busy)
	})
}

// The gateway's clients start with names of their own and read others back.
func TestAGatewayStartBringsBackWhatItsClientsRead(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a := h.second(false).shop(func(in *api.NewApp) { profile := "gateway"; in.Profile = &profile })
	for _, path := range []string{"/", "/a/acme/"} {
		for name, more := range map[string]string{"an organization": "organization=" + h.org, "an address": "email=ana@acme.test", "neither": "locale=fr"} {
			q := wanted(a, "response_type", "state", "nonce", "client_state=mine")
			key, value, _ := strings.Cut(more, "=")
			q.Set(key, value)
			b := h.browser()
			page := b.visit(http.MethodGet, b.visit(http.MethodGet, path+"?"+q.Encode(), nil).want(http.StatusFound).to(), nil).want(http.StatusOK)
			if name == "neither" {
				page = b.next(b.submit(page, "/login/address", "email=ana@acme.test"))
			}
			if key == "locale" && !strings.Contains(page.raw, "Mot de passe") || key == "email" && !strings.Contains(page.raw, `value="ana@acme.test"`) {
				t.Errorf("%s with %s: %s", path, name, page.raw)
			}
			back := b.submit(page, "/login", "email=ana@acme.test", "password="+plain).wantBack(http.StatusSeeOther)
			if names := slices.Sorted(maps.Keys(back)); !slices.Equal(names, []string{"authorization_id", "code", "iss", "organization_domain", "request_id", "state"}) ||
				back.Get("state") != "mine" || back.Get("organization_domain") != h.org || !strings.HasPrefix(back.Get("request_id"), "authorization-request_") {
				t.Errorf("%s with %s: the way back has %v", path, name, back)
			}
		}
	}
	if r := h.browser().visit(http.MethodGet, "/", nil).want(http.StatusOK); strings.Contains(r.raw, "<form") {
		t.Errorf("the root: %s", r.raw)
	}
}

// Addresses that are nobody's, passwords that are wrong and users without one
// are told the same, and pauses are told in words.
// Covers R-063 for the sign-in page.
func TestTheSignInPageTellsNobodyWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	h.newUser("ben@acme.test", "+4915112345679")
	a := h.shop()
	for _, email := range []string{"ana@acme.test", "ben@acme.test", "nobody@acme.test"} {
		b := h.browser()
		page, said := b.signInPage(wanted(a)), ""
		for range 5 {
			r := b.next(b.submit(page, "/login", "email="+email, "password=wrong password"))
			if !strings.Contains(r.raw, "The address or the password is wrong.") && said == "" {
				said = r.raw
			}
		}
		r := b.next(b.submit(page, "/login", "email="+email, "password="+plain))
		if said != "" || !strings.Contains(r.raw, "There were too many wrong tries; nothing was compared. Try again in a minute.") {
			t.Errorf("%s: %s%s", email, said, r.raw)
		}
	}
}
