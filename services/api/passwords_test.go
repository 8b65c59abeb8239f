package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"countersign.dev/services/api"
)

// plain is the guide's password; other ones differ in what it is followed by.
const plain = "2vK79^41aokzi6lc8"

const appURL = "http://localhost:3000/welcome"

// passwords allows them in the house's organization.
func (h *house) passwords(params ...string) *house {
	h.t.Helper()
	h.call("POST", "/api/v2/org/"+h.org+"/password-connection", params...).want(201)
	return h
}

func (h *house) requestPassword(email string, params ...string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/password-request", append([]string{"user_email=" + email, "redirect_uri=" + appURL, "org_domain=" + h.org}, params...)...)
}

// codeFor goes from the request of a link to the code that it becomes.
func (h *house) codeFor(email string, params ...string) string {
	h.t.Helper()
	asked := h.requestPassword(email, params...).want(201)
	return h.browser().follow(h.courier.letterFor(h.t, asked.text("request_id")).Link).Get("password_code")
}

func (h *house) setPassword(code, password string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/password", "plain_text="+password, "password_code="+code)
}

func (h *house) challengePassword(email, password string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/password-challenge", "user_email="+email, "org_domain="+h.org, "plain_text="+password)
}

// withPassword gives the user of an address a password, by the whole way.
func (h *house) withPassword(email, password string) {
	h.t.Helper()
	h.setPassword(h.codeFor(email), password).want(200)
}

// tokens exchanges a code.
func (h *house) tokens(code string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/oauth/token", "grant_type=authorization_code", "code="+code)
}

// The guide from the request of a link to tokens, for a user who is made on
// the way, and a login with the new password.
func TestAPasswordIsCreatedByALink(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		asked := h.requestPassword("john@acme.test", "find_or_create_user=true").want(201)
		if asked.body["magic_link"] != nil {
			t.Errorf("the answer holds the link: %s", asked.raw)
		}
		h.call("GET", "/api/v2/org/"+h.org+"/users/john@acme.test").want(404) // not before the link is completed
		mail := h.courier.letterFor(t, asked.text("request_id"))
		if mail.To != "john@acme.test" || mail.Template != "password_create" || mail.Brand != "Acme Test Ltd" || !strings.HasPrefix(mail.Link, h.public+"/") {
			t.Errorf("mail %+v", mail)
		}
		sent := h.browser().follow(mail.Link)
		set := h.call("POST", "/api/v2/password", "user_email=john@acme.test", "org_domain="+h.org, "plain_text="+plain, "password_code="+sent.Get("password_code")).want(200)
		if set.body["id"] != 1.0 || set.body["__type__"] != "Password" {
			t.Errorf("password %s", set.raw)
		}
		got := h.tokens(set.text("code")).want(200)
		if got.text("access_token") == "" || got.text("id_token") == "" {
			t.Errorf("tokens %s", got.raw)
		}
		john := h.call("GET", "/api/v2/org/"+h.org+"/users/john@acme.test").want(200)
		if john.text("id") != set.text("user_id") || john.body["email_verified"] != true {
			t.Errorf("user %s", john.raw)
		}
		right := h.challengePassword("john@acme.test", plain).want(200)
		if right.body["valid?"] != true || right.body["error"] != nil || right.body["expired_at"] != nil || right.body["renew_password"] != nil {
			t.Errorf("right password: %s", right.raw)
		}
		h.tokens(right.text("code")).want(200)
		wrong := h.challengePassword("john@acme.test", plain+"!").want(200)
		if wrong.body["valid?"] != false || wrong.body["error"] != "unauthorized_credentials" || wrong.body["code"] != nil {
			t.Errorf("wrong password: %s", wrong.raw)
		}
	})
}

