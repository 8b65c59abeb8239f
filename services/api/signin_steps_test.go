package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/api"
)

// The steps of a sign-in beside password and code, as a browser without scripts
// meets them.

var (
	shownKey  = regexp.MustCompile(`[?;&]secret=([A-Z2-7]{32})`)
	shownCode = regexp.MustCompile(`\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b`)
)

// at returns the page that an answer leads to, which must have a form to this
// path.
func (b *browser) at(sent *reply, action string) *reply {
	b.h.t.Helper()
	page := b.next(sent)
	if !strings.Contains(page.raw, `action="`+action+`"`) {
		b.h.t.Fatalf("the page has no form to %s: %s", action, page.raw)
	}
	return page
}

// scan reads the key off the page of an enrolment.
func (b *browser) scan(page *reply) *authenticator {
	b.h.t.Helper()
	match := shownKey.FindStringSubmatch(page.raw)
	if match == nil {
		b.h.t.Fatalf("the page shows no key: %s", page.raw)
	}
	return &authenticator{h: b.h, user: b.h.user, secret: match[1]}
}

// ana goes to the page that follows her password.
func (b *browser) ana(a api.App, action string) *reply {
	b.h.t.Helper()
	return b.at(b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+plain), action)
}

// Covers R-026 for the order of a first sign-in: no code before the new factor is confirmed.
func TestAFirstSignInEnrolsAnApp(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.shop(), h.browser()
	page := b.ana(a, "/login/confirm")
	phone := b.scan(page)
	page = b.at(b.submit(page, "/login/confirm", "code="+phone.wrong()), "/login/confirm")
	if again := b.scan(page); again.secret != phone.secret {
		t.Error("a wrong code has changed the key")
	}
	page = b.at(b.submit(page, "/login/confirm", "code="+phone.code(0)), "/login/codes")
	codes := shownCode.FindAllString(page.raw, -1)
	file := b.visit(http.MethodGet, "/login/recovery-codes.txt?requestId="+b.fill(page, "/login/codes").Get("requestId"), nil).want(http.StatusOK)
	if len(codes) != 5 || strings.Join(codes, "\r\n")+"\r\n" != file.raw || !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the page shows %d codes, the file has %q", len(codes), file.raw)
	}
	page = b.at(b.submit(page, "/login/codes"), "/login/codes") // the box is empty
	last := b.fill(page, "/login/codes", "saved=yes")
	b.led(b.visit(http.MethodPost, "/login/codes", last)).wantCode(http.StatusSeeOther)

	// A second click leads on with another code, and nothing shows the codes again.
	b.visit(http.MethodPost, "/login/codes", last).wantCode(http.StatusSeeOther)
	finished := b.visit(http.MethodGet, "/login?requestId="+last.Get("requestId"), nil).want(http.StatusOK)
	if shownCode.MatchString(finished.raw) || !strings.Contains(finished.raw, `action="/login/again"`) {
		t.Errorf("a finished sign-in shows %s", finished.raw)
	}
	b.submit(finished, "/login/again").wantCode(http.StatusSeeOther)
	b.visit(http.MethodGet, "/login/recovery-codes.txt?requestId="+last.Get("requestId"), nil).want(http.StatusNotFound)

	// From now on the app is asked for.
	later := h.browser()
	later.submit(later.ana(a, "/login/code"), "/login/code", "code="+phone.code(1)).wantCode(http.StatusSeeOther)
}

func TestAFirstSignInEnrolsAPhone(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.shop(), h.browser()
	page := b.at(b.submit(b.ana(a, "/login/confirm"), "/login/turn", "to=enrol_phone"), "/login/enrol")
	page = b.at(b.submit(page, "/login/enrol", "method=sms", "phone=12"), "/login/enrol")
	page = b.at(b.submit(page, "/login/enrol", "method=sms", "phone=+4915112345678"), "/login/confirm")
	code := h.courier.newest(t).Code
	page = b.at(b.submit(page, "/login/confirm", "code="+code), "/login/codes")
	b.submit(page, "/login/codes", "saved=yes").wantCode(http.StatusSeeOther)
	b = h.browser()
	page = b.at(b.submit(b.ana(a, "/login/code"), "/login/send"), "/login/code")
	b.submit(page, "/login/code", "code="+h.courier.newest(t).Code).wantCode(http.StatusSeeOther)
}

