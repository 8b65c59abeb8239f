package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
)

// authenticator is an app that somebody holds.
type authenticator struct {
	h      *house
	user   string
	secret string
	// codes are the recovery codes that came with it.
	codes []string
}

// startApp starts an enrolment and takes the secret over.
func (h *house) startApp(user string, params ...string) (*authenticator, *reply) {
	h.t.Helper()
	started := h.call("POST", h.enrollment(user), params...).want(201).wantSuccess(false)
	return &authenticator{h: h, user: user, secret: started.text("secret")}, started
}

// withApp makes a user with an app.
func (h *house) withApp(email string, params ...string) *authenticator {
	h.t.Helper()
	a, _ := h.startApp(h.newUser(email, ""), params...)
	a.confirm()
	return a
}

func (a *authenticator) confirm(params ...string) *reply {
	a.h.t.Helper()
	r := a.h.call("PUT", a.h.enrollment("validation/"+a.user), append([]string{"code=" + a.code(0)}, params...)...).want(200).wantSuccess(true)
	if text, ok := r.body["recovery_codes"].(string); ok {
		a.codes = strings.Split(text, "\n")
	}
	return r
}

// code is what the app shows some steps from now.
func (a *authenticator) code(steps int) string {
	return codeOf(a.h.t, a.secret, time.Now().Add(time.Duration(30*steps)*time.Second))
}

// wrong is a code that the app shows neither now nor around now.
func (a *authenticator) wrong() string {
	shown := a.code(-2) + a.code(-1) + a.code(0) + a.code(1) + a.code(2)
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555"} {
		if !strings.Contains(shown, code) {
			return code
		}
	}
	panic("five codes are six")
}

func (a *authenticator) validate(code string, params ...string) *reply {
	a.h.t.Helper()
	return a.h.call("POST", a.h.challenge("validation/"+a.user), append([]string{"code=" + code}, params...)...)
}

// behind changes rows behind a house's back.
func (h *house) behind(statement string) {
	h.t.Helper()
	if strings.HasPrefix(h.parts.database, "sqlite:") {
		h.parts.change(h.t, statement)
		return
	}
	db := h.parts.openSQL(h.t)
	if _, err := db.ExecContext(h.t.Context(), statement); err != nil {
		h.t.Fatal(err)
	}
	_ = db.Close()
}

// again lets all apps show their codes once more.
func (h *house) again() {
	h.t.Helper()
	h.behind(`UPDATE factors SET last_step = 0`)
}

// Covers R-020 for the API: the secret is shown once, works when it is confirmed and not before.
// Covers R-019 for the enrolment's code, and for the order of steps.
func TestAnAppIsEnrolledAndUsed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		a, started := h.startApp(h.user)
		for _, name := range []string{"otp_uri", "qr_code", "expires_at"} {
			started.text(name)
		}
		if started.body["method"] != "totp" || started.body["recovery_codes"] != nil || started.body["code"] != nil || !strings.HasPrefix(started.text("qr_code"), "data:image/png;base64,") {
			t.Errorf("the enrolment shows %s", started.raw)
		}
		uri, err := url.Parse(started.text("otp_uri"))
		if err != nil || uri.Query().Get("secret") != a.secret || uri.Query().Get("issuer") != "Acme Test Ltd" || uri.Path != "/Acme Test Ltd:ana@acme.test" {
			t.Errorf("the app is told %s", started.text("otp_uri"))
		}
		a.validate(a.code(0)).wantFault(404, "not_found") // not before it is confirmed
		a.h.call("PUT", h.enrollment("validation/"+h.user), "code="+a.wrong()).want(200).wantSuccess(false)
		a.h.call("PUT", h.enrollment("validation/"+h.user), "code="+strings.Repeat("K7QD", 4)).wantFault(400, "malformed_code")
		first := a.code(0)
		confirmed := h.call("PUT", h.enrollment("validation/"+h.user), "code="+first).want(200).wantSuccess(true)
		confirmed.text("enrolled_at")
		if lines := strings.Split(confirmed.text("recovery_codes"), "\n"); len(lines) != 5 || len(lines[0]) != 19 || confirmed.body["secret"] != nil || confirmed.body["otp_uri"] != nil {
			t.Errorf("the confirmation shows %s", confirmed.raw)
		}
		h.call("PUT", h.enrollment("validation/"+h.user), "code="+a.code(1)).wantFault(404, "not_found")
		h.noticed("the app", "notice_factor_changed", "ana@acme.test")

		if used := a.validate(first).want(200).wantSuccess(false); used.body["error"] != "already_used" {
			t.Errorf("the enrolment's code answers %s", used.raw)
		}
		second := a.code(1)
		right := a.validate(second).want(200).wantSuccess(true)
		if right.body["method"] != "totp" || right.body["recovery_code_used"] != false || right.body["reenrolment_required"] != false || right.body["code"] != nil || right.body["error"] != nil {
			t.Errorf("a right code answers %s", right.raw)
		}
		for _, code := range []string{second, first, second} { // A, B, A
			if r := a.validate(code).want(200).wantSuccess(false); r.body["error"] != "already_used" {
				t.Errorf("a used code answers %s", r.raw)
			}
		}
		if wrong := a.validate(a.wrong()).want(200).wantSuccess(false); wrong.body["error"] != "wrong_code" {
			t.Errorf("a wrong code answers %s", wrong.raw)
		}
		for late := true; late; { // where a step ends meanwhile, it was the one before that
			h.again()
			before := time.Now().Unix() / 30
			r := a.validate(a.code(-1)).want(200)
			if late = time.Now().Unix()/30 != before; !late {
				r.wantSuccess(true)
			}
		}
		h.again()
		a.validate(a.code(-3)).want(200).wantSuccess(false)
		a.validate(a.code(3)).want(200).wantSuccess(false)
		h.call("POST", h.enrollment(h.user)).wantFault(409, "already_enrolled")
		h.call("POST", h.challenge(h.user)).wantFault(404, "not_found") // there is nothing to send to
	})
}