// Asking again replaces the link before, a new password ends links and codes
// that are on their way, a code fits only whom it was made for, and the
// password before is not taken again.
// Covers R-061 for life in hand, place and purpose.
// Covers R-060 for the password before.
func TestALinkIsGoodForOnePassword(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		links := []string{}
		for range 3 {
			links = append(links, h.courier.letterFor(t, h.requestPassword("ana@acme.test").want(201).text("request_id")).Link)
		}
		for _, old := range links[:2] {
			if page := h.browser().open(old); page.status != http.StatusNotFound {
				t.Errorf("a replaced link shows %d", page.status)
			}
		}
		first := h.browser().follow(links[2]).Get("password_code")
		h.call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+first, "user_email=eva@acme.test", "org_domain="+h.org).wantFault(422, "password_code_not_valid")
		h.setPassword(first, "short").wantFault(422, "password_too_short")
		h.setPassword(first, plain).want(200) // a refused password leaves the code good
		h.setPassword(first, plain+"2").wantFault(422, "password_code_not_valid")

		waiting := h.courier.letterFor(t, h.requestPassword("ana@acme.test").want(201).text("request_id")).Link
		code := h.codeFor("ana@acme.test")
		h.setPassword(code, plain).wantFault(422, "password_unchanged")
		h.setPassword(code, plain+"2").want(200)
		if page := h.browser().open(waiting); page.status != http.StatusNotFound {
			t.Errorf("a link from before the new password shows %d", page.status)
		}
		if r := h.challengePassword("ana@acme.test", plain); r.body["valid?"] != false {
			t.Errorf("the old password still works: %s", r.raw)
		}
	})
}

// A code is used once, however many try, and a link becomes one code.
// Covers R-022 for links and password codes in one process.
func TestLinksAndCodesAreUsedOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		link := h.courier.letterFor(t, h.requestPassword("ana@acme.test").want(201).text("request_id")).Link
		b := h.browser()
		page := b.open(link)
		var followed atomic.Int32
		var code atomic.Value
		parallel(t, 32, func(int) {
			if sent := b.click(page); sent.status == http.StatusSeeOther {
				followed.Add(1)
				code.Store(sent.header.Get("Location"))
			}
		})
		if followed.Load() != 1 {
			t.Fatalf("%d of 32 clicks were taken, want 1", followed.Load())
		}
		_, value, _ := strings.Cut(code.Load().(string), "password_code=")
		var set atomic.Int32
		parallel(t, 8, func(i int) {
			if r := h.setPassword(value, plain+numbered(i)); r.status == http.StatusOK {
				set.Add(1)
			}
		})
		if set.Load() != 1 {
			t.Errorf("%d of 8 passwords were set by one code, want 1", set.Load())
		}
	})
}

// A user with a second factor gets no code for a password, a reset or a link
// alone; a right code of the factor ends the login that waits, once.
// Covers R-036 for passwords, resets and links with an SMS factor.
func TestNoWayAroundTheSecondFactor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		eva := h.enrolled("eva@acme.test", numbered(1))
		finish := func(requestID string) *reply {
			code := h.code(h.call("POST", h.challenge(eva)).want(201))
			return h.call("POST", h.challenge("validation/"+eva), "code="+code, "request_id="+requestID)
		}
		set := h.setPassword(h.codeFor("eva@acme.test"), plain).want(200)
		if set.body["code"] != nil || set.body["mfa_required"] != true {
			t.Fatalf("a reset alone: %s", set.raw)
		}
		right := h.challengePassword("eva@acme.test", plain).want(200)
		if right.body["code"] != nil || right.body["mfa_required"] != true || right.body["valid?"] != true {
			t.Fatalf("a password alone: %s", right.raw)
		}
		asked := h.call("POST", "/api/v2/magic-link-challenge", "user_email=eva@acme.test", "redirect_uri="+appURL, "org_domain="+h.org).want(201)
		followed := h.browser().follow(h.courier.letterFor(t, asked.text("request_id")).Link)
		if followed.Get("code") != "" || followed.Get("mfa_required") != "true" {
			t.Fatalf("a link alone: %v", followed)
		}
		for _, requestID := range []string{set.text("request_id"), right.text("request_id"), followed.Get("request_id")} {
			ended := finish(requestID).want(200).wantSuccess(true)
			h.tokens(ended.text("authorization_code")).want(200)
			finish(requestID).wantFault(404, "not_found")
		}
		stale := h.challengePassword("eva@acme.test", plain).want(200).text("request_id")
		h.setPassword(h.codeFor("eva@acme.test"), plain+"2").want(200)
		finish(stale).wantFault(404, "not_found") // its password is the user's no more
	})
}

