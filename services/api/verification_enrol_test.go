package api_test

import (
	"net/http"
	"strings"
	"testing"
)

const (
	ownPath   = "/verification-actions-srv/users/configurations"
	setupPath = "/verification-actions-srv/setup/"
)

// bearing is the app with an access token of a user.
func (c *client) bearing(given *reply) *client {
	return &client{c.as(given.text("access_token")), c.app, c.secret}
}

// own are the methods that the user of the access token has set up.
func (c *client) ownMethods() (types []string, raw string) {
	c.t.Helper()
	r := c.call("GET", ownPath)
	for _, item := range r.data()["configured_list"].([]any) {
		types = append(types, item.(map[string]any)["type"].(string))
	}
	return types, r.raw
}

// A user who has just signed in sets up an app step by step, on the paths of
// clients of both ages, names it and removes it; a sign-in that is old, or not
// with all that the user has, does none of that.
// Covers R-037 for the verification flow.
func TestAUserSetsUpAnAppStepByStep(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := codesAlone(t, p)
		c := h.pages()
		h.withPassword("ana@acme.test", plain)
		signIn := func() *client {
			s := c.leads()
			return c.bearing(c.wantTokens(s.finish("PASSWORD", s.begins("PASSWORD", "ana@acme.test", plain)).wantCodeIn("#"), h.user, "pwd", "aal1"))
		}
		stale := signIn()
		h.behind(`UPDATE grants SET auth_time = auth_time - 301000`)
		for _, path := range []string{setupPath + "TOTP/initiation", "/verification-srv/v2/setup/initiate/totp"} {
			stale.says(path).wantVER(403, "VER_0403")
			c.says(path).wantVER(401, "VER_0401")
		}
		if types, raw := stale.ownMethods(); len(types) != 0 { // reading needs no fresh one
			t.Errorf("there is %s", raw)
		}

		ana := signIn()
		started := ana.says("/verification-srv/v2/setup/initiate/totp", "verification_type=totp", "device_name=undefined")
		started.wantMoment()
		a := &authenticator{h: h, user: h.user, secret: started.said("totp_secret")}
		status := "/verification-srv/v2/notification/status/" + started.said("status_id")
		if r := c.crossing(pageOrigin, "POST", status, ""); r.status != http.StatusNoContent {
			t.Errorf("before the first code the status is %d %s", r.status, r.raw)
		}
		confirm := func(code string) *reply { // without a token
			return c.says(setupPath+"totp/verification", "exchange_id="+started.exchangeID(), "pass_code="+code)
		}
		confirm(a.wrong()).wantVER(400, "VER_0041")
		done := confirm(a.code(0))
		if done.exchangeID() == started.exchangeID() || done.said("status_id") != started.said("status_id") || len(done.data()["recovery_codes"].([]any)) != 5 {
			t.Errorf("confirmed: %s", done.raw)
		}
		confirm(a.code(1)).wantVER(400, "VER_0032")
		if r := c.says(status); r.data()["authenticated"] != true {
			t.Errorf("after it the status is %s", r.raw)
		}
		c.leads().finish("TOTP", done).wantVER(400, "VER1075") // an enrolment is no login

		// The sign-in has one of two factors by now.
		ana.says(setupPath+"TOTP/initiation", "device_name=Tablet").wantVER(403, "VER_0403")
		ana.call("DELETE", ownPath+"/TOTP").wantVER(403, "VER_0403")
		s := c.leads()
		proven := s.begins("PASSWORD", "ana@acme.test", plain).wantNeeds(true, false)
		h.again()
		second := s.prove("TOTP", s.initiate("TOTP", further, "sub="+proven.said("sub")), a.code(0))
		full := c.bearing(c.wantTokens(s.finish("TOTP", second).wantCodeIn("#"), h.user, "mfa otp pwd", "aal2"))

		full.says(setupPath+"TOTP/initiation").wantVER(409, "VER_0029") // a further one needs a name
		types, raw := full.ownMethods()
		if strings.Join(types, " ") != "TOTP BACKUPCODE" || strings.Contains(raw, a.secret) {
			t.Errorf("there is %s", raw)
		}
		medium := full.call("GET", ownPath).data()["configured_list"].([]any)[0].(map[string]any)["id"].(string)
		renamed := full.raw("PUT", setupPath+"users/friendlyname/TOTP/"+medium, asJSON, strings.NewReader(`{"friendly_name":"Phone"}`))
		if renamed.said("friendly_name") != "Phone" || h.listed(h.user)["Phone"] == nil {
			t.Errorf("renamed: %s", renamed.raw)
		}
		if removed := full.call("DELETE", ownPath+"/totp"); removed.data()["removed"] != true {
			t.Errorf("removed: %s", removed.raw)
		}
		if types, raw := full.ownMethods(); strings.Contains(strings.Join(types, " "), "TOTP") {
			t.Errorf("after the removal there is %s", raw)
		}
	})
}
