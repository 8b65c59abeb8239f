package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"countersign.dev/services/api"
)

// both runs a test on embedded and on distributed parts.
func both(t *testing.T, test func(t *testing.T, p *parts)) {
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, embedded(t)) })
	t.Run("distributed", func(t *testing.T) { t.Parallel(); test(t, distributed(t)) })
}

// The path from request to proof, with all it shows on the way.
func TestAPhoneIsEnrolledChallengedAndProven(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		h.call("POST", h.challenge(h.user)).wantFault(404, "not_found") // not enrolled yet

		started := h.call("POST", h.enrollment(h.user), "method=sms").want(201).wantSuccess(false)
		if started.body["code"] != nil || started.body["recovery_codes"] != nil || started.body["__type__"] != "TotpEnrollment" {
			t.Errorf("the start of an enrolment shows %s", started.raw)
		}
		sent := h.courier.wait(t, started.text("request_id"))
		if sent.To != "+4915112345678" || sent.Brand != "Acme Test Ltd" || sent.Host != "127.0.0.1" {
			t.Errorf("the worker got %+v", sent)
		}
		h.call("POST", h.challenge(h.user)).wantFault(404, "not_found") // still not confirmed
		h.call("PUT", h.enrollment("validation/"+h.user), "code="+other(sent.Code)).want(200).wantSuccess(false)
		done := h.call("PUT", h.enrollment("validation/"+h.user), "code="+sent.Code).want(200).wantSuccess(true)
		done.text("enrolled_at")
		if user := h.call("GET", "/api/v2/org/"+h.org+"/users/"+h.user).want(200); user.body["phone_number_verified"] != true {
			t.Errorf("the number is not verified: %s", user.raw)
		}
		h.call("POST", h.enrollment(h.user), "method=sms").wantFault(409, "already_enrolled")

		challenge := h.call("POST", h.challenge(h.user)).want(201).wantSuccess(false)
		if challenge.body["code"] != nil || challenge.body["sent_at"] != nil || !strings.HasPrefix(challenge.text("request_id"), "totp-challenge_") {
			t.Errorf("the challenge shows %s", challenge.raw)
		}
		code := h.code(challenge)
		wrong := h.call("POST", h.challenge("validation/"+h.user), "code="+other(code)).want(200).wantSuccess(false)
		if wrong.body["error"] != "wrong_code" || wrong.text("request_id") != challenge.text("request_id") {
			t.Errorf("a wrong code answers %s", wrong.raw)
		}
		right := h.call("POST", h.challenge("validation/"+h.user), "code="+code).want(200).wantSuccess(true)
		if right.text("request_id") != challenge.text("request_id") || right.body["recovery_code_used"] != false || right.body["code"] != nil {
			t.Errorf("the right code answers %s", right.raw)
		}
		again := h.call("POST", h.challenge("validation/"+h.user), "code="+code).want(200).wantSuccess(false)
		if again.body["error"] != "no_live_code" {
			t.Errorf("a used code answers %s", again.raw)
		}
	})
}

func TestAnEnrolmentTakesTheNumberGiven(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	started := h.call("POST", h.enrollment(h.user), "method=sms", "phone_number=+33612345678").want(201)
	if sent := h.courier.wait(t, started.text("request_id")); sent.To != "+33612345678" {
		t.Errorf("sent to %s", sent.To)
	}
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+h.code(started)).want(200).wantSuccess(true)
	user := h.call("GET", "/api/v2/org/"+h.org+"/users/"+h.user).want(200)
	if user.body["phone_number_verified"] != false {
		t.Errorf("proving another number verified the user's: %s", user.raw)
	}
	without := h.newUser("nophone@acme.test", "")
	h.call("POST", h.enrollment(without), "method=sms").wantFault(422, "missing_parameter")
	h.call("POST", h.enrollment(without), "method=carrier-pigeon").wantFault(422, "invalid_parameter")
	h.call("POST", h.enrollment(without), "method=sms", "phone_number=0151 12345678").wantFault(422, "invalid_parameter")
}

