package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api"
)

// aged makes every password older.
func (h *house) aged(by time.Duration) {
	h.t.Helper()
	h.behind(fmt.Sprintf("UPDATE passwords SET changed_at = changed_at - %d", by.Milliseconds()))
}

// expiring sets the life of the organization's passwords.
func (h *house) expiring(params ...string) *reply {
	h.t.Helper()
	return h.call("PUT", "/api/v2/org/"+h.org+"/password-connection", params...)
}

// renewal is the code with which an expired password is renewed.
func (r *reply) renewal() string {
	r.t.Helper()
	renew, _ := r.body["renew_password"].(map[string]any)
	code, _ := renew["password_code"].(string)
	if code == "" {
		r.t.Fatalf("no renewal in %s", r.raw)
	}
	return code
}

// wantLapsed checks that a right password brings neither a code nor a renewal.
func (r *reply) wantLapsed() {
	r.t.Helper()
	if r.body["valid?"] != true || r.body["code"] != nil || r.body["expired_at"] == nil || r.body["renew_password"] != nil || r.body["mfa_required"] != false {
		r.t.Errorf("after the grace: %s", r.raw)
	}
}

const aDay = 24 * time.Hour

// Passwords do not expire unless somebody says so, who is warned of it; one
// that has expired brings a code to renew it once, and never a token.
// Covers R-058 for expiry: off by default, the warning and its record, the renewal, and the wrong password.
func TestAnExpiredPasswordBringsNoTokens(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		h.aged(10 * 365 * aDay)
		before := h.tokens(h.challengePassword("ana@acme.test", plain).want(200).text("code")).want(200)
		wrong := alike(h.challengePassword("ana@acme.test", plain+"!").want(200), "ana")

		on := h.expiring("time_to_live=7776000").want(200)
		if warnings := fmt.Sprint(on.body["warnings"]); !strings.Contains(warnings, "NIST SP 800-63B-4 3.1.1.2") || !strings.Contains(warnings, "ASVS 6.2.10") {
			t.Errorf("the warnings are %s", warnings)
		}
		record := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=password_expiry.enabled").want(200)
		if data := record.raw; record.body["total"] != 1.0 || !strings.Contains(data, "NIST SP 800-63B-4 3.1.1.2") || !strings.Contains(data, "ASVS 6.2.10") || !strings.Contains(data, `"7776000"`) {
			t.Errorf("the record is %s", data)
		}
		expired := h.challengePassword("ana@acme.test", plain).want(200)
		if expired.body["valid?"] != true || expired.body["code"] != nil || expired.body["expired_at"] == nil || expired.body["error"] != nil {
			t.Fatalf("an expired password: %s", expired.raw)
		}
		if at, err := time.Parse("2006-01-02T15:04:05", expired.text("expired_at")); err != nil || time.Since(at).Round(aDay) != 9*365*aDay+275*aDay {
			t.Errorf("it has expired at %s", expired.text("expired_at"))
		}
		if got := alike(h.challengePassword("ana@acme.test", plain+"!").want(200), "ana"); got != wrong {
			t.Errorf("a wrong password is told that the right one has expired:\n%s\n%s", got, wrong)
		}
		// What was granted before goes on.
		h.call("POST", "/api/v2/oauth/token", "grant_type=refresh_token", "refresh_token="+before.text("refresh_token")).want(200)
		// A login without the password is none of its business.
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		asked := h.call("POST", "/api/v2/magic-link-challenge", "user_email=ana@acme.test", "redirect_uri="+appURL, "org_domain="+h.org).want(201)
		h.tokens(h.browser().follow(h.courier.letterFor(t, asked.text("request_id")).Link).Get("code")).want(200)

		code := expired.renewal()
		h.setPassword(code, plain).wantFault(422, "password_unchanged")
		h.tokens(h.setPassword(code, plain+"2").want(200).text("code")).want(200)
		h.setPassword(code, plain+"3").wantFault(422, "password_code_not_valid")
		good := h.challengePassword("ana@acme.test", plain+"2").want(200)
		if good.body["expired_at"] != nil || good.body["renew_password"] != nil {
			t.Errorf("the new password: %s", good.raw)
		}
		h.tokens(good.text("code")).want(200)

		h.expiring("time_to_live=0").want(200)
		h.aged(10 * 365 * aDay)
		if again := h.challengePassword("ana@acme.test", plain+"2").want(200); again.body["code"] == nil || again.body["expired_at"] != nil {
			t.Errorf("switched off again: %s", again.raw)
		}
	})
}

