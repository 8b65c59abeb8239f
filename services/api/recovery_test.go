package api_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api"
)

func (a *authenticator) left(want int) *reply {
	a.h.t.Helper()
	r := a.h.call("GET", "/api/v2/org/"+a.h.org+"/users/"+a.user+"/recovery-codes").want(200)
	if r.body["left"] != float64(want) {
		a.h.t.Errorf("%v codes are left, want %d: %s", r.body["left"], want, r.raw)
	}
	return r
}

// A used recovery code leaves nothing open but an enrolment, which ends the
// login that waits.
// Covers R-026 for the headless API: factors, codes, logins and the mail.
// Covers R-024 for the reuse of a code.
func TestARecoveryCodeOpensOnlyAnEnrolment(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		a := h.withApp("eva@acme.test")
		h.withPassword("eva@acme.test", plain)
		waiting := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
		code := messy(a.codes[2])
		used := a.validate(code, "request_id="+waiting).want(200).wantSuccess(true)
		if used.body["recovery_code_used"] != true || used.body["reenrolment_required"] != true || used.body["authorization_code"] != nil || used.body["method"] != "recovery" || used.body["code"] != nil {
			t.Errorf("a recovery code answers %s", used.raw)
		}
		h.noticed("the recovery code", "notice_recovery_code_used", "eva@acme.test")
		for name, r := range map[string]*reply{
			"the app's code":      a.validate(a.code(1)),
			"the used code":       a.validate(code),
			"another code":        a.validate(a.codes[3]),
			"a challenge":         h.call("POST", h.challenge(a.user)),
			"with the login":      a.validate(a.code(1), "request_id="+waiting),
			"a code of six zeros": a.validate("000000"),
		} {
			if r.wantFault(403, "reenrolment_required"); r.status != 403 {
				t.Errorf("%s: %s", name, r.raw)
			}
		}
		// A password alone is no more worth than before, and an enrolment ends
		// no login for which no recovery code was used.
		other := h.challengePassword("eva@acme.test", plain).want(200)
		if other.body["code"] != nil || other.body["mfa_required"] != true {
			t.Errorf("a password after recovery: %s", other.raw)
		}
		a.left(4).text("next_at")

		next, _ := h.startApp(a.user)
		ended := next.confirm("request_id=" + waiting)
		if ended.body["recovery_codes"] != nil || ended.body["error"] != nil {
			t.Errorf("enrolling anew answers %s", ended.raw)
		}
		h.tokens(ended.text("authorization_code")).want(200)
		next.left(4)
		a.validate(a.code(0)).want(200).wantSuccess(false)
		next.validate(next.code(1), "request_id="+other.text("request_id")).want(200).wantSuccess(true).text("authorization_code")
		next.validate(a.codes[3]).wantFault(429, "recovery_code_wait") // within the day
		next.left(4)
	})
}

// messy is a recovery code as somebody may type it.
func messy(code string) string {
	out := " "
	for i, c := range code {
		switch {
		case c == '0':
			out += "o"
		case c == '1':
			out += "L"
		case i%2 == 0 && c >= 'A':
			out += string(c + 'a' - 'A')
		case c == '-':
			out += " - "
		default:
			out += string(c)
		}
	}
	return out
}

// An enrolment proves nothing to a login for which no recovery code was used.
func TestAnEnrolmentAloneEndsNoLogin(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	a := h.withApp("eva@acme.test")
	h.withPassword("eva@acme.test", plain)
	a.validate(a.codes[0]).want(200).wantSuccess(true)
	waiting := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
	next, _ := h.startApp(a.user)
	r := next.confirm("request_id=" + waiting)
	if r.body["authorization_code"] != nil || r.body["error"] != "no_waiting_login" {
		t.Errorf("an enrolment answers %s", r.raw)
	}
	next.validate(next.code(1), "request_id="+waiting).want(200).wantSuccess(true).text("authorization_code")
}