// An app's codes work until the new one is confirmed, and not after.
// Covers R-020 for what an enrolment replaces.
func TestTheOldAppWorksUntilTheNewOneIsConfirmed(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	old := h.withApp("eva@acme.test")
	next, _ := h.startApp(old.user, "force_enroll=true")
	old.validate(old.code(1)).want(200).wantSuccess(true)
	next.validate(next.code(0)).want(200).wantSuccess(false)
	next.confirm()
	h.again()
	old.validate(old.code(0)).want(200).wantSuccess(false)
	next.validate(next.code(0)).want(200).wantSuccess(true)
	// An enrolment that waits dies after ten minutes.
	late, _ := h.startApp(h.user)
	h.behind(`UPDATE factors SET expires_at = expires_at - 600000 WHERE confirmed_at IS NULL`)
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+late.code(0)).wantFault(404, "not_found")
}

func TestAppsAreEnrolledAsTheConnectionSays(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	path := "/api/v2/org/" + h.org + "/totp-connection"
	for _, bad := range []string{"digits=7", "period=45", "algorithm=MD5", "issuer=a\u202eb"} {
		h.call("PUT", path, bad).wantFault(422, "invalid_parameter")
	}
	h.call("PUT", path, "digits=8", "period=60", "algorithm=SHA256", "issuer=Größe & Söhne: 100%+ 🎉").want(200)
	started := h.call("POST", h.enrollment(h.user), "qr_format=svg", "device_name=Work phone").want(201)
	uri, err := url.Parse(started.text("otp_uri"))
	if q := uri.Query(); err != nil || q.Get("digits") != "8" || q.Get("period") != "60" || q.Get("algorithm") != "SHA256" || q.Get("issuer") != "Größe & Söhne: 100%+ 🎉" {
		t.Errorf("the app is told %s", started.text("otp_uri"))
	}
	if started.text("device_name") != "Work phone" || !strings.HasPrefix(started.text("qr_code"), "data:image/svg+xml;base64,") {
		t.Errorf("the enrolment shows %s", started.raw)
	}
	h.call("POST", h.enrollment(h.user), "qr_format=jpeg").wantFault(422, "invalid_parameter")
	// What the connection says later does not touch who is enrolled.
	h.call("PUT", path, "digits=6", "period=30", "algorithm=SHA1", "issuer=").want(200)
	code := oathtool(t, "--totp=sha256", "-d", "8", "-s", "60s", "-b", started.text("secret"))
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+code).want(200).wantSuccess(true)
}

func oathtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), rig.Installed(t, "oathtool", "oathtool"), args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// The whole way with programs that nobody here wrote: one reads the QR code of
// the answer, another computes the codes.
// Covers R-020 for the API's QR code, read by another program.
func TestOtherProgramsReadAndCount(t *testing.T) {
	t.Parallel()
	zbarimg := rig.Installed(t, "zbarimg", "zbar-tools")
	h := start(t, embedded(t))
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "issuer=Größe & Söhne: 100%+ 🎉").want(200)
	_, started := h.startApp(h.user)
	picture := filepath.Join(t.TempDir(), "qr.png")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(started.text("qr_code"), "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := exec.CommandContext(t.Context(), zbarimg, "-q", "--raw", "--oneshot", picture).Output()
	if err != nil || strings.TrimSuffix(string(read), "\n") != started.text("otp_uri") {
		t.Fatalf("the QR code says %q, %v, want %q", read, err, started.text("otp_uri"))
	}
	uri, err := url.Parse(strings.TrimSpace(string(read)))
	if err != nil {
		t.Fatal(err)
	}
	key := uri.Query().Get("secret")
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+oathtool(t, "--totp", "-b", key)).want(200).wantSuccess(true)
	h.again()
	h.call("POST", h.challenge("validation/"+h.user), "code="+oathtool(t, "--totp", "-b", key)).want(200).wantSuccess(true)
}

// Of 32 parallel uses of one code exactly one succeeds, over two services on
// the same state, none of the others counts as a wrong guess, and so it is with
// the code that confirms an enrolment.
// Covers R-019 for parallel calls over two processes.
// Covers R-022 for app codes and the confirmation of an enrolment.
// Covers R-006 for app codes.
func TestAnAppsCodeWorksOnceUnderParallelFire(t *testing.T) {
	t.Parallel()
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	p := distributed(t)
	h := start(t, p)
	p.noCourier = true
	houses := []*house{h, open(t, p).as(h.token)}
	a := h.withApp("eva@acme.test")
	lost := 0
	for range rounds {
		h.again()
		lost += fire(t, houses, "POST", h.challenge("validation/"+a.user), a.code(0))
	}
	h.again()
	a.validate(a.code(0)).want(200).wantSuccess(true) // nothing was counted as a guess
	// Confirming hashes five codes, so it has fewer rounds here and a hundred
	// in the store's own test.
	for range rounds / 20 {
		next, _ := h.startApp(a.user, "force_enroll=true")
		lost += fire(t, houses, "PUT", h.enrollment("validation/"+a.user), next.code(0))
	}
	if lost > rounds/10 {
		t.Errorf("in %d of %d rounds the answer of the one success was lost", lost, rounds)
	}
}

// Guesses of app codes, SMS codes, recovery codes and enrolments are one
// budget.
// Covers R-013 for all pathways that exist: each exhausts the budget of the others.
// Covers R-001 for app codes and recovery codes beside SMS codes.
func TestAllPathwaysShareOneBudget(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	type person struct {
		*authenticator
		sent string
	}
	people := 0
	furnish := func() person {
		people++
		user := h.newUser("user"+numbered(people)[8:]+"@acme.test", numbered(people))
		a, _ := h.startApp(user)
		a.confirm()
		phone := h.call("POST", h.enrollment(user), "method=sms", "device_name=Phone").want(201)
		h.call("PUT", h.enrollment("validation/"+user), "code="+h.code(phone)).want(200).wantSuccess(true)
		p := person{a, h.code(h.call("POST", h.challenge(user)).want(201))}
		next, _ := h.startApp(user, "device_name=Tablet") // waits, and what it shows is known
		p.secret = next.secret
		h.again()
		return p
	}
	ways := map[string]struct {
		method string
		path   func(p person) string
		code   func(p person, right bool) string
	}{
		"an app": {"POST", func(p person) string { return h.challenge("validation/" + p.user) }, func(p person, _ bool) string { return p.wrong() }},
		"a text message": {"POST", func(p person) string { return h.challenge("validation/" + p.user) }, func(p person, right bool) string {
			if right {
				return p.sent
			}
			return other(p.sent)
		}},
		"recovery": {"POST", func(p person) string { return h.challenge("validation/" + p.user) }, func(p person, right bool) string {
			if right {
				return p.codes[0]
			}
			return "0000-0000-0000-0000"
		}},
		"an enrolment": {"PUT", func(p person) string { return h.enrollment("validation/" + p.user) }, func(p person, right bool) string {
			if right {
				return p.code(0)
			}
			return p.wrong()
		}},
	}
	for spends, way := range ways {
		p := furnish()
		for range 5 {
			h.call(way.method, way.path(p), "code="+way.code(p, false)).want(200).wantSuccess(false)
		}
		for name, then := range ways {
			if r := h.call(then.method, then.path(p), "code="+then.code(p, true)); r.status != 429 {
				t.Errorf("after five wrong guesses by %s, %s answers %d %s", spends, name, r.status, r.raw)
			}
		}
	}
}

