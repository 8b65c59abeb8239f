package api_test

import (
	"net/http"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
)

// Whoever has somebody else open a link of theirs, and press its button, gets
// nothing of that person and gives them nothing unseen: the page names the
// account that the link was sent to, the click confirms the address of that
// account alone, and no session begins, ends or changes. So it is with links of
// every purpose, whether an app or a sign-in here has asked for them, and in a
// browser that is signed in and has a sign-in of its own under way.
//
func TestALinkIsBoundToItsAccountAndToNoSession(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		h.withPassword("ana@acme.test", plain)
		a := h.second(false).simple()
		ben := h.newUser("ben@acme.test", "+4915112345679")
		victim := h.signedIn(a)
		victim.visit(http.MethodGet, victim.authorize(wanted(a, "prompt=login")).to(), nil).want(http.StatusOK)
		db := p.openSQL(t)
		user := func(id string) string { return h.call("GET", "/api/v2/org/"+h.org+"/users/"+id).want(200).raw }
		sessions := func() []row { return read(t, db, "sessions", `SELECT * FROM sessions`) }
		before, ana, mine := sessions(), user(h.user), victim.cookie("cs_sessions")

		byApp := func(path string) string {
			h.call("POST", path, "user_email=ben@acme.test", "redirect_uri="+appURL, "org_domain="+h.org).want(201)
			return h.linkTo("ben@acme.test")
		}
		bySignIn := func(path string) string {
			b := h.browser()
			b.next(b.step(b.signInPage(wanted(a)), path, "email=ben@acme.test"))
			return h.linkTo("ben@acme.test")
		}
		opened := func(what, link, leads string) {
			t.Helper()
			page := victim.open(link).want(http.StatusOK)
			for _, text := range []string{secret.MaskEmail("ben@acme.test"), "Acme Test Ltd", "minute ago", "If you did not ask for this, close the page."} {
				if !strings.Contains(page.raw, text) {
					t.Errorf("%s: the page does not say %q: %s", what, text, page.raw)
				}
			}
			if to := victim.click(page).want(http.StatusSeeOther).to(); !strings.HasPrefix(to, leads) {
				t.Errorf("%s leads to %s, want %s", what, to, leads)
			}
			if got := victim.cookie("cs_sessions"); got != mine || user(h.user) != ana {
				t.Errorf("%s: the browser has the sessions %q and had %q; its user is %s and was %s", what, got, mine, user(h.user), ana)
			}
			wantUnchanged(t, what, before, sessions())
		}
		opened("an app's link to sign in", byApp("/api/v2/magic-link-challenge"), appURL)
		opened("a sign-in's link to sign in", bySignIn("/login/link"), "/link/code")
		opened("an app's link to a first password", byApp("/api/v2/password-request"), appURL)
		opened("a sign-in's link to a first password", bySignIn("/login/forgot"), "/password")
		h.withPassword("ben@acme.test", chosen)
		opened("an app's link to another password", byApp("/api/v2/password-request"), appURL)
		opened("a sign-in's link to another password", bySignIn("/login/forgot"), "/password")
		if !strings.Contains(user(ben), `"email_verified":true`) {
			t.Errorf("the address that all of them went to is not confirmed: %s", user(ben))
		}
		victim.authorize(wanted(a, "prompt=none")).wantCode(http.StatusFound)
	})
}
