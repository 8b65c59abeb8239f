package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
)

// account is the path of the page of the house's organization.
func (s *stage) account() string { return "/account/" + session.Realm(s.org, s.env) }

// page opens it.
func (s *stage) page(b *browser) *reply {
	s.t.Helper()
	return b.visit(http.MethodGet, s.account(), nil)
}

// endOn presses the button of a session on the page of a browser.
func (s *stage) endOn(b *browser, sessionID string) *reply {
	s.t.Helper()
	form := fieldsOfPage(s.page(b).want(http.StatusOK))
	form.Set("session", sessionID)
	return b.visit(http.MethodPost, s.account()+"/sessions", form)
}

// People see where they are signed in: since when, when it was used last, and
// from which network. They end any of it, with all that came of it, and nothing
// of anybody else's.
//
// Covers R-034 for a user's own sessions.
func TestPeopleSeeAndEndTheirSessions(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		app := s.app()
		s.now = time.Now().Add(-30 * time.Minute)
		old := s.signIn(s.browser(), app, s.user)
		s.now = time.Time{}
		here := s.signIn(s.browser(), app, s.user)
		ben := s.signIn(s.browser(), app, s.newUser("ben@acme.test", "+4915112345679"))
		page := s.page(here.browser).want(http.StatusOK)
		for _, want := range []string{
			`value="` + old.session.ID + `"`, `value="` + here.session.ID + `"`, old.session.CreatedAt.UTC().Format(time.RFC3339), old.session.SeenAt.UTC().Format(time.RFC3339),
			"192.0.2.0/24", "You are signed in at Acme Test Ltd (sandbox) as a•••", `href="/session/sign-out"`, "a•••@a•••.test",
		} {
			if !strings.Contains(page.raw, want) {
				t.Errorf("the page has no %s: %s", want, page.raw)
			}
		}
		for _, secret := range []string{"192.0.2.7", ben.session.ID, here.set().Token(session.Realm(s.org, s.env)).Reveal()} {
			if strings.Contains(page.raw, secret) {
				t.Errorf("the page has %s: %s", secret, page.raw)
			}
		}
		// The whole address is for whoever may change the password now.
		if got := strings.Count(page.raw, `value="ana@acme.test"`); got != 1 {
			t.Errorf("whose password is changed stands %d times: %s", got, page.raw)
		}
		if page = s.page(old.browser).want(http.StatusOK); strings.Contains(page.raw, "ana@acme.test") || !strings.Contains(page.raw, "a•••@a•••.test") {
			t.Errorf("a browser that is found open tells whose it is: %s", page.raw)
		}
		s.endOn(here.browser, ben.session.ID).wantTo(s.account())
		if !s.lives(ben) {
			t.Error("a session of somebody else has ended")
		}
		s.endOn(here.browser, old.session.ID).wantTo(s.account())
		s.page(old.browser).want(http.StatusUnauthorized)
		if s.refreshes(old, app) || !s.lives(here) {
			t.Error("what came of the session is good, or another one has ended")
		}
		s.endOn(here.browser, here.session.ID).wantTo(signedOut)
		if here.cookie("cs_sessions") != "" || s.lives(here) || s.refreshes(here, app) {
			t.Error("the browser is still signed in")
		}
	})
}

// What somebody has planted in a browser is worth nothing once it has signed
// in, nor is what it had before its second factor.
//
//
func TestASignInReplacesWhatTheBrowserHad(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		s.second(false).withPassword("ana@acme.test", plain)
		a, realm := s.shop(), session.Realm(s.org, s.env)
		thief := s.signIn(s.browser(), a.ID, s.newUser("eve@acme.test", "+4915112345679"))
		planted := secret.New(strings.Repeat("A", 43))
		for what, set := range map[string]session.Set{"an invented one": session.Set{}.With(realm, planted), "one of a thief": thief.set()} {
			b := s.browser()
			b.keep(set)
			b.submit(b.signInPage(wanted(a, "prompt=login")), "/login", "email=ana@acme.test", "password="+plain).wantCode(http.StatusSeeOther)
			got := b.set().Token(realm).Reveal()
			if got == "" || got == set.Token(realm).Reveal() {
				t.Errorf("%s: the browser has it after the sign-in", what)
			}
			s.page(b).want(http.StatusOK)
		}
		before := s.signedIn(a)
		old := before.set()
		s.second(true).enrolPhone()
		page := before.visit(http.MethodGet, before.authorize(wanted(a)).to(), nil).want(http.StatusOK)
		before.submit(page, "/login/code", "code="+s.sentCode()).wantCode(http.StatusSeeOther)
		if before.set().Token(realm).Reveal() == old.Token(realm).Reveal() {
			t.Error("the browser has after its second factor what it had before")
		}
		s.page(before).want(http.StatusOK)
		replaced := s.browser()
		replaced.keep(old)
		s.page(replaced).want(http.StatusUnauthorized)
	})
}

// On every route that takes a session of a browser: no session, one that has
// ended, one that nobody made, and one of another organization are refused
// alike.
func TestRoutesOfBrowsersRefuseAllButTheirSession(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		other := s.elsewhere()
		realm := session.Realm(s.org, s.env)
		kept := s.signIn(s.browser(), other.app, other.user)
		foreign := kept.set().Token(session.Realm(other.org, s.env))
		ended := s.signIn(s.browser(), s.app(), s.user)
		if err := s.sessions.End(t.Context(), ended.session.Tenant, ended.session.ID, closed()); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, route := range s.service.Routes() {
			if route.Credential != pipeline.Browser {
				continue
			}
			seen++
			for what, set := range map[string]session.Set{
				"none": {}, "one that has ended": ended.set(), "one of another organization": kept.set(),
				"one of another organization under this name": session.Set{}.With(realm, foreign),
				"an invented one": session.Set{}.With(realm, secret.New(strings.Repeat("A", 43))),
			} {
				b := s.browser()
				b.keep(set)
				got := b.visit(route.Method, strings.ReplaceAll(route.Path, "{realm}", realm), url.Values{})
				if got.status != http.StatusUnauthorized || !strings.Contains(got.raw, "not_signed_in") {
					t.Errorf("%s with %s: status %d: %s", title(route), what, got.status, got.raw)
				}
			}
		}
		if seen < 2 || !s.lives(kept) {
			t.Errorf("%d routes take a browser's session, or one of them has ended another's", seen)
		}
	})
}
