package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// The guide's calls as they are printed. The ids in them stand for those that
// a login has.
const (
	printedList = `{
"request_id": "df08cabb-4b8c-4181-9f6f-f6948802ebf7",
"identifier": "[email protected]"
}`
	printedInitiation = `{
"usage_type": "PASSWORDLESS_AUTHENTICATION",
"request_id": "df08cabb-4b8c-4181-9f6f-f6948802ebf7",
"medium_id": "cd7e9166-99d1-4d36-bc8f-3c8ffb2ad011",
"email": "[email protected]"
}`
	printedVerification = `{
"exchange_id": "455fd20d-837d-43a6-a212-a02eeea1a46b",
"type": "TOTP",
"passcode": "123456"
}`
)

// guided are the five steps for a user with an app. It returns the last answer,
// and those before it.
func (s *steps) guided(email, code string) (finished, started, proven *reply) {
	s.t.Helper()
	fill := strings.NewReplacer("df08cabb-4b8c-4181-9f6f-f6948802ebf7", s.request, "[email protected]", email)
	list := s.raw("POST", s.list, asJSON, strings.NewReader(fill.Replace(printedList)))
	if fmt.Sprint(list.types()) != "[TOTP SMS EMAIL PASSWORD BACKUPCODE]" {
		s.t.Errorf("the methods are %s", list.raw)
	}

	fill = strings.NewReplacer("df08cabb-4b8c-4181-9f6f-f6948802ebf7", s.request, "[email protected]", email, "cd7e9166-99d1-4d36-bc8f-3c8ffb2ad011", list.mediumOf("TOTP"))
	started = s.raw("POST", of(s.paths.initiate, "totp"), asJSON, strings.NewReader(fill.Replace(printedInitiation)))
	started.wantMoment()
	if started.said("sub") != started.said("q") || started.said("medium_text") == "" || strings.Contains(started.raw, email) {
		s.t.Errorf("the initiation says %s", started.raw)
	}

	fill = strings.NewReplacer("455fd20d-837d-43a6-a212-a02eeea1a46b", started.exchangeID(), "123456", code)
	proven = s.raw("POST", of(s.verify, "totp"), asJSON, strings.NewReader(fill.Replace(printedVerification)))
	proven.wantMoment()
	if proven.exchangeID() == started.exchangeID() || proven.said("sub") != started.said("sub") || proven.said("status_id") != started.said("status_id") {
		s.t.Errorf("after %s the verification says %s", started.raw, proven.raw)
	}
	return s.finish("TOTP", proven), started, proven
}

// The guide's five steps, with the codes of an app, on the paths of clients of
// all ages: they end in a code that yields tokens, and nothing of them is worth
// anything a second time.
// Covers R-028 for the ids of the verification flow that are used twice.
// Covers R-030 for the exchange id of a step that is done.
func TestTheGuideAsItIsPrinted(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := codesAlone(t, p)
		c := h.pages()
		for i, age := range ages {
			for mark, mode := range map[string]string{"#": "fragment", "?": "query"} {
				email := fmt.Sprintf("eva%d%s@acme.test", i, mode)
				a := h.withApp(email)
				s := c.leads("response_mode=" + mode)
				s.paths = age
				finished, started, proven := s.guided(email, a.code(1))
				if strings.Contains(started.raw+proven.raw, a.user) {
					t.Errorf("the steps tell the user's id: %s, %s", started.raw, proven.raw)
				}
				code := finished.wantCodeIn(mark)
				given := c.wantTokens(code, a.user, "otp", "aal1")
				c.userinfo("GET", given.text("access_token")).want(200)

				s.prove("TOTP", started, a.code(1)).wantVER(400, "VER_0032")
				s.prove("TOTP", proven, a.code(1)).wantVER(400, "VER_0032")
				s.finish("TOTP", proven).wantVER(400, "VER_0006") // the request id is used too
				other := c.leads()
				other.finish("TOTP", proven).wantVER(400, "VER1075")
				c.userinfo("GET", given.text("access_token")).want(200)

				c.sendJSON(tokenPath, c.exchange(code)).wantOAuth("the code once more", 400, "invalid_grant")
				c.userinfo("GET", given.text("access_token")).wantOAuth("its access token", 401, "invalid_token")
				c.post(tokenPath, c.refreshing(given.text("refresh_token"))).wantOAuth("its refresh token", 400, "invalid_grant")
			}
		}
	})
}