// A right code of an app or of a text message is found whichever the user
// types, and both are one guess.
func TestAnAppAndAPhoneBesideEachOther(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	eva := h.enrolled("eva@acme.test", numbered(1))
	a, _ := h.startApp(eva, "device_name=Tablet")
	if r := a.confirm(); r.body["recovery_codes"] != nil || r.text("device_name") != "Tablet" {
		t.Errorf("another device: %s", r.raw)
	}
	h.call("POST", h.enrollment(eva), "method=sms", "device_name=Second phone", "phone_number="+numbered(2)).wantFault(409, "already_enrolled")
	sent := h.call("POST", h.challenge(eva)).want(201)
	for range 4 {
		a.validate(a.wrong()).want(200).wantSuccess(false)
	}
	if r := a.validate(a.code(1)).want(200).wantSuccess(true); r.body["method"] != "totp" {
		t.Errorf("the app's code: %s", r.raw)
	}
	if r := a.validate(h.code(sent)).want(200).wantSuccess(true); r.body["method"] != "sms" || r.text("request_id") != sent.text("request_id") {
		t.Errorf("the phone's code: %s", r.raw)
	}
	for i, name := range []string{"Laptop", "Watch"} {
		another, _ := h.startApp(eva, "device_name="+name)
		another.confirm()
		if i == 1 {
			h.call("POST", h.enrollment(eva), "device_name=Fridge").wantFault(409, "too_many_devices")
		}
	}
	h.call("POST", h.enrollment(eva), "device_name=\u202e").wantFault(422, "invalid_parameter")
}

// A hundred wrong codes in a row disable the second factors, and the user is
// told; the right code is refused then, and a recovery code or a reset is the
// way back.
// Covers R-005 for second factors.
func TestAHundredWrongCodesDisableTheFactors(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		for name, back := range map[string]func(a *authenticator){
			"recovery": func(a *authenticator) {
				if r := a.validate(a.codes[0]).want(200).wantSuccess(true); r.body["recovery_code_used"] != true {
					t.Errorf("a recovery code after the cap: %s", r.raw)
				}
				next, _ := h.startApp(a.user)
				next.confirm()
			},
			"reset": func(a *authenticator) {
				h.call("POST", h.enrollment(a.user), "device_name=Another").wantFault(409, "already_enrolled")
				next, _ := h.startApp(a.user, "force_enroll=true")
				next.confirm()
			},
		} {
			a := h.withApp(name + "@acme.test")
			a.validate(a.wrong()).want(200).wantSuccess(false)
			h.behind(`UPDATE guess_budgets SET in_a_row = 99 WHERE user_id = '` + a.user + `'`) // instead of two months
			a.validate(a.wrong()).want(200).wantSuccess(false)
			h.noticed("the cap", "notice_factors_disabled", name+"@acme.test")
			a.validate(a.code(1)).wantFault(429, "factor_disabled")
			listed := h.call("GET", "/api/v2/org/"+h.org+"/users/"+a.user+"/factors").want(200)
			if f := listed.body["data"].([]any)[0].(map[string]any); f["state"] != "disabled" || f["disabled_by"] != "guesses" {
				t.Errorf("the factor is %v", f)
			}
			back(a)
			listed = h.call("GET", "/api/v2/org/"+h.org+"/users/"+a.user+"/factors").want(200)
			if f := listed.body["data"].([]any); len(f) != 1 || f[0].(map[string]any)["state"] != "active" {
				t.Errorf("after %s: %s", name, listed.raw)
			}
		}
	})
}