// A first code for which there was no turn at hashing the recovery codes is as
// good as before, and no guess was taken.
func TestAFirstCodeThatGotNoTurnStillConfirms(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.cfg = func(cfg *api.Config) { cfg.Guesses = 1 }
		h := start(t, p)
		app, _ := h.startApp(h.newUser("app@acme.test", ""))
		phone := h.newUser("phone@acme.test", "+4915112345699")
		sent := h.code(h.call("POST", h.enrollment(phone), "method=sms").want(201))
		confirm := func(user, code string) *reply {
			return h.call("PUT", h.enrollment("validation/"+user), "code="+code)
		}

		free := h.takeTurns()
		confirm(app.user, app.code(0)).wantFault(503, "passwords_busy")
		confirm(phone, sent).wantFault(503, "passwords_busy")
		free()
		confirm(app.user, app.code(0)).want(200).wantSuccess(true).text("recovery_codes")
		confirm(phone, sent).want(200).wantSuccess(true).text("recovery_codes")
	})
}

// takeTurns takes all turns at hashing until they are freed.
func (h *house) takeTurns() (free func()) {
	h.t.Helper()
	held := make(chan struct{})
	free = sync.OnceFunc(func() { close(held) })
	h.t.Cleanup(free)
	for range max(1, runtime.GOMAXPROCS(0)-1) {
		taken := make(chan struct{})
		background(h.t, func(ctx context.Context) error {
			return h.service.Turns().Do(ctx, "somebody else", "", func(ctx context.Context) error {
				close(taken)
				select {
				case <-held:
				case <-ctx.Done():
				}
				return nil
			})
		})
		<-taken
	}
	return free
}

// Of 30 parallel uses of five different valid codes one is taken, and of 32 of
// one code, over two services on the same state.
// Covers R-025 for the API, over two processes.
// Covers R-022 for recovery codes over HTTP.
func TestParallelRecoveryCodesOpenOnce(t *testing.T) {
	t.Parallel()
	p := distributed(t)
	h := start(t, p)
	p.noCourier = true
	houses := []*house{h, open(t, p).as(h.token)}
	for round, codes := range []int{5, 1, 2} {
		a := h.withApp(string(rune('a'+round)) + "@acme.test")
		var won, unanswered atomic.Int32
		parallel(t, 30, func(i int) {
			switch r := houses[i%2].call("POST", h.challenge("validation/"+a.user), "code="+a.codes[i%codes]); {
			case r.body["success"] == true:
				won.Add(1)
			case r.status == 503: // no turn at hashing
				unanswered.Add(1)
			case r.status != 200 && r.status != 403 && r.status != 429:
				t.Errorf("status %d: %s", r.status, r.raw)
			}
		})
		if n := won.Load(); n > 1 || n == 0 && unanswered.Load() == 0 {
			t.Errorf("%d of 30 uses of %d codes were taken, want one", n, codes)
		}
		a.left(4)
	}
}

// The day between two codes outlives a flushed Redis and a restart, and what
// fails does not use it up.
// Covers R-025 for what survives, and for failed tries.
func TestTheDayBetweenRecoveryCodesLasts(t *testing.T) {
	t.Parallel()
	p, redis := distributedOn(t)
	h := start(t, p)
	a := h.withApp("eva@acme.test")
	a.validate("0000-0000-0000-0000").want(200).wantSuccess(false)
	a.validate(a.codes[0]).want(200).wantSuccess(true)
	next, _ := h.startApp(a.user)
	next.confirm()
	waits := func(h *house, why string) {
		t.Helper()
		r := h.call("POST", h.challenge("validation/"+a.user), "code="+a.codes[1])
		if r.wantFault(429, "recovery_code_wait"); r.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After: %s", why, r.raw)
		}
	}
	waits(h, "at once")
	redis.Kill()
	redis.Start()
	retrying{h}.house()
	waits(h, "after Redis has lost everything")
	p.noCourier = true
	again := open(t, p).as(h.token)
	again.org = h.org
	waits(again, "in another process")
	// The gate alone keeps it shut, too: what it knows is not asked twice.
	h.behind(`UPDATE recovery_sets SET last_used_at = last_used_at - 86400000`)
	a.validate(a.codes[1]).want(200).wantSuccess(true)
	next, _ = h.startApp(a.user)
	next.confirm()
	h.behind(`UPDATE recovery_sets SET last_used_at = last_used_at - 86400000`)
	waits(h, "by the front gate")
}