// After the grace a right password brings nothing any more, and a link sets
// another one.
// Covers R-058 for the end of the grace.
func TestAfterTheGraceALinkResetsThePassword(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("time_to_live=86400", "grace_period=3600")
		h.withPassword("ana@acme.test", plain)
		h.challengePassword("ana@acme.test", plain).want(200).text("code")
		h.aged(aDay)
		late := h.challengePassword("ana@acme.test", plain).want(200).renewal()
		h.aged(time.Hour)
		h.challengePassword("ana@acme.test", plain).want(200).wantLapsed()
		if wrong := h.challengePassword("ana@acme.test", plain+"!").want(200); wrong.body["valid?"] != false || wrong.body["expired_at"] != nil {
			t.Errorf("a wrong password after the grace: %s", wrong.raw)
		}
		h.withPassword("ana@acme.test", plain+"2")
		h.setPassword(late, plain+"3").wantFault(422, "password_code_not_valid") // ended by the link's
		h.tokens(h.challengePassword("ana@acme.test", plain+"2").want(200).text("code")).want(200)
	})
}

// An expired password is renewed after the second factor, not instead of it.
// Covers R-036 for expired passwords.
// Covers R-058 for users with a second factor.
func TestAnExpiredPasswordIsRenewedAfterTheSecondFactor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("time_to_live=86400", "grace_period=3600")
		eva := h.enrolled("eva@acme.test", numbered(1))
		h.withPassword("eva@acme.test", plain)
		h.aged(aDay)
		waiting := h.challengePassword("eva@acme.test", plain).want(200)
		if waiting.body["mfa_required"] != true || waiting.body["code"] != nil || waiting.body["renew_password"] != nil {
			t.Fatalf("an expired password alone: %s", waiting.raw)
		}
		code := h.code(h.call("POST", h.challenge(eva)).want(201))
		ended := h.call("POST", h.challenge("validation/"+eva), "code="+code, "request_id="+waiting.text("request_id")).want(200).wantSuccess(true)
		if ended.body["authorization_code"] != nil || ended.body["expired_at"] == nil {
			t.Fatalf("an expired password with a factor: %s", ended.raw)
		}
		h.tokens(h.setPassword(ended.renewal(), plain+"2").want(200).text("code")).want(200)

		h.aged(aDay + time.Hour)
		h.challengePassword("eva@acme.test", plain+"2").want(200).wantLapsed() // no factor could help it
	})
}

// Former passwords do not come back, as many as the connection remembers.
// Covers R-060 for the history of passwords over the API.
func TestFormerPasswordsDoNotComeBack(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("history_depth=2")
		for n := range 4 {
			h.withPassword("ana@acme.test", plain+fmt.Sprint(n))
		}
		code := h.codeFor("ana@acme.test")
		h.setPassword(code, plain+"3").wantFault(422, "password_unchanged")
		h.setPassword(code, plain+"2").wantFault(422, "password_reused")
		h.setPassword(code, plain+"1").wantFault(422, "password_reused")
		h.setPassword(code, plain+"0").want(200)
		h.expiring("history_depth=0").want(200)
		h.withPassword("ana@acme.test", plain+"3")
		for _, bad := range []string{"history_depth=11", "history_depth=-1", "time_to_live=86399", "time_to_live=-1", "time_to_live=315360001", "grace_period=-1", "grace_period=99999999999"} {
			h.expiring(bad).wantFault(422, "invalid_parameter")
		}
		if got := h.call("GET", "/api/v2/org/"+h.org+"/password-connection").want(200); got.body["time_to_live"] != 0.0 || got.body["history_depth"] != 0.0 || fmt.Sprint(got.body["warnings"]) != "[]" {
			t.Errorf("after what was refused: %s", got.raw)
		}
	})
}