// The call that reaches the cap may die before it has disabled anything; the
// next one does it.
func TestACapThatWasReachedUnseenIsSeen(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.withApp("eva@acme.test")
	a.validate(a.wrong()).want(200).wantSuccess(false)
	h.behind(`UPDATE guess_budgets SET in_a_row = 100`)
	a.validate(a.code(1)).wantFault(429, "factor_disabled")
	h.noticed("the cap", "notice_factors_disabled", "eva@acme.test")
}

// Wrong codes of many users raise an alarm that stands in the activity.
// Covers R-009 for app codes: the alarm, while ordinary second factors go on.
func TestSprayingAppCodesIsRecorded(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.withApp("eva@acme.test")
	a.validate(a.wrong()).want(200).wantSuccess(false)
	h.behind(`UPDATE sprays SET fails = 99, users = 20`)
	a.validate(a.wrong()).want(200).wantSuccess(false)
	listed := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=breaker.tripped").want(200)
	if listed.body["total"] != 1.0 {
		t.Errorf("the activity says %s", listed.raw)
	}
	a.validate(a.code(1)).want(200).wantSuccess(true)
}

// The budget of app codes survives whatever somebody can trigger who does not
// have the app.
// Covers R-002 for app codes.
func TestTheBudgetOfAnAppSurvives(t *testing.T) {
	t.Parallel()
	p, redis := distributedOn(t)
	h := start(t, p).passwords()
	p.noCourier = true
	restarted := open(t, p)
	restarted.token, restarted.org = h.token, h.org
	eva := h.newUser("eva@acme.test", "")
	h.withPassword("eva@acme.test", plain)
	for _, way := range []struct {
		name string
		do   func(a *authenticator)
	}{
		{"a fresh login with the right password", func(*authenticator) { h.challengePassword("eva@acme.test", plain).want(200) }},
		{"another device", func(a *authenticator) { h.startApp(a.user, "device_name=Tablet") }},
		{"another process", func(a *authenticator) { a.h = restarted }},
		{"another name of the device", func(a *authenticator) {
			h.call("PUT", h.factors(a.user)+"/"+h.listed(a.user)[""]["id"].(string), "name=Phone").want(200)
		}},
		{"another address", func(a *authenticator) {
			h.call("PUT", "/api/v2/org/"+h.org+"/users/"+a.user, "email=another@acme.test").want(200)
		}},
		{"an empty Redis", func(*authenticator) { redis.Kill(); redis.Start(); retrying{h}.house() }},
	} {
		user := eva
		if way.name != "a fresh login with the right password" {
			user = h.newUser(strings.ReplaceAll(way.name, " ", "-")+"@acme.test", "")
		}
		a, _ := h.startApp(user)
		a.confirm()
		for range 4 {
			a.validate(a.wrong()).want(200).wantSuccess(false)
		}
		way.do(a)
		a.validate(a.wrong()).want(200).wantSuccess(false)
		if r := a.validate(a.code(1)); r.status != 429 {
			t.Errorf("after %s the sixth guess answers %d %s", way.name, r.status, r.raw)
		}
	}
}

