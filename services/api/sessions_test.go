package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api/internal/session"
)

// userSessions is the path of the sessions of a user.
func (h *house) userSessions(user, rest string) string {
	return "/api/v2/org/" + h.org + "/users/" + user + "/sessions" + rest
}

// endings are the records of sessions that have ended, as "session why actor".
func (h *house) endings(user string) (out []string) {
	h.t.Helper()
	listed := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=session.ended", "user="+user, "per_page=200").want(200)
	for _, item := range listed.body["data"].([]any) {
		record := item.(map[string]any)
		data := record["data"].(map[string]any)
		actor, _, _ := strings.Cut(record["actor"].(string), ":")
		out = append(out, data["session"].(string)+" "+data["why"].(string)+" "+actor)
	}
	slices.Sort(out)
	return out
}

// gone checks that nothing of a login is good any more, in this process and in
// the other one.
func (s *stage) gone(what string, l login, app string, other *house) {
	s.t.Helper()
	for where, h := range map[string]*house{"the process that was told": s.house, "the other process": other} {
		b := h.browser()
		b.keep(l.set())
		if page := b.visit(http.MethodGet, s.account(), nil); page.status != http.StatusUnauthorized {
			s.t.Errorf("%s: the page of the account in %s: status %d", what, where, page.status)
		}
		if r := h.as("").call("POST", tokenPath, "grant_type=refresh_token", "client_id="+app, "refresh_token="+l.refresh.Reveal()); r.status != 400 || r.body["error"] != "invalid_grant" {
			s.t.Errorf("%s: the refresh token in %s: status %d: %s", what, where, r.status, r.raw)
		}
	}
}

// Whoever looks after users sees where one is signed in and ends any of it, or
// all, with all that came of it; what a browser asks for next is refused, in
// every process. (What people do with their own is in
// TestPeopleSeeAndEndTheirSessions.)
//
//
func TestAdministratorsSeeAndEndSessions(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		other := open(t, p)
		heard := make(chan string, 10)
		app := s.listens(func(_ http.ResponseWriter, r *http.Request) { heard <- r.PostFormValue("logout_token") })
		s.now = time.Now().Add(-30 * time.Minute)
		old := s.signIn(s.browser(), app, s.user)
		s.now = time.Time{}
		here, third := s.signIn(s.browser(), app, s.user), s.signIn(s.browser(), app, s.user)
		benID := s.newUser("ben@acme.test", "+4915112345679")
		ben := s.signIn(s.browser(), app, benID)

		listed := s.call("GET", s.userSessions(s.user, ""), "per_page=2", "page=2").want(200)
		if listed.body["total"] != 3.0 || len(listed.body["data"].([]any)) != 1 {
			t.Fatalf("the second page is %s", listed.raw)
		}
		got, begun := listed.body["data"].([]any)[0].(map[string]any), old.session.CreatedAt.UTC()
		const stamp = "2006-01-02T15:04:05"
		for name, want := range map[string]any{
			"__type__": "Session", "__domain__": s.org, "__environment__": s.env, "id": old.session.ID, "user_id": s.user, "source": "192.0.2.0/24",
			"inserted_at": begun.Format(stamp), "last_used_at": begun.Format(stamp), "signed_in_at": begun.Format(stamp), "expires_at": begun.Add(session.Absolute).Format(stamp),
			"acr": old.session.ACR,
		} {
			if got[name] != want {
				t.Errorf("%s of a session is %v, want %v", name, got[name], want)
			}
		}
		if amr := got["amr"].([]any); len(amr) != 1 || amr[0] != "pwd" || len(got) != 12 {
			t.Errorf("a session is shown as %v", got)
		}
		all := s.call("GET", s.userSessions(s.user, "")).want(200)
		for _, secret := range []string{"192.0.2.7\"", ben.session.ID, here.set().Token(session.Realm(s.org, s.env)).Reveal()} {
			if strings.Contains(all.raw, secret) {
				t.Errorf("the list has %s: %s", secret, all.raw)
			}
		}

		// Of somebody else, in a name that is none, and a second time.
		s.call("DELETE", s.userSessions(benID, "/"+here.session.ID)).wantFault(404, "session_not_found")
		s.call("DELETE", s.userSessions(s.user, "/none")).wantFault(404, "session_not_found")
		if !s.lives(here) || !s.lives(ben) {
			t.Error("a session has ended by the name of another user")
		}
		ended := s.call("DELETE", s.userSessions(s.user, "/"+here.session.ID)).want(200)
		if of := ended.body["resource"].(map[string]any); ended.body["deleted"] != true || of["id"] != here.session.ID {
			t.Errorf("the end of a session answers %s", ended.raw)
		}
		s.gone("one", here, app, other)
		s.call("DELETE", s.userSessions(s.user, "/"+here.session.ID)).wantFault(404, "session_not_found")
		if got := sid(t, <-heard); got != here.session.ID {
			t.Errorf("the app hears of session %s", got)
		}
		if !s.lives(third) || !s.refreshes(third, app) {
			t.Error("another session has ended with it")
		}

		if ended := s.call("DELETE", s.userSessions(s.user, "")).want(200); len(ended.body["resource"].([]any)) != 2 {
			t.Errorf("the end of all sessions of a user answers %s", ended.raw)
		}
		s.gone("all of a user", third, app, other)
		s.gone("all of a user", old, app, other)
		if told := []string{sid(t, <-heard), sid(t, <-heard)}; !slices.Contains(told, old.session.ID) || !slices.Contains(told, third.session.ID) {
			t.Errorf("the app hears of the sessions %v", told)
		}
		if !s.lives(ben) {
			t.Error("a session of somebody else has ended")
		}
		want := []string{old.session.ID + " closed api_key", here.session.ID + " closed api_key", third.session.ID + " closed api_key"}
		slices.Sort(want)
		if got := s.endings(s.user); !slices.Equal(got, want) {
			t.Errorf("recorded is %v, want %v", got, want)
		}
	})
}

