package api_test

import (
	"strings"
	"testing"

	apps "countersign.dev/services/api/internal/app"
)

// proveSent proves a method whose code is sent, with the code that comes into
// the inbox.
func (s *steps) proveSent(inbox *house, method, usage, to string, pairs ...string) *reply {
	s.t.Helper()
	started, code := inbox.received(to, func() *reply { return s.initiate(method, usage, pairs...) })
	s.prove(method, started, other(code)).wantVER(400, "VER_0041")
	return s.prove(method, started, code)
}

// wantNeeds checks what a proof says that the login still needs.
func (r *reply) wantNeeds(mfa, reenrolment bool) *reply {
	r.t.Helper()
	if data := r.data(); data["mfa_required"] != mfa || data["reenrolment_required"] != reenrolment {
		r.t.Fatalf("%s: %s", r.what, r.raw)
	}
	return r
}

// reenrol enrols an app in a login that waits for it.
func (s *steps) reenrol(trackID string) *authenticator {
	s.t.Helper()
	started := s.says("/verification-actions-srv/setup/totp/initiation/"+trackID, "verification_type=totp")
	a := &authenticator{h: s.house, secret: started.said("totp_secret")}
	if said(started.data(), "authenticator_client_id") != s.app.ID || !strings.HasPrefix(started.said("totp_uri"), "otpauth://totp/") {
		s.t.Errorf("the enrolment says %s", started.raw)
	}
	confirm := func(code string) *reply {
		return s.says("/verification-actions-srv/setup/totp/verification", "exchange_id="+started.exchangeID(), "pass_code="+code)
	}
	confirm(a.wrong()).wantVER(400, "VER_0041")
	confirm(a.code(0)).wantNeeds(false, false)
	return a
}

// A login may begin with any method that the app and the organization allow, and
// its tokens say what was proven.
func TestALoginBeginsWithAnyMethod(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := codesAlone(t, p)
		c := h.pages()
		t.Run("SMS", func(t *testing.T) {
			c := c.within(t)
			eva := h.enrolled("eva@acme.test", numbered(1))
			s := c.leads()
			proven := s.proveSent(h, "SMS", initial, numbered(1), "email=eva@acme.test").wantNeeds(false, false)
			c.wantTokens(s.finish("SMS", proven).wantCodeIn("#"), eva, "sms", "aal1")
		})
		t.Run("EMAIL", func(t *testing.T) {
			c := c.within(t)
			s := c.leads()
			proven := s.proveSent(h, "EMAIL", initial, "ana@acme.test", "email=Ana@acme.test").wantNeeds(false, false)
			c.wantTokens(s.finish("EMAIL", proven).wantCodeIn("#"), h.user, "email", "aal1")
		})
		t.Run("EMAIL of a user with a second factor", func(t *testing.T) {
			c := c.within(t)
			a := h.withApp("dan@acme.test")
			s := c.leads()
			proven := s.proveSent(h, "EMAIL", initial, "dan@acme.test", "email=dan@acme.test").wantNeeds(true, false)
			second := s.prove("TOTP", s.initiate("TOTP", further, "sub="+proven.said("sub")), a.code(1)).wantNeeds(false, false)
			c.wantTokens(s.finish("TOTP", second).wantCodeIn("#"), a.user, "email mfa otp", "aal2")
		})
		t.Run("BACKUPCODE, and finish", func(t *testing.T) {
			c := c.within(t)
			a := h.withApp("kim@acme.test")
			s := c.leads()
			proven := s.begins("BACKUPCODE", "kim@acme.test", a.codes[0]).wantNeeds(false, true)
			next := s.reenrol(proven.said("track_id"))
			c.wantTokens(s.finish("BACKUPCODE", proven).wantCodeIn("#"), a.user, "otp recovery", "aal1")
			h.again()
			s = c.leads()
			c.wantTokens(s.finish("TOTP", s.begins("TOTP", "kim@acme.test", next.code(0))).wantCodeIn("#"), a.user, "otp", "aal1")
		})
		t.Run("BACKUPCODE, and go on", func(t *testing.T) {
			c := c.within(t)
			a := h.withApp("joe@acme.test")
			s := c.leads()
			proven := s.begins("BACKUPCODE", "joe@acme.test", a.codes[0]).wantNeeds(false, true)
			trackID, _ := s.wantMore(s.finish("BACKUPCODE", proven), "enrolment")
			if trackID != proven.said("track_id") {
				t.Errorf("one login has the track ids %s and %s", trackID, proven.raw)
			}
			s.reenrol(trackID)
			c.wantTokens(s.sends(continuePath+trackID, "track_id="+trackID).wantCodeIn("#"), a.user, "otp recovery", "aal1")
			s.sends(continuePath+trackID, "track_id="+trackID).wantVER(400, "VER_0025")
			s = c.leads()
			s.begins("BACKUPCODE", "joe@acme.test", a.codes[0]).wantVER(400, "VER_0041")
		})
		t.Run("PASSWORD", func(t *testing.T) {
			c := c.within(t)
			bob := h.newUser("bob@acme.test", "")
			h.withPassword("bob@acme.test", plain)
			s := c.leads()
			started := s.initiate("PASSWORD", initial, "email=bob@acme.test")
			s.prove("PASSWORD", started, plain+"!").wantVER(400, "VER_0041")
			proven := s.says(of(s.verify, "PASSWORD"), "exchange_id="+started.exchangeID(), "password="+plain).wantNeeds(false, false)
			c.wantTokens(s.finish("PASSWORD", proven).wantCodeIn("#"), bob, "pwd", "aal1")
		})
	})
}

