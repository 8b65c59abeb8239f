package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const begins = "https://shop.example.test/login"

// painted gives the house's organization a colour.
func (h *house) painted() *house {
	h.t.Helper()
	h.call("PUT", "/api/v2/organizations/"+h.org, "color=#336699").want(http.StatusOK)
	return h
}

// wantPlace checks where a page leads to, and whether it looks like the house's
// organization.
func (r *reply) wantPlace(what, link string, looks bool) {
	r.t.Helper()
	if got := strings.Contains(r.raw, `fill="#336699"`) && strings.Contains(r.raw, "Acme Test Ltd"); got != looks || !looks && strings.Contains(r.raw, "Acme") {
		r.t.Errorf("%s: the organization's look: %v, want %v: %s", what, got, looks, r.raw)
	}
	if got := strings.Contains(r.raw, `<a class="button" href="`+link+`">Start again</a>`); got != (link != "") || got == strings.Contains(r.raw, "ack to the app") {
		r.t.Errorf("%s: it does not lead to %q alone: %s", what, link, r.raw)
	}
}

// A sign-in that is over leads to where its app begins sign-ins, if it has said
// so. The page looks like the organization's in the browser of the sign-in:
// what a stranger sends looks like nobody's.
// Covers R-158 for the link of a sign-in that is over.
func TestASignInThatIsOverLeadsToWhereItBegan(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords().painted()
		a, b, stranger := h.shop(), h.browser(), h.browser()
		for _, refused := range []string{"http://shop.example.test/login", "javascript:alert(1)", "com.example.shop:/login", "https://shop.example.test/login#top"} {
			h.call("PUT", h.apps("/"+a.ID), "initiate_login_uri="+refused).wantFault(http.StatusUnprocessableEntity, "invalid_parameter")
		}
		page := b.signInPage(wanted(a))
		form := b.fill(page, "/login", "email=ana@acme.test", "password="+plain)
		at := "/login?requestId=" + form.Get("requestId")
		stranger.visit(http.MethodGet, at, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("an app that has said nothing", "", false)
		b.visit(http.MethodGet, at, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("its own browser", "", true)

		if got := h.call("PUT", h.apps("/"+a.ID), "initiate_login_uri="+begins).want(http.StatusOK); got.body["initiate_login_uri"] != begins {
			t.Fatalf("the app is %s", got.raw)
		}
		b.visit(http.MethodGet, at, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("its own browser", begins, true)
		b.visit(http.MethodPost, "/login", form).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("a form", begins, true)
		stranger.visit(http.MethodGet, at, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("another browser", begins, false)
		b.visit(http.MethodGet, "/login?requestId="+strings.Repeat("A", 43), nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("no sign-in", "", false)
		b.authorize(wanted(a, "redirect_uri=https://evil.test/cb")).wantFault(http.StatusBadRequest, "redirect_uri_not_valid").wantLook("an address of somebody else", false)

		h.call("PUT", h.apps("/"+a.ID), "active=false").want(http.StatusOK)
		b.visit(http.MethodGet, at, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("an app that is off", "", false)
	})
}

func (r *reply) wantLook(what string, looks bool) *reply {
	r.t.Helper()
	if got := strings.Contains(r.raw, `fill="#336699"`); got != looks {
		r.t.Errorf("%s: the organization's look: %v, want %v: %s", what, got, looks, r.raw)
	}
	return r
}

// Whoever signs in to their account begins anew there: no app has sent them.
func TestASignInToAnAccountThatIsOverLeadsThere(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords().painted()
	h.call("PUT", "/api/v2/organizations/"+h.org, "email_domains[]=acme.test").want(http.StatusOK)
	b := h.browser()
	form := fieldsOfPage(b.visit(http.MethodGet, "/account", nil).want(http.StatusOK))
	form.Set("email", "ana@acme.test")
	begun := b.visit(http.MethodPost, "/account", form).wantTo("/login").header.Get("Location")
	b.visit(http.MethodGet, begun, nil).want(http.StatusOK)
	h.browser().visit(http.MethodGet, begun, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("another browser", "/account", false)
	b.visit(http.MethodGet, begun, nil).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("its own browser", "/account", true)
}

// So does a link in a mail whose sign-in is over.
func TestALinkOfASignInThatIsOverLeadsToWhereItBegan(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords().painted()
	h.withPassword("ana@acme.test", plain)
	a, b := h.simple(), h.browser()
	h.call("PUT", h.apps("/"+a.ID), "initiate_login_uri="+begins).want(http.StatusOK)
	h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(http.StatusOK)
	link, page := h.linked(b, a)
	b.submit(page, "/login", "email=ana@acme.test", "password="+plain).wantCode(http.StatusSeeOther)
	b.open(link).wantFault(http.StatusNotFound, "sign_in_over").wantPlace("a link of a sign-in that is finished", begins, true)
}

// Pages that say how something went look like the organization that it was with,
// in the browser that comes from there, and like nobody's in any other.
func TestPagesAtTheEndLookLikeTheOrganization(t *testing.T) {
	t.Parallel()
	h := newStage(t, start(t, embedded(t)).passwords())
	h.painted().withPassword("ana@acme.test", plain)
	a := h.app()
	ends := func(what, page string, b *browser) {
		t.Helper()
		b.visit(http.MethodGet, page, nil).want(http.StatusOK).wantLook(what, true)
		if got := b.visit(http.MethodGet, page, nil); !strings.Contains(got.raw, "Acme Test Ltd") {
			t.Errorf("%s: nobody's name: %s", what, got.raw)
		}
	}
	h.browser().visit(http.MethodGet, "/session/signed-out", nil).want(http.StatusOK).wantLook("signed out of nothing", false)
	h.browser().visit(http.MethodGet, "/password/done?org="+h.org, nil).want(http.StatusOK).wantLook("no password set", false)

	me := h.signIn(h.browser(), a, h.user)
	form := fieldsOfPage(me.visit(http.MethodGet, "/session/sign-out", nil).want(http.StatusOK))
	me.visit(http.MethodPost, "/session/sign-out", form).wantTo("/session/signed-out")
	ends("signed out", "/session/signed-out", me.browser)

	b, other := h.browser(), h.browser()
	shop := h.simple()
	b.next(b.step(b.signInPage(wanted(shop)), "/login/forgot", "email=ana@acme.test"))
	other.click(other.open(h.linkTo("ana@acme.test"))).wantTo("/password")
	page := other.visit(http.MethodGet, "/password", nil).want(http.StatusOK)
	other.submit(page, "/password", "password="+chosen).wantTo("/password/done")
	ends("a password is set", "/password/done", other)
	if said := other.visit(http.MethodGet, "/password/done", nil); !strings.Contains(said.raw, `<a href="/account">`) {
		t.Errorf("it leads nowhere: %s", said.raw)
	}

	h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(http.StatusOK)
	link, _ := h.linked(b, shop)
	elsewhere := h.browser()
	elsewhere.click(elsewhere.open(link)).wantTo("/link/code")
	ends("the code for the other browser", "/link/code", elsewhere)
}

// A fault of the account page looks like the organization's for whoever is
// signed in there: the realm in the path is no proof of it.
func TestFaultsOfAnAccountLookLikeItsOrganization(t *testing.T) {
	t.Parallel()
	h := newStage(t, start(t, embedded(t)).passwords())
	h.painted()
	me := h.signIn(h.browser(), h.app(), h.user)
	me.visit(http.MethodPost, h.account()+"/password", url.Values{"password": {chosen}}).wantFault(http.StatusForbidden, "page_expired").wantLook("a session", true)
	h.browser().visit(http.MethodGet, h.account(), nil).want(http.StatusUnauthorized).wantLook("no session", false)
}
