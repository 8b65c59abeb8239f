package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/session"
)

// Whose sign-in is too old for a change signs in again from there, and can make
// it then. Nobody needs an app for that.
func TestAnOldSignInIsMadeFresh(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		s.call("PUT", "/api/v2/org/"+s.org+"/totp-connection", "active=false").want(http.StatusOK)
		s.withPassword("ana@acme.test", plain)
		s.now = time.Now().Add(-6 * time.Minute)
		me := s.signIn(s.browser(), s.app(), s.user)
		s.now = time.Time{}
		refused := s.changeOn(me.browser, plain+"-own").wantFault(http.StatusForbidden, session.ErrReauth.Code)
		begun := me.visit(http.MethodPost, s.account()+"/sign-in", fieldsOfPage(refused)).wantTo("/login")
		if me.cookie("cs_browser") == "" {
			t.Fatal("the browser has nothing that the sign-in is bound to")
		}
		page := me.visit(http.MethodGet, begun.header.Get("Location"), nil).want(http.StatusOK)
		done := me.submit(page, "/login", "email=ana@acme.test", "password="+plain).want(http.StatusSeeOther)
		if to := done.header.Get("Location"); strings.HasPrefix(to, "/login") {
			done = me.visit(http.MethodGet, to, nil)
		}
		done.wantTo(s.account())
		s.changeOn(me.browser, plain+"-own").wantTo(s.account())
	})
}

// Without a realm, a browser sees where it is signed in, and one that is not
// signed in gets to its organization by the address, whoever has an account
// there.
func TestAnAccountIsFoundByItsAddress(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		s.call("PUT", "/api/v2/organizations/"+s.org, "email_domains[]=acme.test").want(http.StatusOK)
		b := s.browser()
		page := b.visit(http.MethodGet, "/account", nil).want(http.StatusOK)
		for _, address := range []string{"ana@acme.test", "nobody@ACME.test"} {
			form := fieldsOfPage(page)
			form.Set("email", address)
			begun := b.visit(http.MethodPost, "/account", form).wantTo("/login")
			if got := b.visit(http.MethodGet, begun.header.Get("Location"), nil).want(http.StatusOK); !strings.Contains(got.raw, "Acme Test Ltd") {
				t.Errorf("%s leads to %s", address, got.raw)
			}
		}
		form := fieldsOfPage(page)
		for _, address := range []string{"ana@elsewhere.test", "ana", "@", "ana@acme.test@evil.test"} {
			form.Set("email", address)
			none := b.visit(http.MethodPost, "/account", form).wantTo("/account?said=none")
			if got := b.visit(http.MethodGet, none.header.Get("Location"), nil).want(http.StatusOK); !strings.Contains(got.raw, "No organization is found") {
				t.Errorf("%s: %s", address, got.raw)
			}
		}
		s.browser().visit(http.MethodPost, "/account", url.Values{"email": {"ana@acme.test"}}).wantFault(http.StatusForbidden, "page_expired")
		me := s.signIn(s.browser(), s.app(), s.user)
		if got := me.visit(http.MethodGet, "/account", nil).want(http.StatusOK); !strings.Contains(got.raw, `href="`+s.account()+`"`) {
			t.Errorf("a browser that is signed in: %s", got.raw)
		}
		// A domain that two claim tells nobody which is meant.
		s.call("POST", "/api/v2/organizations", "name=Other Ltd", "email_domains[]=acme.test").want(http.StatusCreated)
		form.Set("email", "ana@acme.test")
		b.visit(http.MethodPost, "/account", form).wantTo("/account?said=none")
	})
}