// After a password the second factor follows, whichever way the password came,
// and none but what the user has.
// Covers R-036 for the verification flow.
func TestASecondFactorFollowsAPassword(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := codesAlone(t, p)
		all := h.pages()
		a := h.withApp("eva@acme.test")
		h.withPassword("eva@acme.test", plain)
		eva := a.user
		sms := h.enrolled("sam@acme.test", numbered(2))
		h.withPassword("sam@acme.test", plain)

		byForm := func(s *steps, email string) (trackID, sub string) {
			return s.wantMore(s.sends(loginPath, "username="+email, "password="+plain, "requestId="+s.request, "username_type=email", "field_key=undefined"), "mfa")
		}
		byMethod := func(s *steps, email string) (trackID, sub string) {
			proven := s.begins("PASSWORD", email, plain).wantNeeds(true, false)
			return proven.said("track_id"), proven.said("sub")
		}
		for name, begin := range map[string]func(*steps, string) (string, string){"the login's form": byForm, "PASSWORD": byMethod} {
			t.Run(name, func(t *testing.T) {
				c := all.within(t)
				h.again()
				s := c.leads()
				trackID, sub := begin(s, "eva@acme.test")
				if list := s.says(s.list, "request_id="+s.request, "sub="+sub); strings.Join(list.types(), " ") != "TOTP BACKUPCODE" {
					t.Errorf("after the password there is %s", list.raw)
				}
				for _, method := range []string{"EMAIL", "SMS", "PASSWORD"} {
					s.initiate(method, further, "sub="+sub).wantVER(400, "VER_0028")
				}
				s.wantMore(s.sends(continuePath+trackID, "track_id="+trackID), "mfa") // not yet
				started := s.initiate("TOTP", further, "sub="+sub, "trackId="+trackID)
				s.finish("TOTP", started).wantVER(400, "VER1075") // skipped, which ends the login
				s.prove("TOTP", started, a.code(0)).want(400)
				s.sends(continuePath+trackID, "track_id="+trackID).wantVER(400, "VER_0025")

				s = c.leads()
				trackID, sub = begin(s, "eva@acme.test")
				started = s.initiate("TOTP", further, "sub="+sub)
				s.prove("TOTP", started, a.wrong()).wantVER(400, "VER_0041")
				s.prove("TOTP", started, a.code(0)).wantNeeds(false, false)
				c.wantTokens(s.sends(continuePath+trackID, "track_id="+trackID, "requestId="+s.request).wantCodeIn("#"), eva, "mfa otp pwd", "aal2")

				s = c.leads()
				trackID, _ = begin(s, "sam@acme.test")
				second := s.proveSent(h, "SMS", further, numbered(2), "trackId="+trackID).wantNeeds(false, false)
				c.wantTokens(s.finish("SMS", second).wantCodeIn("#"), sms, "mfa pwd sms", "aal2")
			})
		}
		t.Run("a recovery code", func(t *testing.T) {
			c := all.within(t)
			s := c.leads()
			trackID, sub := byForm(s, "eva@acme.test")
			s.prove("BACKUPCODE", s.initiate("BACKUPCODE", further, "sub="+sub), a.codes[0]).wantNeeds(false, true)
			if list := s.says(s.list, "request_id="+s.request, "sub="+sub); len(list.types()) != 0 {
				t.Errorf("where a new factor is needed there is %s", list.raw)
			}
			s.initiate("TOTP", further, "sub="+sub).wantVER(400, "VER_0028")
			s.wantMore(s.sends(continuePath+trackID, "track_id="+trackID), "enrolment")
			h.again()
			s.reenrol(trackID)
			c.wantTokens(s.sends(continuePath+trackID, "track_id="+trackID).wantCodeIn("#"), eva, "mfa otp pwd recovery", "aal2")
		})
	})
}