// A magic link logs in, and makes the user where that is allowed.
func TestALinkLogsIn(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		ask := func(email string) *reply {
			return h.call("POST", "/api/v2/magic-link-challenge", "user_email="+email, "redirect_uri="+appURL, "org_domain="+h.org)
		}
		ask("ana@acme.test").wantFault(404, "not_found") // not switched on
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		sent := h.browser().follow(h.courier.letterFor(t, ask("ana@acme.test").want(201).text("request_id")).Link)
		h.tokens(sent.Get("code")).want(200)
		h.tokens(sent.Get("code")).want(400)
		ask("new@acme.test").want(201) // like any other, but no mail and no user
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "find_or_create_user=true").want(200)
		sent = h.browser().follow(h.courier.letterFor(t, ask("new@acme.test").want(201).text("request_id")).Link)
		h.tokens(sent.Get("code")).want(200)
		h.call("GET", "/api/v2/org/"+h.org+"/users/new@acme.test").want(200)
	})
}

// Direct creation: only where the connection and the key allow it and there is
// no password, and what it makes is good for nothing but a new one.
//
func TestDirectCreation(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	direct := func(h *house, email string) *reply {
		return h.call("POST", "/api/v2/password", "user_email="+email, "plain_text="+plain, "org_domain="+h.org)
	}
	direct(h, "ana@acme.test").wantFault(403, "direct_creation_disabled")
	h.call("PUT", "/api/v2/org/"+h.org+"/password-connection", "direct_creation=true").want(200)
	weak := h.as(h.signIn(h.key("acme", "sandbox", "passwords:write", "challenges:write")))
	direct(weak, "ana@acme.test").wantFault(403, "insufficient_scope")
	h.as("").call("POST", "/api/v2/password", "user_email=ana@acme.test", "plain_text="+plain, "org_domain="+h.org).want(401)
	made := direct(h, "ana@acme.test").want(200)
	if made.body["code"] != nil || made.body["must_change"] != true {
		t.Fatalf("direct creation answers %s", made.raw)
	}
	h.courier.nextLetter(t, "that tells the user", func(l letter) bool { return l.content.Template == "notice_password_changed" })
	direct(h, "ana@acme.test").wantFault(409, "password_exists")
	right := h.challengePassword("ana@acme.test", plain).want(200)
	renew, _ := right.body["renew_password"].(map[string]any)
	if right.body["valid?"] != true || right.body["code"] != nil || right.body["expired_at"] == nil || renew == nil {
		t.Fatalf("a password that must change: %s", right.raw)
	}
	code := renew["password_code"].(string)
	h.setPassword(code, plain).wantFault(422, "password_unchanged")
	h.tokens(h.setPassword(code, plain+"2").want(200).text("code")).want(200)
	if again := h.challengePassword("ana@acme.test", plain+"2").want(200); again.body["code"] == nil {
		t.Errorf("after the renewal: %s", again.raw)
	}
}

// delivery=caller hands the link to keys that may see codes, and sends none.
func TestTheCallerMaySendTheLink(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords("delivery=caller")
	weak := h.as(h.signIn(h.key("acme", "sandbox", "passwords:write")))
	weak.requestPassword("ana@acme.test").wantFault(403, "insufficient_scope")
	asked := h.requestPassword("ana@acme.test").want(201)
	h.setPassword(h.browser().follow(asked.text("magic_link")).Get("password_code"), plain).want(200)
	// An address without a user gets one like any other, that opens nothing.
	void := h.requestPassword("nobody@acme.test").want(201)
	if page := h.browser().open(void.text("magic_link")); page.status != http.StatusNotFound {
		t.Errorf("the link of nobody shows %d", page.status)
	}
}