// A code proves the phone it went to, not the one that took its place.
func TestACodeOfAReplacedPhoneProvesNothing(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	first := h.call("POST", h.enrollment(h.user), "method=sms", "phone_number=+33612345678").want(201)
	firstCode := h.code(first)
	second := h.call("POST", h.enrollment(h.user), "method=sms", "phone_number=+33687654321").want(201)
	secondCode := h.code(second)
	if firstCode != secondCode {
		h.call("PUT", h.enrollment("validation/"+h.user), "code="+firstCode).want(200).wantSuccess(false)
	}
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+secondCode).want(200).wantSuccess(true)

	login := h.code(h.call("POST", h.challenge(h.user)).want(201))
	third := h.call("POST", h.enrollment(h.user), "method=sms", "phone_number=+33611111111", "force_enroll=true").want(201)
	// The old phone works until the new one is confirmed, and not after.
	h.call("POST", h.challenge("validation/"+h.user), "code="+login).want(200).wantSuccess(true)
	login = h.code(h.call("POST", h.challenge(h.user)).want(201))
	h.call("PUT", h.enrollment("validation/"+h.user), "code="+h.code(third)).want(200).wantSuccess(true)
	h.call("POST", h.challenge("validation/"+h.user), "code="+login).want(200).wantSuccess(false)
}

func TestTheCallerMayDeliver(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	user := h.enrolled("eva@acme.test", "+4915187654321")
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "delivery=caller").want(200)
	challenge := h.call("POST", h.challenge(user)).want(201)
	code := challenge.text("code")
	if challenge.body["sent_at"] != nil || len(code) != 6 {
		t.Errorf("the challenge shows %s", challenge.raw)
	}
	right := h.call("POST", h.challenge("validation/"+user), "code="+code).want(200).wantSuccess(true)
	if right.text("code") != code {
		t.Errorf("the validation does not echo the code: %s", right.raw)
	}
	deliveries := h.call("GET", "/api/v2/org/"+h.org+"/deliveries", "request_id="+challenge.text("request_id")).want(200)
	if deliveries.body["total"] != 0.0 {
		t.Errorf("a delivery was made although the caller delivers: %s", deliveries.raw)
	}
	// A key without the scope never sees a code.
	blind := h.as(h.signIn(h.key("acme", "sandbox")))
	blind.call("POST", blind.challenge(user)).wantFault(403, "insufficient_scope")
}

func TestConnectionsGateSecondFactors(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	user := h.enrolled("eva@acme.test", "+4915187654321")
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "active=false").want(200)
	h.call("POST", h.challenge(user)).wantFault(403, "user_inactive")
	h.call("POST", h.challenge("validation/"+user), "code=123456").wantFault(403, "user_inactive")
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "active=true").want(200)
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "active=false").want(200)
	for _, reply := range []*reply{
		h.call("POST", h.enrollment(user), "method=sms"),
		h.call("PUT", h.enrollment("validation/"+user), "code=123456"),
		h.call("POST", h.challenge(user)),
		h.call("POST", h.challenge("validation/"+user), "code=123456"),
	} {
		reply.wantFault(404, "not_found")
	}
	if n := len(h.courier.mail); n != 0 {
		t.Errorf("%d messages were sent all the same", n)
	}
}

// Covers R-021 for the resend and the five tries.
func TestAResendReplacesTheCodeBefore(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	user := h.enrolled("eva@acme.test", "+4915187654321")
	old := h.code(h.call("POST", h.challenge(user)).want(201))
	fresh := h.code(h.call("POST", h.challenge(user)).want(201))
	if old != fresh {
		h.call("POST", h.challenge("validation/"+user), "code="+old).want(200).wantSuccess(false)
	}
	h.call("POST", h.challenge("validation/"+user), "code="+fresh).want(200).wantSuccess(true)

	// Five checks per code: the sixth is refused even if it is right. The
	// user's own budget is as wide, so it answers first.
	code := h.code(h.call("POST", h.challenge(user)).want(201))
	for range 5 {
		h.call("POST", h.challenge("validation/"+user), "code="+other(code)).want(200).wantSuccess(false)
	}
	h.call("POST", h.challenge("validation/"+user), "code="+code).wantFault(429, "too_many_attempts")
}