// A user without a second factor may add the mailbox to the password, and it
// counts for no more than the password alone.
func TestAMailboxIsNoSecondFactor(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	h.withPassword("ana@acme.test", plain)
	s := c.leads()
	proven := s.begins("PASSWORD", "ana@acme.test", plain).wantNeeds(false, false)
	if list := s.says(s.list, "request_id="+s.request, "q="+proven.said("q")); strings.Join(list.types(), " ") != "EMAIL" {
		t.Errorf("after the password there is %s", list.raw)
	}
	second := s.proveSent(h, "EMAIL", further, "ana@acme.test", "sub="+proven.said("sub")).wantNeeds(false, false)
	c.wantTokens(s.finish("EMAIL", second).wantCodeIn("#"), h.user, "email pwd", "aal1")
	s.finish("PASSWORD", proven).want(400) // the same login, once more
}

// Where the organization has not said that a code alone is enough, a login
// begins with a password; and with nothing that the app does not allow.
func TestACodeAloneIsOffUntilItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c, narrow := h.pages(), h.pages(func(in *apps.New) { methods := []string{apps.Password, apps.Email}; in.Methods = &methods })
	a := h.withApp("eva@acme.test")
	h.withPassword("eva@acme.test", plain)
	s := narrow.leads()
	if list := s.says(s.list, "request_id="+s.request, "email=eva@acme.test"); strings.Join(list.types(), " ") != "EMAIL PASSWORD" {
		t.Errorf("of an app without TOTP: %s", list.raw)
	}
	s.initiate("TOTP", initial, "email=eva@acme.test").wantVER(400, "VER_0028")

	begun := c.leads()
	started := begun.initiate("TOTP", initial, "email=eva@acme.test")
	h.call("PUT", "/api/v2/org/"+h.org+"/totp-connection", "passwordless=false").want(200)
	s = c.leads()
	for _, age := range ages {
		s.paths = age
		if list := s.says(s.list, "request_id="+s.request, "email=eva@acme.test"); strings.Join(list.types(), " ") != "PASSWORD" {
			t.Errorf("without the switch: %s", list.raw)
		}
		for _, method := range []string{"totp", "SMS", "Email", "BACKUPCODE"} {
			s.initiate(method, initial, "email=eva@acme.test").wantVER(400, "VER_0028")
			s.initiate(method, "PASSWORDLESS_AUTHENTICATION", "email=eva@acme.test").wantVER(400, "VER_0028")
		}
	}
	info := s.call("GET", "/public-srv/public/"+s.request).data()
	if info["passwordless_enabled"] != false || len(info["login_methods"].([]any)) != 1 {
		t.Errorf("the login page is told %v", info)
	}
	begun.prove("TOTP", started, a.code(1)).wantVER(400, "VER_0028") // it was closed since
	trackID, sub := s.wantMore(s.sends(loginPath, "username=eva@acme.test", "password="+plain, "requestId="+s.request), "mfa")
	s.prove("TOTP", s.initiate("TOTP", further, "sub="+sub), a.code(1)).wantNeeds(false, false)
	c.wantTokens(s.sends(continuePath+trackID).wantCodeIn("#"), a.user, "mfa otp pwd", "aal2")
}
