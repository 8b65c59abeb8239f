package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// changeOn changes the password on the page of a browser.
func (s *stage) changeOn(b *browser, password string) *reply {
	s.t.Helper()
	form := fieldsOfPage(s.page(b).want(http.StatusOK))
	form.Set("password", password)
	return b.visit(http.MethodPost, s.account()+"/password", form)
}

// A reset by a link ends every session and every family of refresh tokens, in
// all services at once. A change by the person themselves keeps the session
// that it is made in, with what came of it. The rules of passwords hold for
// both, and their user is told.
//
// Covers R-033 for resets by a link and for changes of a password.
func TestANewPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		second := *open(t, p)
		second.token, second.org, second.user = s.token, s.org, s.user
		other := newStage(t, &second)
		s.withPassword("ana@acme.test", plain)
		app := s.app()
		here, there, third := s.signIn(s.browser(), app, s.user), s.signIn(s.browser(), app, s.user, "offline_access"), s.signIn(s.browser(), app, s.user)
		ben := s.signIn(s.browser(), app, s.newUser("ben@acme.test", "+4915112345679"))

		for _, refused := range []string{plain, "short", "password1234567"} {
			got := s.changeOn(here.browser, refused).want(http.StatusUnprocessableEntity)
			if !strings.Contains(got.raw, "This password was not taken") || !strings.Contains(got.raw, `<a href="`+s.account()+`">To your account</a>`) {
				t.Errorf("%s: %s", refused, got.raw)
			}
		}
		if !s.lives(third) {
			t.Error("a change that was refused has ended a session")
		}
		s.changeOn(here.browser, plain+"-own").wantTo(s.account())
		s.page(here.browser).want(http.StatusOK)
		if !s.refreshes(here, app) || !s.lives(ben) {
			t.Error("the session of the change has lost its tokens, or somebody else's has ended")
		}
		for _, ended := range []login{there, third} {
			if s.lives(ended) || s.refreshes(ended, app) {
				t.Error("another session is good after the change")
			}
			other.page(other.carrying(ended.set())).want(http.StatusUnauthorized)
		}
		if got := s.challengePassword("ana@acme.test", plain+"-own").want(http.StatusOK); got.body["code"] == nil {
			t.Errorf("the new password: %s", got.raw)
		}

		again := s.signIn(s.browser(), app, s.user, "offline_access")
		third = s.signIn(s.browser(), app, s.user)
		s.setPassword(s.codeFor("ana@acme.test"), plain+"-reset").want(http.StatusOK)
		for _, ended := range []login{here, again, third} {
			s.page(ended.browser).want(http.StatusUnauthorized)
			other.page(other.carrying(ended.set())).want(http.StatusUnauthorized)
			if s.refreshes(ended, app) || other.refreshes(ended, app) {
				t.Error("a refresh token is good after the reset")
			}
		}
	})
}

// carrying is a browser with sessions.
func (h *house) carrying(set session.Set) *browser {
	h.t.Helper()
	b := h.browser()
	b.keep(set)
	return b
}

// What somebody proves with is changed only by who has proven all that they
// have within five minutes.
//
// Covers R-037 for passwords.
func TestAPasswordIsChangedWithAFreshProof(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		s.withPassword("ana@acme.test", plain)
		app := s.app()
		refused := func(what string, l login) {
			t.Helper()
			got := s.changeOn(l.browser, plain+"-new").want(http.StatusForbidden)
			if !strings.Contains(got.raw, session.ErrReauth.Code) || !strings.Contains(got.raw, "Please sign in again") {
				t.Errorf("%s: %s", what, got.raw)
			}
		}
		s.now = time.Now().Add(-6 * time.Minute)
		old := s.signIn(s.browser(), app, s.user)
		s.now = time.Time{}
		refused("a proof of six minutes ago", old)
		s.enrolPhone()
		once := s.signIn(s.browser(), app, s.user)
		refused("a password alone of somebody with a second factor", once)
		token, _, err := s.sessions.Raise(t.Context(), once.session, grant.SMS)
		if err != nil {
			t.Fatal(err)
		}
		once.keep(once.set().With(session.Realm(s.org, s.env), token))
		s.changeOn(once.browser, plain+"-new").wantTo(s.account())
		form := fieldsOfPage(s.page(once.browser))
		form.Set("page_token", "AAAA")
		form.Set("password", plain+"-forged")
		once.visit(http.MethodPost, s.account()+"/password", form).want(http.StatusForbidden)
	})
}

// The page says how long a password has to be in the organization, and nothing
// where there are none.
func TestTheAccountPageSaysWhatAPasswordNeeds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		me := s.signIn(s.browser(), s.app(), s.user)
		if page := s.page(me.browser).want(http.StatusOK); strings.Contains(page.raw, "data-least") || strings.Contains(page.raw, "<meter") {
			t.Errorf("without passwords there is a measure: %s", page.raw)
		}
		s.passwords("plain_text_min_length=20")
		page := s.page(me.browser).want(http.StatusOK)
		for _, text := range []string{`data-least="20"`, "At least 20 characters.", `aria-describedby="hint recent"`, "<meter"} {
			if !strings.Contains(page.raw, text) {
				t.Errorf("the page does not say %q: %s", text, page.raw)
			}
		}
	})
}