// Guesses are counted per user, whatever flow, route or session they come
// through, and nothing but a right code gives them back.
// Covers R-001 for parallel flows, routes and names of a user.
func TestGuessesAreLimitedAcrossFlows(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		user := h.enrolled("eva@acme.test", "+4915187654321")
		code := h.code(h.call("POST", h.challenge(user)).want(201))
		h.call("POST", h.enrollment(user), "method=sms", "force_enroll=true").want(201)
		paths := [][2]string{
			{"POST", h.challenge("validation/" + user)},
			{"POST", h.challenge("validation/eva@acme.test")},
			{"POST", h.challenge("validation/EVA@ACME.TEST")},
			{"PUT", h.enrollment("validation/" + user)},
		}
		var compared, refused, unknown atomic.Int32
		guess := func(i int) int {
			path := paths[i%len(paths)]
			r := h.call(path[0], path[1], "code="+other(code))
			switch r.status {
			case http.StatusOK:
				if r.body["success"] != false {
					t.Errorf("a wrong code was taken: %s", r.raw)
				}
				compared.Add(1)
			case http.StatusServiceUnavailable: // a busy machine may refuse to wait, before the count or after it
				unknown.Add(1)
			case http.StatusTooManyRequests:
				if r.header.Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %s", r.raw)
				}
				refused.Add(1)
			default:
				t.Errorf("status %d: %s", r.status, r.raw)
			}
			return r.status
		}
		parallel(t, 200, func(i int) { guess(i) })
		if n := compared.Load() + refused.Load() + unknown.Load(); n != 200 {
			t.Errorf("%d of 200 guesses were answered", n)
		}
		// What a busy machine gave up on may have left some of the budget.
		until(t, func() bool { return guess(0) == http.StatusTooManyRequests })
		if c, u := compared.Load(), unknown.Load(); c > 5 || c+u < 5 {
			t.Errorf("%d guesses were compared, %d refused and %d given up, want 5 compared", c, refused.Load(), u)
		}
		// A new challenge is no new budget.
		fresh := h.code(h.call("POST", h.challenge(user)).want(201))
		h.call("POST", h.challenge("validation/"+user), "code="+fresh).wantFault(429, "too_many_attempts")
		// Another user is not concerned.
		other := h.enrolled("bob@acme.test", "+4915187650000")
		h.call("POST", h.challenge("validation/"+other), "code="+h.code(h.call("POST", h.challenge(other)).want(201))).want(200).wantSuccess(true)
	})
}

// Only six ASCII digits are a code. Anything else compares nothing and takes
// no guess.
//
func TestOnlySixDigitsAreACode(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	user := h.enrolled("eva@acme.test", "+4915187654321")
	code := h.code(h.call("POST", h.challenge(user)).want(201))
	path := h.challenge("validation/" + user)
	for _, bad := range []string{
		" " + code, code + "\n", code + " ", "+" + code[1:], "1e5123", code + "\x00", "１２３４５６", "12345", "1234567", strings.Repeat("1", 1000), "abcdef", "-12345",
	} {
		h.call("POST", path, "code="+bad).wantFault(400, "malformed_code")
	}
	for _, body := range []string{`{"code":12345}`, `{"code":["123456"]}`, `{"code":{"a":"123456"}}`, `{"code":true}`} {
		h.raw("POST", path, "application/json", strings.NewReader(body)).wantFault(400, "malformed_parameter")
	}
	h.raw("POST", path, "application/json", strings.NewReader(`{"code":"`+strings.Repeat("1", 1<<20)+`"}`)).wantFault(413, "body_too_large")
	h.call("POST", path).wantFault(422, "missing_parameter")
	// Twelve malformed ones took no guess: four wrong ones and the right one
	// still go through.
	for range 4 {
		h.call("POST", path, "code="+other(code)).want(200).wantSuccess(false)
	}
	h.call("POST", path, "code="+code).want(200).wantSuccess(true)
	// Malformed ones have a limit of their own per source: 60 a minute.
	limited := 0
	for range 70 {
		if r := h.call("POST", path, "code=x"); r.status == http.StatusTooManyRequests {
			r.wantFault(429, "too_many_malformed")
			limited++
		}
	}
	if limited == 0 {
		t.Error("70 malformed codes met no limit")
	}
}

