package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apps "countersign.dev/services/api/internal/app"
)

// hears is how long an app may wait for what it is told of within a second or
// two.
const hears = 30 * time.Second

// listens makes an app that hears of logouts at a handler.
func (s *stage) listens(h http.HandlerFunc) string {
	s.t.Helper()
	server := httptest.NewServer(h)
	s.t.Cleanup(server.Close)
	name, uri := "Listener", server.URL+"/logout"
	made, _, err := s.apps.Create(s.t.Context(), s.caller(), apps.New{Change: apps.Change{
		Name: &name, RedirectURIs: &[]string{afterLogin}, LogoutURIs: &[]string{afterLogout}, BackchannelURI: &uri,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return made.ID
}

// Whoever signs out is answered while apps that were told of other logouts have
// not answered, however many of them hang: as many as are told at a time. How
// long that takes is measured by BenchmarkLogout.
//
func TestALogoutWaitsForNoApp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		held, release := make(chan struct{}, 100), make(chan struct{})
		hangs := func(_ http.ResponseWriter, r *http.Request) {
			held <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		var hanging []string // as many as are told at a time, and one more
		for range 9 {
			hanging = append(hanging, s.listens(hangs))
		}
		t.Cleanup(func() { close(release) }) // after all that follows, and before the apps stop
		ends := func(app string) {
			t.Helper()
			b := s.browser()
			l := s.signIn(b, app, s.user)
			b.end("id_token_hint="+l.id, "post_logout_redirect_uri="+afterLogout).wantTo(afterLogout)
			if s.lives(l) {
				t.Error("the session is good")
			}
		}
		for _, app := range hanging[:8] {
			ends(app)
		}
		for range 8 {
			select {
			case <-held:
			case <-time.After(hears):
				t.Fatal("the apps do not hear of a logout")
			}
		}
		ends(hanging[8]) // while each of those hangs
	})
}

// What somebody else does to a user ends the user's sessions, and their apps
// hear of it.
// Covers R-150 (resets, forced changes, deactivation and deletion by operators).
func TestAppsHearOfWhatEndsSessions(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p).passwords())
		heard := make(chan string, 100)
		app := s.listens(func(_ http.ResponseWriter, r *http.Request) { heard <- r.PostFormValue("logout_token") })
		for name, end := range map[string]func(user, email string) *reply{
			"a password that is reset": func(_, email string) *reply { return s.setPassword(s.codeFor(email), "another very long one 7") },
			"a password that must change": func(user, _ string) *reply {
				return s.call("POST", "/api/v2/org/"+s.org+"/users/"+user+"/password/force-change")
			},
			"factors that are taken away": func(user, _ string) *reply { return s.call("DELETE", s.house.factors(user)) },
			"a user who is deactivated": func(user, _ string) *reply {
				return s.call("PUT", "/api/v2/org/"+s.org+"/users/"+user, "active=false")
			},
			"a user who is deleted": func(user, _ string) *reply { return s.call("DELETE", "/api/v2/org/"+s.org+"/users/"+user) },
		} {
			email := strings.ReplaceAll(name, " ", ".") + "@acme.test"
			user := s.call("POST", "/api/v2/org/"+s.org+"/users", "email="+email).want(http.StatusCreated).text("id")
			s.withPassword(email, plain)
			l := s.signIn(s.browser(), app, user)
			end(user, email).want(http.StatusOK)
			if s.lives(l) {
				t.Errorf("%s: the session is good", name)
			}
			select {
			case raw := <-heard:
				if got := sid(t, raw); got != l.session.ID {
					t.Errorf("%s: the app hears of session %s, want %s", name, got, l.session.ID)
				}
			case <-time.After(hears):
				t.Errorf("%s: the app does not hear of it", name)
			}
		}
	})
}

// sid is the session that a logout token names.
func sid(t *testing.T, raw string) string {
	t.Helper()
	claims := struct {
		SID string `json:"sid"`
	}{}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("a logout token of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.SID
}
