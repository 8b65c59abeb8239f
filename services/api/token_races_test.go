package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
)

// together sends one request 32 times, half of them to each process, and
// returns what was answered; 503 is left out: a busy machine, on which one
// waited too long.
func together(send func(i int) *reply) (answers []*reply) {
	all := make([]*reply, 32)
	begin := make(chan struct{})
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			<-begin
			all[i] = send(i)
		})
	}
	close(begin)
	group.Wait()
	for _, answer := range all {
		if answer.status != http.StatusServiceUnavailable {
			answers = append(answers, answer)
		}
	}
	return answers
}

// Covers R-141 for apps: of 32 parallel redemptions in two processes one gets
// tokens, and a second use ends them at once, in the other process too.
func TestAnAppsCodeIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		one := start(t, p).confidentialApp()
		two := one.on(open(t, p))
		for range 5 {
			code := one.code()
			var given []*reply
			answers := together(func(i int) *reply { return []*client{one, two}[i%2].post(tokenPathsOfApps[i%3], one.exchange(code)) })
			for _, answer := range answers {
				if answer.status == http.StatusOK {
					given = append(given, answer)
				} else {
					answer.wantOAuth("a parallel redemption", 400, "invalid_grant")
				}
			}
			if len(given) > 1 || len(given) == 0 && len(answers) == 32 {
				t.Fatalf("%d of %d redemptions gave tokens, want 1", len(given), len(answers))
			}
		}
		code := one.code()
		session := one.post(tokenPath, one.exchange(code)).want(200)
		one.userinfo("GET", session.text("access_token")).want(200)
		two.post(tokenPath, two.exchange(code)).wantOAuth("a second use", 400, "invalid_grant")
		one.userinfo("GET", session.text("access_token")).wantOAuth("its access token", 401, "invalid_token")
		one.post(tokenPath, one.refreshing(session.text("refresh_token"))).wantOAuth("its refresh token", 400, "invalid_grant")
	})
}

// Covers R-143 for apps: of 32 parallel refreshes in two processes all get one
// successor; a token that is shown after the grace, or by another app, ends
// the login and raises the alarm; nobody's token lives for ever.
func TestAnAppRefreshes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		log := &lockedBuffer{}
		p.log = log
		h := start(t, p)
		one, other := h.publicApp(), h.publicApp()
		two := one.on(open(t, p))
		last := one.session()
		for range 5 {
			successors := map[string]bool{}
			for _, answer := range together(func(i int) *reply {
				return []*client{one, two}[i%2].post(tokenPath, one.refreshing(last.text("refresh_token")))
			}) {
				successors[answer.want(200).text("refresh_token")], last = true, answer
			}
			if len(successors) != 1 {
				t.Fatalf("%d successors of one refresh token", len(successors))
			}
		}
		other.post(tokenPath, other.refreshing(last.text("refresh_token"))).wantOAuth("another app's", 400, "invalid_grant")
		for _, wide := range []string{"openid admin", "phone", "openid email profile offline_access"} {
			two.post(tokenPath, with(two.refreshing(last.text("refresh_token")), "scope", wide)).wantOAuth(wide, 400, "invalid_scope")
		}
		narrow := two.post(tokenPath, with(two.refreshing(last.text("refresh_token")), "scope", "email openid")).want(200)
		if narrow.body["scope"] != "email openid" {
			t.Errorf("narrowed to %s", narrow.raw)
		}
		wide := one.post(tokenPath, without(with(one.refreshing(""), "token", narrow.text("refresh_token")), "refresh_token")).want(200)
		if wide.body["scope"] != "openid email profile" {
			t.Errorf("after a narrow one: %s", wide.raw)
		}
		later := func(d time.Duration, raw string) error {
			_, err := h.service.LaterGrants(d).Refresh(t.Context(), secret.New(raw), one.app.ID)
			return err
		}
		idle, old := one.session(), one.session()
		if later(grant.Idle, idle.text("refresh_token")) == nil || later(grant.Absolute, old.text("refresh_token")) == nil {
			t.Error("a refresh token outlives its time")
		}
		if later(grant.Grace+time.Second, narrow.text("refresh_token")) == nil {
			t.Error("a used refresh token is good after the grace")
		}
		one.post(tokenPath, one.refreshing(wide.text("refresh_token"))).wantOAuth("the last one, after that", 400, "invalid_grant")
		two.userinfo("GET", wide.text("access_token")).wantOAuth("an access token, after that", 401, "invalid_token")
		if !strings.Contains(log.String(), "its login is ended") {
			t.Error("nobody was told of the reuse")
		}
	})
}