// A page need not say how it wants the code, nor send it as JSON, and the state
// that it sends comes back; where it sends a challenge, its verifier must fit.
func TestTheWayBackIsAsItWasAsked(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c := h.pages()
	a := h.withApp("eva@acme.test")
	login := func(change ...string) *reply {
		h.again()
		s := c.leads(change...)
		return s.finish("TOTP", s.begins("TOTP", "eva@acme.test", a.code(0)))
	}
	c.wantClaims(c.post(tokenPath, c.exchange(login("response_mode=undefined", "response_type=undefined").wantCodeIn("#"))).want(200), a.user, "otp", "aal1")
	if q := login("state=st&te=1 ").wantReturn("#"); q.Get("state") != "st&te=1 " || q.Get("code") == "" {
		t.Errorf("the browser brings %v", q)
	}
	challenged := []string{"code_challenge=" + challengeOf(verifier), "code_challenge_method=S256"}
	c.post(tokenPath, c.exchange(login(challenged...).wantCodeIn("#"))).wantOAuth("a verifier that fits nothing", 400, "invalid_grant")
	c.post(tokenPath, with(c.exchange(login(challenged...).wantCodeIn("#")), "code_verifier", verifier)).want(200)
	c.post(tokenPath, without(c.exchange(login().wantCodeIn("#")), "code_verifier")).want(200)
	c.post(tokenPath, with(c.exchange(login().wantCodeIn("#")), "redirect_uri", callbackURL+"/2")).wantOAuth("another address", 400, "invalid_grant")
	other := h.pages()
	other.post(tokenPath, other.exchange(login().wantCodeIn("#"))).wantOAuth("another app", 400, "invalid_grant")
}

// An exchange id and a status id that are shown beside what they do not belong
// to are refused, and their login is over.
// Covers R-028 for the ids of the verification flow: purpose, method, app and user.
func TestAnIdThatIsCarriedElsewhereEndsItsLogin(t *testing.T) {
	t.Parallel()
	h := codesAlone(t, embedded(t))
	c, beside := h.pages(), h.pages()
	a := h.withApp("eva@acme.test")
	for name, carry := range map[string]func(s *steps, started *reply){
		"another method": func(s *steps, started *reply) { s.prove("SMS", started, "123456").wantVER(400, "VER_0032") },
		"an enrolment": func(s *steps, started *reply) {
			c.says("/verification-actions-srv/setup/TOTP/verification", "exchange_id="+started.exchangeID(), "pass_code=123456").wantVER(400, "VER_0032")
		},
		"another user": func(s *steps, started *reply) {
			sub := s.initiate("TOTP", initial, "email=ana@acme.test").said("sub")
			s.prove("TOTP", started, a.code(0), "sub="+sub).wantVER(400, "VER_0032")
		},
		"another app": func(s *steps, started *reply) {
			s.prove("TOTP", started, a.code(0), "request_id="+beside.leads().request).wantVER(400, "VER_0032")
		},
	} {
		h.again()
		s := c.leads()
		started := s.initiate("TOTP", initial, "email=eva@acme.test")
		carry(s, started)
		if r := s.prove("TOTP", started, a.code(0)); r.body["code"] != "VER_0032" {
			t.Errorf("%s: the exchange id goes on to %s", name, r.raw)
		}
		s.finish("TOTP", started).want(400)
	}
	for name, carry := range map[string]func(s *steps, proven *reply) *reply{
		"another method": func(s *steps, proven *reply) *reply { return s.finish("SMS", proven) },
		"another user": func(s *steps, proven *reply) *reply {
			sub := s.initiate("TOTP", initial, "email=ana@acme.test").said("sub")
			return s.sends(finishPath, "requestId="+s.request, "sub="+sub, "status_id="+proven.said("status_id"))
		},
		"another app": func(_ *steps, proven *reply) *reply { return beside.leads().finish("TOTP", proven) },
		"an exchange id in its place": func(s *steps, proven *reply) *reply {
			s.sends(finishPath, "requestId="+s.request, "status_id="+proven.exchangeID()).wantVER(400, "VER1075")
			return s.prove("TOTP", proven, a.code(0))
		},
	} {
		h.again()
		s := c.leads()
		proven := s.begins("TOTP", "eva@acme.test", a.code(0))
		proven.data()
		if r := carry(s, proven); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
		}
		if r := s.finish("TOTP", proven); r.status != 400 {
			t.Errorf("%s: the status id leads to %s", name, r.to())
		}
	}
}