// The connection exists once, and its lengths are moved to what holds.
func TestThePasswordConnection(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	path := "/api/v2/org/" + h.org + "/password-connection"
	h.call("GET", path).wantFault(404, "not_found")
	h.requestPassword("ana@acme.test").wantFault(404, "not_found")
	made := h.call("POST", path, "plain_text_min_length=8", "plain_text_max_length=40", "pepper_rotation_period=86400").want(201)
	if made.body["plain_text_min_length"] != 15.0 || made.body["plain_text_max_length"] != 64.0 || made.body["pepper_rotation_period"] != 86400.0 {
		t.Errorf("connection %s", made.raw)
	}
	if second := h.call("POST", path); second.status != http.StatusConflict || !strings.Contains(second.raw, "incompatible_connection") {
		t.Errorf("a second connection: %d %s", second.status, second.raw)
	}
	if made.body["min_strength"] != 3.0 {
		t.Errorf("without a word about it the strength is %v", made.body["min_strength"])
	}
	h.call("PUT", path, "delivery=nobody").wantFault(422, "invalid_parameter")
	for _, refused := range []string{"-1", "5", "1000000"} {
		h.call("PUT", path, "min_strength="+refused).wantFault(422, "invalid_parameter")
	}
	if changed := h.call("PUT", path, "min_strength=0").want(200); changed.body["min_strength"] != 0.0 {
		t.Errorf("changed %s", changed.raw)
	}
	if changed := h.call("PUT", path, "plain_text_min_length=20").want(200); changed.body["plain_text_min_length"] != 20.0 {
		t.Errorf("changed %s", changed.raw)
	}
	h.setPassword(h.codeFor("ana@acme.test"), plain).wantFault(422, "password_too_short")
}

// Nobody learns from asking who has an account: status, headers and body are
// the same for every kind of user, ids aside.
// Covers R-063 for password requests, password challenges and magic links.
// Covers R-065 for the same.
func TestAskingTellsNothing(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
	h.withPassword("ana@acme.test", plain)
	h.newUser("bob@acme.test", "")
	off := h.newUser("off@acme.test", "")
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+off, "active=false").want(200)
	elsewhere := *h
	elsewhere.org = h.call("POST", "/api/v2/organizations", "name=Elsewhere").want(201).text("domain")
	elsewhere.newUser("els@acme.test", "")
	h.newUser("lou@acme.test", "")
	for range 4 {
		h.challengePassword("lou@acme.test", "wrong password of theirs").want(200)
	}
	// With a password, without one, deactivated, of another organization,
	// guessed at, unknown.
	users := []string{"ana", "bob", "off", "els", "lou", "nil"}
	ways := map[string]func(email string) *reply{
		"password request": func(email string) *reply { return h.requestPassword(email) },
		"password challenge": func(email string) *reply {
			return h.challengePassword(email, "certainly a wrong one")
		},
		"magic link": func(email string) *reply {
			return h.call("POST", "/api/v2/magic-link-challenge", "user_email="+email, "redirect_uri="+appURL, "org_domain="+h.org)
		},
	}
	for name, ask := range ways {
		var want string
		for i, user := range users {
			got := ask(user + "@acme.test")
			told := alike(got, user)
			if i == 0 {
				want = told
			} else if told != want {
				t.Errorf("%s tells %s apart:\n%s\n%s", name, user, told, want)
			}
		}
	}
}

// The same address in another organization is another user.
// Covers R-123 for passwords.
func TestAResetStaysInItsOrganization(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	second := *h
	second.org = h.call("POST", "/api/v2/organizations", "name=Second").want(201).text("domain")
	second.passwords()
	second.newUser("ana@acme.test", "")
	code := second.codeFor("ana@acme.test")
	h.call("POST", "/api/v2/password", "plain_text="+plain+"2", "password_code="+code, "org_domain="+h.org).wantFault(422, "password_code_not_valid")
	second.setPassword(code, plain+"2").want(200)
	if r := h.challengePassword("ana@acme.test", plain).want(200); r.body["valid?"] != true {
		t.Errorf("the other organization's password changed: %s", r.raw)
	}
	stranger := h.as(h.signIn(h.key("stranger", "sandbox", api.AllScopes)))
	stranger.setPassword(h.codeFor("ana@acme.test"), plain+"3").wantFault(422, "password_code_not_valid")
}

var randomIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|[a-z-]+_[0-9A-Za-z]{27}|req_[0-9A-Za-z_-]+`)

// alike is an answer without what is random in it, and without the name that
// was asked about.
func alike(r *reply, name string) string {
	headers := []string{}
	for key, values := range r.header {
		if key != "Date" && key != "X-Request-Id" {
			headers = append(headers, key+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(headers)
	body := randomIDs.ReplaceAllString(strings.ReplaceAll(r.raw, name+"@", "…@"), "ID")
	body = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+`).ReplaceAllString(body, "TIME")
	return fmt.Sprintf("%d\n%s\n%s", r.status, strings.Join(headers, "\n"), body)
}

// A new password ends what was granted under the one before: refresh tokens,
// and codes that nobody has exchanged yet.
// Covers R-033 for new passwords, refresh tokens and authorization codes.
func TestANewPasswordEndsLogins(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		refresh := func(token string) *reply {
			return h.call("POST", "/api/v2/oauth/token", "grant_type=refresh_token", "refresh_token="+token)
		}
		code := func() string { return h.challengePassword("ana@acme.test", plain).want(200).text("code") }
		first := h.tokens(code()).want(200).text("refresh_token")
		second := refresh(h.tokens(code()).want(200).text("refresh_token")).want(200).text("refresh_token")
		unused := code()
		h.withPassword("ana@acme.test", plain+"2")
		for _, token := range []string{first, second} {
			refresh(token).want(400)
		}
		h.tokens(unused).want(400)
	})
}

// Twenty logins at once with the right password are twenty logins.
// Covers R-006 for passwords over the API.
func TestManyLoginsAtOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		parallel(t, 20, func(int) {
			// A busy machine may refuse to wait; that is no answer to the password.
			r := h.challengePassword("ana@acme.test", plain)
			for r.status == http.StatusServiceUnavailable {
				r = h.challengePassword("ana@acme.test", plain)
			}
			if r.want(200); r.body["valid?"] != true || r.body["code"] == nil {
				t.Errorf("one of twenty: %s", r.raw)
			}
		})
	})
}

// Mail goes to the address that is stored, never to one that only looks like
// it or that somebody has typed another way.
// Covers R-102 for links.
func TestMailGoesToTheStoredAddress(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	for _, address := range []string{"kira@acme.test", "mira@acme.test", "strasse@acme.test", "ina@bücher.test"} {
		h.newUser(address, "")
	}
	for _, typed := range []string{"KIRA@ACME.TEST", "Kira@acme.test"} {
		if mail := h.courier.letterFor(t, h.requestPassword(typed).want(201).text("request_id")); mail.To != "kira@acme.test" {
			t.Errorf("%s: mail to %s", typed, mail.To)
		}
	}
	if mail := h.courier.letterFor(t, h.requestPassword("ina@BÜCHER.test").want(201).text("request_id")); mail.To != "ina@xn--bcher-kva.test" {
		t.Errorf("a domain with an umlaut: mail to %s", mail.To)
	}
	for _, refused := range []string{"\u212aira@acme.test", "mira\uff20acme.test"} {
		h.requestPassword(refused).wantFault(422, "invalid_parameter")
	}
	for _, stranger := range []string{"m\u0131ra@acme.test", "stra\u00dfe@acme.test", "m\u00edra@acme.test", "\uff4dira@acme.test"} {
		h.requestPassword(stranger).want(201)
	}
	off := h.newUser("off@acme.test", "")
	h.call("PUT", "/api/v2/org/"+h.org+"/users/"+off, "active=false").want(200)
	h.requestPassword("off@acme.test", "find_or_create_user=true").want(201)                 // the address is taken, and closed
	h.courier.letterFor(t, h.requestPassword("mira@acme.test").want(201).text("request_id")) // what would have been sent was sent before
	for _, l := range h.courier.read {
		t.Errorf("mail to %s", l.content.To)
	}
}