// An administrator ends the sessions of all users of an environment, and no
// other one's.
//
// Covers R-034 for the sessions of all users.
func TestAnAdministratorEndsTheSessionsOfAllUsers(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		other := open(t, p)
		app, elsewhere := s.app(), s.elsewhere()
		ana := s.signIn(s.browser(), app, s.user)
		ben := s.signIn(s.browser(), app, s.newUser("ben@acme.test", "+4915112345679"))
		eve := s.signIn(s.browser(), elsewhere.app, elsewhere.user)
		over := s.signIn(s.browser(), app, s.user) // its day is over, and not its grant
		if _, err := p.openSQL(t).ExecContext(t.Context(), "DELETE FROM sessions WHERE id = '"+over.session.ID+"'"); err != nil {
			t.Fatal(err)
		}
		ended := s.call("DELETE", "/api/v2/org/"+s.org+"/sessions").want(200)
		if of := ended.body["resource"].(map[string]any); ended.body["deleted"] != true || of["count"] != 2.0 {
			t.Errorf("the end of all sessions answers %s", ended.raw)
		}
		s.gone("one of the users", ana, app, other)
		s.gone("another one", ben, app, other)
		if s.refreshes(over, app) {
			t.Error("what came of a session that was over is good")
		}
		if !s.lives(eve) || !s.refreshes(eve, elsewhere.app) {
			t.Error("a session of another organization has ended")
		}
		again := s.call("DELETE", "/api/v2/org/"+s.org+"/sessions").want(200)
		if of := again.body["resource"].(map[string]any); of["count"] != 0.0 {
			t.Errorf("a second time it answers %s", again.raw)
		}
		told := s.call("GET", "/api/v2/org/"+s.org+"/activity", "action=sessions.ended").want(200)
		record := told.body["data"].([]any)[0].(map[string]any)
		if told.body["total"] != 1.0 || record["data"].(map[string]any)["count"] != "2" || record["user_id"] != nil {
			t.Errorf("recorded is %s", told.raw)
		}
	})
}

// Of 32 that end one session at once, at two processes, one writes the record,
// and nobody is told anything but that it has ended.
func TestTheEndOfASessionIsRecordedOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		two := open(t, p).as(s.token)
		app := s.app()
		var want []string
		for range 5 {
			l := s.signIn(s.browser(), app, s.user)
			want = append(want, l.session.ID+" closed api_key")
			ended := 0
			answers := together(func(i int) *reply {
				return []*house{s.house, two}[i%2].call("DELETE", s.userSessions(s.user, "/"+l.session.ID))
			})
			for _, r := range answers {
				if r.status == http.StatusOK {
					ended++
				} else {
					r.wantFault(http.StatusNotFound, "session_not_found")
				}
			}
			if s.lives(l) || ended == 0 && len(answers) == 32 {
				t.Errorf("the session lives, or none of %d has ended it", len(answers))
			}
		}
		slices.Sort(want)
		if got := s.endings(s.user); !slices.Equal(got, want) {
			t.Errorf("recorded is %v, want %v", got, want)
		}
	})
}