// An administrator makes a user set another password: logins end, and the
// password is good for nothing else, also in a login that waits.
// Covers R-058 for administrators.
func TestAnAdministratorForcesANewPassword(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("time_to_live=86400", "grace_period=3600")
		eva := h.enrolled("eva@acme.test", numbered(1))
		path := "/api/v2/org/" + h.org + "/users/"
		h.call("GET", path+eva+"/password").wantFault(404, "not_found")
		h.call("POST", path+eva+"/password/force-change").wantFault(404, "not_found")
		h.withPassword("ana@acme.test", plain)
		h.withPassword("eva@acme.test", plain)
		state := h.call("GET", path+"ana@acme.test/password").want(200)
		if state.body["must_change"] != false || state.body["password_id"] != 1.0 || state.text("changed_at") >= state.text("expires_at") || state.text("expires_at") >= state.text("renewable_until") || strings.Contains(state.raw, "argon2") {
			t.Errorf("state %s", state.raw)
		}
		refresh := h.tokens(h.challengePassword("ana@acme.test", plain).want(200).text("code")).want(200).text("refresh_token")
		waiting := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")

		weak := h.as(h.signIn(h.key("acme", "sandbox")))
		weak.call("POST", path+h.user+"/password/force-change").wantFault(403, "insufficient_scope")
		for range 2 {
			if forced := h.call("POST", path+h.user+"/password/force-change").want(200); forced.body["must_change"] != true {
				t.Errorf("forced: %s", forced.raw)
			}
		}
		h.call("POST", path+eva+"/password/force-change").want(200)
		if records := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=password.must_change").want(200); records.body["total"] != 2.0 {
			t.Errorf("records %s", records.raw)
		}
		h.call("POST", "/api/v2/oauth/token", "grant_type=refresh_token", "refresh_token="+refresh).want(400)
		right := h.challengePassword("ana@acme.test", plain).want(200)
		if right.body["code"] != nil || right.body["expired_at"] == nil {
			t.Fatalf("a password that must change: %s", right.raw)
		}
		code := h.code(h.call("POST", h.challenge(eva)).want(201))
		h.call("POST", h.challenge("validation/"+eva), "code="+code, "request_id="+waiting).wantFault(404, "not_found") // it began before
		h.tokens(h.setPassword(right.renewal(), plain+"2").want(200).text("code")).want(200)
		if state := h.call("GET", path+h.user+"/password").want(200); state.body["must_change"] != false || state.body["password_id"] != 2.0 {
			t.Errorf("after a new one: %s", state.raw)
		}
	})
}

// A password that expires soon is told of by mail and by event, by one of two
// processes.
func TestAPasswordThatExpiresSoonIsToldOf(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("time_to_live=7776000")
		second := open(t, p)
		h.withPassword("ana@acme.test", plain)
		h.aged(87*aDay + time.Hour)
		parallel(t, 8, func(i int) {
			if err := []*api.Service{h.service, second.service}[i%2].Remind(context.Background()); err != nil {
				t.Error(err)
			}
		})
		mail := h.courier.nextLetter(t, "that the password expires", func(l letter) bool { return l.content.Template == "notice_password_expiring" })
		if mail.To != "ana@acme.test" || mail.LifeMinutes != 3*24*60 || time.Until(time.UnixMilli(mail.At)).Round(time.Hour) != 71*time.Hour {
			t.Errorf("mail %+v", mail)
		}
		records := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=password.expiring").want(200)
		if records.body["total"] != 1.0 || !strings.Contains(records.raw, `"days_left":"3"`) {
			t.Errorf("records %s", records.raw)
		}
	})
}
