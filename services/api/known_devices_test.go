package api_test

import (
	"net/http"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/pipeline"
)

// tryPassword goes to the sign-in page, signed in nowhere, and types a password
// there.
func (b *browser) tryPassword(a api.App, email, password string) *reply {
	b.h.t.Helper()
	b.plant("cs_sessions", "")
	return b.submit(b.signInPage(wanted(a)), "/login", "email="+email, "password="+password)
}

// plant gives a browser a cookie of somebody else's.
func (b *browser) plant(name, value string) {
	b.h.t.Helper()
	target, err := http.NewRequestWithContext(b.h.t.Context(), http.MethodGet, b.h.base, nil)
	if err != nil {
		b.h.t.Fatal(err)
	}
	b.jar.SetCookies(target.URL, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// wantAsked checks that a right password was not taken: the page asks again.
func (b *browser) wantAsked(sent *reply) {
	b.h.t.Helper()
	if page := b.next(sent); !strings.Contains(page.raw, `action="/login"`) {
		b.h.t.Errorf("the page is %s", page.raw)
	}
}

// A thousand wrong passwords from elsewhere keep everybody else's browser out,
// and a hundred that were compared shut the password. The browser that the user
// has signed in with is let in at the first try, which opens it again.
//
//
func TestAStrangerDoesNotLockAKnownBrowserOut(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.second(false).shop(), h.browser()
		b.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
		first := b.cookie("cs_device")

		for range 1000 {
			if got := h.challengePassword("ana@acme.test", "wrong "+plain); got.body["code"] != nil {
				t.Fatalf("a wrong password: %s", got.raw)
			}
		}
		b.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
		if now := b.cookie("cs_device"); now == first || len(now) != 43 {
			t.Errorf("the browser is known by %q after another sign-in, before by %q", now, first)
		}

		h.challengePassword("ana@acme.test", "wrong "+plain).want(200)
		if _, err := p.openSQL(t).ExecContext(t.Context(), "UPDATE password_budgets SET in_a_row = 100"); err != nil { // instead of a month of pauses
			t.Fatal(err)
		}
		stranger := h.browser()
		stranger.wantAsked(stranger.tryPassword(a, "ana@acme.test", plain))
		stranger.plant("cs_device", first) // seen before the last sign-in
		stranger.wantAsked(stranger.tryPassword(a, "ana@acme.test", plain))
		b.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
		stranger.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
	})
}

// What one user's browser is known by opens nothing of another user, whoever
// shows it; a browser that both have signed in with is known to both. A new
// password by a link makes it a stranger to its user.
// Covers R-008 for stolen cookies and resets.
func TestABrowserIsKnownToItsUsersAlone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		h.newUser("ben@acme.test", "+4915112345679")
		h.withPassword("ben@acme.test", plain)
		a, b := h.second(false).shop(), h.browser()
		lock := func() {
			t.Helper()
			for _, email := range []string{"ana@acme.test", "ben@acme.test"} {
				h.challengePassword(email, "wrong "+plain)
			}
			if _, err := p.openSQL(t).ExecContext(t.Context(), "UPDATE password_budgets SET in_a_row = 100"); err != nil {
				t.Fatal(err)
			}
		}
		b.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
		lock()
		b.wantAsked(b.tryPassword(a, "ben@acme.test", plain))
		b.tryPassword(a, "ana@acme.test", plain).wantCode(http.StatusSeeOther)
		h.withPassword("ben@acme.test", plain+"2") // which opens it
		b.tryPassword(a, "ben@acme.test", plain+"2").wantCode(http.StatusSeeOther)
		lock()
		h.withPassword("ana@acme.test", plain+"2")
		lock()
		b.wantAsked(b.tryPassword(a, "ana@acme.test", plain+"2"))
		b.tryPassword(a, "ben@acme.test", plain+"2").wantCode(http.StatusSeeOther)
	})
}

// The cookie has 256 bits, lasts a year and is for us alone. It comes with a
// sign-in that is complete, and with nothing before.
// Covers R-008 for the cookie.
func TestTheCookieOfAKnownBrowser(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	h.enrolPhone()
	a, b := h.shop(), h.browser()
	page := b.next(b.tryPassword(a, "ana@acme.test", plain))
	if got := b.cookie("cs_device"); got != "" {
		t.Errorf("the browser is known after one factor of two, by %q", got)
	}
	var got *http.Cookie
	for _, raw := range b.submit(page, "/login/code", "code="+h.sentCode()).header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(raw)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name == "cs_device" {
			got = c
		}
	}
	if got == nil || len(got.Value) != 43 || got.MaxAge != 365*24*3600 || !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" {
		t.Errorf("the cookie is %+v", got)
	}
	secure := pipeline.CookiesOf("https://login.example.com").Device(secret.New("x"))
	if secure.Name != "__Host-cs_device" || !secure.Secure {
		t.Errorf("over https it is %+v", secure)
	}
}