// A user with an app gets no code for a password, a reset or a link alone; a
// right code of the app ends the login that waits, once, and its tokens say
// what was proven.
// Covers R-036 for passwords, resets and links with an app.
// Covers R-035 for app codes and recovery codes in tokens.
func TestNoWayAroundAnApp(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		a := h.withApp("eva@acme.test")
		set := h.setPassword(h.codeFor("eva@acme.test"), plain).want(200)
		right := h.challengePassword("eva@acme.test", plain).want(200)
		asked := h.call("POST", "/api/v2/magic-link-challenge", "user_email=eva@acme.test", "redirect_uri="+appURL, "org_domain="+h.org).want(201)
		followed := h.browser().follow(h.courier.letterFor(t, asked.text("request_id")).Link)
		if set.body["code"] != nil || right.body["code"] != nil || followed.Get("code") != "" || right.body["mfa_required"] != true {
			t.Fatalf("without the app: %s, %s, %v", set.raw, right.raw, followed)
		}
		amr := func(given *reply) string {
			t.Helper()
			part := strings.Split(given.want(200).text("access_token"), ".")[1]
			raw, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil {
				t.Fatal(err)
			}
			var said struct {
				AMR []string `json:"amr"`
				ACR string   `json:"acr"`
			}
			if err := json.Unmarshal(raw, &said); err != nil {
				t.Fatal(err)
			}
			return strings.Join(said.AMR, " ") + " " + said.ACR
		}
		for requestID, want := range map[string]string{
			set.text("request_id"): "email mfa otp pwd aal2", right.text("request_id"): "mfa otp pwd aal2", followed.Get("request_id"): "email mfa otp aal2",
		} {
			a.validate(a.wrong(), "request_id="+requestID).want(200).wantSuccess(false)
			h.again()
			ended := a.validate(a.code(0), "request_id="+requestID).want(200).wantSuccess(true)
			if got := amr(h.tokens(ended.text("authorization_code"))); got != want {
				t.Errorf("the tokens say %s, want %s", got, want)
			}
			h.again()
			a.validate(a.code(0), "request_id="+requestID).wantFault(404, "not_found")
		}
		waiting := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
		a.validate(a.codes[0], "request_id="+waiting).want(200).wantSuccess(true)
		next, _ := h.startApp(a.user)
		if got := amr(h.tokens(next.confirm("request_id=" + waiting).text("authorization_code"))); got != "mfa otp pwd recovery aal2" {
			t.Errorf("after recovery the tokens say %s", got)
		}
	})
}

// Three wrong codes of an app after a right password are one mail to the user,
// in however many logins they come.
// Covers R-014 for passwords with app codes.
func TestFailingAtTheAppIsTold(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	a := h.withApp("eva@acme.test")
	h.withPassword("eva@acme.test", plain)
	for range 2 { // two in a login, and one in the next
		waiting := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
		a.validate(a.wrong(), "request_id="+waiting).want(200).wantSuccess(false)
		a.validate(a.wrong(), "request_id="+waiting).want(200).wantSuccess(false)
	}
	h.noticed("failures", "notice_second_factor_failing", "eva@acme.test")
	if listed := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=mfa.failed").want(200); listed.body["total"] != 1.0 {
		t.Errorf("the activity says %s", listed.raw)
	}
}

// The first code of another device proves nothing about those that were guessed
// at, so guesses stay counted; and what an administrator has shut meanwhile is
// not opened by it.
func TestAnotherDeviceOpensNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		for _, method := range []string{"totp", "sms"} {
			a := h.withApp(method + "@acme.test")
			for range 3 {
				a.validate(a.wrong()).want(200).wantSuccess(false)
			}
			var code string
			if method == "sms" {
				code = h.code(h.call("POST", h.enrollment(a.user), "method=sms", "device_name=Phone", "phone_number="+numbered(1)).want(201))
			} else {
				other, _ := h.startApp(a.user, "device_name=Tablet")
				code = other.code(0)
			}
			h.call("PUT", h.enrollment("validation/"+a.user), "code="+code).want(200).wantSuccess(true)
			for range 2 {
				a.validate(a.wrong()).want(200).wantSuccess(false)
			}
			if r := a.validate(a.wrong()); r.status != 429 {
				t.Errorf("another %s device gave guesses back: %d %s", method, r.status, r.raw)
			}
		}
		a := h.withApp("eva@acme.test", "device_name=Phone")
		waiting, _ := h.startApp(a.user, "device_name=Tablet")
		h.call("POST", h.factors(a.user)+"/"+h.listed(a.user)["Phone"]["id"].(string)+"/disable").want(200)
		h.call("PUT", h.enrollment("validation/"+a.user), "code="+waiting.code(0)).wantFault(404, "not_found")
	})
}

// Who was at the cap and has no factor left can be enrolled again.
func TestTheCapGoesWithTheLastFactor(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.withApp("eva@acme.test", "device_name=Phone")
	a.validate(a.wrong()).want(200).wantSuccess(false)
	h.behind(`UPDATE guess_budgets SET in_a_row = 99`)
	a.validate(a.wrong()).want(200).wantSuccess(false)
	h.call("DELETE", h.factors(a.user)+"/"+h.listed(a.user)["Phone"]["id"].(string)).want(200)
	next, _ := h.startApp(a.user)
	next.confirm()
}