// Covers R-026 in a browser.
// Covers R-036 for sign-ins with a recovery code.
func TestARecoveryCodeLeadsToAnEnrolment(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.shop(), h.browser()
	page := b.ana(a, "/login/confirm")
	lost := b.scan(page)
	page = b.at(b.submit(page, "/login/confirm", "code="+lost.code(0)), "/login/codes")
	codes := shownCode.FindAllString(page.raw, -1)
	b.submit(page, "/login/codes", "saved=yes").wantCode(http.StatusSeeOther)

	b = h.browser()
	page = b.at(b.submit(b.ana(a, "/login/code"), "/login/turn", "to=recovery"), "/login/recovery")
	page = b.at(b.submit(page, "/login/recovery", "code=123456"), "/login/recovery")
	if !strings.Contains(page.raw, "four groups of four") {
		t.Errorf("an app's code in place of a recovery code: %s", page.raw)
	}
	page = b.at(b.submit(page, "/login/recovery", "code=AAAA-AAAA-AAAA-AAAA"), "/login/recovery")
	used := b.fill(page, "/login/recovery", "code="+strings.ToLower(codes[1]))
	page = b.at(b.visit(http.MethodPost, "/login/recovery", used), "/login/confirm")
	if q := b.authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("code") != "" {
		t.Errorf("a recovery code alone has signed in: %v", q)
	}
	// Neither the old app nor the password alone leads anywhere from here.
	id := used.Get("requestId")
	for path, more := range map[string]string{"/login/code": "code=" + lost.code(1), "/login/codes": "saved=yes", "/login": "password=" + plain, "/login/recovery": "code=" + codes[2]} {
		form := b.fill(page, "/login/confirm", more, "email=ana@acme.test")
		if path != "/login" {
			form.Del("email")
		}
		if path == "/login/codes" || path == "/login" {
			form.Del("code")
		}
		if got := b.led(b.visit(http.MethodPost, path, form)); strings.Contains(got.to(), "code=") {
			t.Errorf("%s leads to %s", path, got.to())
		}
	}
	page = b.visit(http.MethodGet, "/login?requestId="+id, nil).want(http.StatusOK)
	fresh := b.scan(page)
	if fresh.secret == lost.secret {
		t.Error("the key of the lost app is shown again")
	}
	b.submit(page, "/login/confirm", "code="+fresh.code(0)).wantCode(http.StatusSeeOther) // the codes that are left stay
}

// Covers R-036 for a password that must change.
func TestAPasswordThatMustChangeIsRenewedOnThePage(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	h.enrolPhone()
	h.call("POST", "/api/v2/org/"+h.org+"/users/"+h.user+"/password/force-change").want(200)
	a, b := h.shop(), h.browser()
	page := b.ana(a, "/login/code") // the second factor comes first
	page = b.at(b.submit(page, "/login/code", "code="+h.sentCode()), "/login/renew")
	page = b.at(b.submit(page, "/login/renew", "password=short"), "/login/renew")
	if !strings.Contains(page.raw, `role="alert"`) {
		t.Errorf("nothing is said of a short password: %s", page.raw)
	}
	page = b.at(b.submit(page, "/login/renew", "password="+plain), "/login/renew") // the same
	const next = "green-Otter-swims-91-home"
	b.submit(page, "/login/renew", "password="+next).wantCode(http.StatusSeeOther)
	later := h.browser()
	later.at(later.submit(later.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+next), "/login/code")
}

// Two browsers of one user enrol an app at once. The first one's key is not
// good any more, and it says so and shows another one: it neither goes on
// calling right codes wrong nor takes a code of the other's key.
// Covers R-028 for enrolments.
func TestAnEnrolmentIsOneFlows(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b, elsewhere := h.shop(), h.browser(), h.browser()
	page := b.ana(a, "/login/confirm")
	replaced, other := b.scan(page), elsewhere.scan(elsewhere.ana(a, "/login/confirm"))
	for what, code := range map[string]string{"its own key": replaced.code(0), "the other's key": other.code(0)} {
		page = b.at(b.submit(page, "/login/confirm", "code="+code), "/login/confirm")
		fresh := b.scan(page)
		if !strings.Contains(page.raw, "not good any more") || fresh.secret == replaced.secret || fresh.secret == other.secret {
			t.Errorf("a code of %s: %s", what, page.raw)
		}
		other = elsewhere.scan(elsewhere.ana(a, "/login/confirm"))
		replaced = fresh
	}
	page = b.at(b.submit(page, "/login/confirm", "code="+replaced.code(0)), "/login/confirm")
	b.at(b.submit(page, "/login/confirm", "code="+b.scan(page).code(0)), "/login/codes")
}