// Of 32 parallel uses of the right code exactly one succeeds, over two
// services on the same state, and none of them counts as a wrong guess.
// Covers R-022 for SMS codes.
// Covers R-006 for SMS codes.
func TestACodeWorksOnceUnderParallelFire(t *testing.T) {
	t.Parallel()
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	p := distributed(t)
	h := start(t, p)
	p.noCourier = true
	second := open(t, p)
	houses := []*house{h, second.as(h.token)}
	user := h.enrolled("eva@acme.test", "+4915187654321")
	lost := 0
	for range rounds {
		code := h.code(h.call("POST", h.challenge(user)).want(201))
		lost += fire(t, houses, "POST", h.challenge("validation/"+user), code)
	}
	if lost > rounds/10 {
		t.Errorf("in %d of %d rounds the answer of the one success was lost", lost, rounds)
	}
}

// fire types one code in 32 parallel calls, of which exactly one must succeed.
// It returns 1 when the answer of that one may have been lost, else 0.
func fire(t *testing.T, houses []*house, method, path, code string) (lost int) {
	t.Helper()
	var won, unanswered atomic.Int32
	parallel(t, 32, func(i int) {
		switch r := houses[i%len(houses)].call(method, path, "code="+code); {
		case r.body["success"] == true:
			won.Add(1)
		case r.status == http.StatusServiceUnavailable: // a busy machine: this call may have been the one
			unanswered.Add(1)
		case r.status != http.StatusOK && r.status != http.StatusNotFound && r.status != http.StatusTooManyRequests:
			t.Errorf("status %d: %s", r.status, r.raw)
		}
	})
	switch {
	case won.Load() > 1, won.Load() == 0 && unanswered.Load() == 0:
		t.Fatalf("%s %s: %d of 32 succeeded, want exactly 1", method, path, won.Load())
	case won.Load() == 0:
		lost = 1
	}
	return lost
}

func parallel(t *testing.T, n int, do func(i int)) {
	t.Helper()
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-begin
			do(i)
		})
	}
	close(begin)
	group.Wait()
}

// Production numbers must be in a listed country; none is listed at first.
func TestCountriesOfProduction(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "active=true").want(200)
	live.user = live.newUser("ana@acme.test", "+4915112345678") // the sandbox has an ana of its own
	if live.user == h.user {
		t.Fatal("the environments share a user")
	}
	live.call("POST", live.enrollment(live.user), "method=sms").wantFault(422, "country_not_allowed")
	live.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "countries[]=FR").want(200)
	live.call("POST", live.enrollment(live.user), "method=sms").wantFault(422, "country_not_allowed")
	live.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "countries[]=FR", "countries[]=de").want(200)
	live.call("POST", live.enrollment(live.user), "method=sms").want(201)
	live.call("POST", live.enrollment(live.user), "method=sms").wantFault(429, "resend_too_soon")
	if n := len(live.courier.mail); n > 1 {
		t.Errorf("%d messages were sent, want one", n)
	}
}

func TestSendLimitsPerNumberAndOrganization(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "active=true", "countries[]=DE", "sms_per_hour=12").want(200)
	// A validated code ends the resend gap, so five sends to one number in a
	// row pass, and the sixth meets the limit of ten minutes.
	user := live.newUser("one@acme.test", numbered(0))
	for i := range 5 {
		method, force := "method=sms", fmt.Sprintf("force_enroll=%v", i > 0)
		started := live.call("POST", live.enrollment(user), method, force).want(201)
		live.call("PUT", live.enrollment("validation/"+user), "code="+live.code(started)).want(200).wantSuccess(true)
	}
	limited := live.call("POST", live.challenge(user)).wantFault(429, "number_limit")
	if limited.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// The organization's budget ends the rest.
	sent := 5
	for i := 1; i < 20; i++ {
		user := live.newUser(fmt.Sprintf("user%d@acme.test", i), numbered(i))
		r := live.call("POST", live.enrollment(user), "method=sms")
		if r.status == http.StatusTooManyRequests {
			r.wantFault(429, "organization_limit")
			break
		}
		r.want(201)
		sent++
	}
	if sent != 12 {
		t.Errorf("%d messages were sent, want the 12 of the organization's budget", sent)
	}
}