// Five codes lead to five plain enrolments; after that only somebody with the
// scope for it helps, and that makes five new codes, ends other logins and is
// told.
//
// Covers R-033 for a reset of factors.
func TestTheSixthTimeNeedsAHuman(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	var ahead atomic.Int64 // days that the gate's clock is ahead
	short := ephemeral.NewMemory(func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * 24 * time.Hour) })
	p.short = func(*testing.T) ephemeral.Store { return short }
	h := start(t, p).passwords()
	a := h.withApp("eva@acme.test")
	h.withPassword("eva@acme.test", plain)
	codes := a.codes
	for i, code := range codes {
		a.validate(code).want(200).wantSuccess(true)
		next, _ := h.startApp(a.user)
		next.confirm()
		next.left(4 - i)
		a = next
		h.behind(`UPDATE recovery_sets SET last_used_at = last_used_at - 86400000`)
		ahead.Add(1)
	}
	if a.validate(codes[0]).want(200).wantSuccess(false); a.left(0).body["reenrolment_required"] != false {
		t.Error("an enrolment is required although none was used")
	}
	h.call("POST", h.enrollment(a.user)).wantFault(409, "already_enrolled")
	plainKey := h.as(h.signIn(h.key("acme", "sandbox")))
	plainKey.call("POST", plainKey.enrollment(a.user), "force_enroll=true").wantFault(403, "insufficient_scope")

	login := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
	h.again()
	session := h.tokens(a.validate(a.code(0), "request_id="+login).want(200).text("authorization_code")).want(200)
	fresh, _ := h.startApp(a.user, "force_enroll=true")
	if fresh.confirm(); len(fresh.codes) != 5 {
		t.Errorf("a reset gives %d codes", len(fresh.codes))
	}
	h.noticed("the reset", "notice_factors_reset", "eva@acme.test")
	fresh.left(5)
	h.call("POST", "/api/v2/oauth/token", "grant_type=refresh_token", "refresh_token="+session.text("refresh_token")).want(400)
	fresh.validate(codes[1]).want(200).wantSuccess(false)
	fresh.validate(fresh.codes[4]).want(200).wantSuccess(true)
}

// Guesses of recovery codes cost one hash each, whoever is asked about.
// Covers R-023 for the shape of codes and what is stored of them.
func TestRecoveryCodesAreStoredAsHashes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.dear = true
		h := start(t, p)
		a := h.withApp("eva@acme.test")
		seen := map[string]bool{}
		for _, code := range a.codes {
			if len(code) != 19 || seen[code] {
				t.Errorf("a code is %q", code)
			}
			seen[code] = true
		}
		db := p.openSQL(t)
		var made string
		var tags []byte
		if err := db.QueryRowContext(t.Context(), `SELECT made, tags FROM recovery_sets`).Scan(&made, &tags); err != nil {
			t.Fatal(err)
		}
		if made[:31] != "$argon2id$v=19$m=19456,t=2,p=1$" || len(tags) != 5*32 {
			t.Errorf("stored are %q and %d bytes", made, len(tags))
		}
		for _, bad := range []string{"K7QD-2MZP-X4TB-9HW", "K7QD-2MZP-X4TB-9HWSS", "K7QD-2MZP-X4TB-9HWU", "K7QD_2MZP_X4TB_9HWS", "Ｋ7QD-2MZP-X4TB-9HWS"} {
			a.validate(bad).wantFault(400, "malformed_code")
		}
	})
}
