package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// allows signs the user in to an app of others, allows it what it asks for, and
// returns its refresh token.
func (h *house) allows(b *browser, a api.App) string {
	h.t.Helper()
	sent := b.submit(b.signInPage(wanted(a, "prompt=login")), "/login", "email=ana@acme.test", "password="+plain).want(http.StatusSeeOther)
	return h.redeemed(a, b.answers(sent.to(), "yes").wantCode(http.StatusSeeOther))
}

// People see what they have allowed apps of others, and take it back with all
// that came of it, and nothing else: not from another app, and not from
// anybody else.
// Covers R-151 for consents on the account page.
func TestPeopleTakeBackTheirConsents(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		s.second(false).withPassword("ana@acme.test", plain)
		a, b := s.anothers(), s.browser()
		other := s.shop(func(in *api.NewApp) {
			no, name := false, "Kiosk <b>"
			in.FirstParty, in.Name = &no, &name
		})
		own := s.app()
		begun := s.signIn(s.browser(), own, s.user)
		if page := s.page(begun.browser).want(http.StatusOK); strings.Contains(page.raw, "/consents") {
			t.Errorf("nothing was allowed: %s", page.raw)
		}
		tokens, kept := s.allows(b, a), s.allows(b, other)
		page := s.page(begun.browser).want(http.StatusOK)
		for _, text := range []string{`value="` + a.ID + `"`, "Third Party Ltd", "Take back from Third Party Ltd", "Kiosk &lt;b&gt;", "your e-mail address", "Allowed since"} {
			if !strings.Contains(page.raw, text) {
				t.Errorf("the page does not say %q: %s", text, page.raw)
			}
		}
		form := url.Values{"app": {a.ID}}
		begun.visit(http.MethodPost, s.account()+"/consents", form).wantFault(http.StatusForbidden, "page_expired")
		ben := s.signIn(s.browser(), own, s.newUser("ben@acme.test", "+4915112345679"))
		s.does(ben.browser, "/consents", "app="+a.ID).wantTo(s.account())
		s.does(begun.browser, "/consents", "app=nobody").wantTo(s.account())
		tokens = s.house.refreshes(a, tokens, 200).text("refresh_token")

		for range 2 { // a second click finds nothing to do
			s.does(begun.browser, "/consents", "app="+a.ID).wantTo(s.account())
		}
		s.house.refreshes(a, tokens, 400)
		s.house.refreshes(other, kept, 200)
		if page = s.page(begun.browser).want(http.StatusOK); strings.Contains(page.raw, a.ID) || !strings.Contains(page.raw, other.ID) {
			t.Errorf("after it: %s", page.raw)
		}
		told := s.call("GET", "/api/v2/org/"+s.org+"/activity", "action=consent.revoked", "user="+s.user).want(200)
		if told.body["total"] != 1.0 || !strings.Contains(told.raw, `"user"`) {
			t.Errorf("the record: %s", told.raw)
		}
	})
}
