package api_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
)

// Sign-ins in which a link comes by mail.

// simple makes an app whose people sign in with one factor.
func (h *house) simple() api.App {
	h.t.Helper()
	return h.shop(func(in *api.NewApp) { in.Methods = &[]string{"email", "password"} })
}

// step sends a form of the sign-in page from a page that shows another step.
func (b *browser) step(page *reply, path string, typed ...string) *reply {
	b.h.t.Helper()
	form := url.Values{}
	for _, match := range formField.FindAllStringSubmatch(page.raw, -1) {
		if match[2] == "requestId" || match[2] == "page_token" {
			form.Set(match[2], match[3])
		}
	}
	for _, t := range typed {
		name, value, _ := strings.Cut(t, "=")
		form.Set(name, value)
	}
	return b.led(b.visit(http.MethodPost, path, form))
}

// linkTo is the link of the next mail to an address.
func (h *house) linkTo(to string) string {
	h.t.Helper()
	return h.courier.nextLetter(h.t, "to "+to, func(l letter) bool { return l.content.Link != "" && strings.Contains(l.content.To, to) }).Link
}

const chosen = "green-Otter-swims-91-home"

// From "forgotten" through the mail to the sign-in that it began with.
func TestAForgottenPasswordLeadsBackToTheSignIn(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		h.withPassword("ana@acme.test", plain)
		a, b := h.simple(), h.browser()
		page := b.signInPage(wanted(a))
		b.next(b.step(page, "/login/turn", "to=forgot"))
		b.next(b.step(page, "/login/forgot", "email=ana@acme.test"))
		sent := b.click(b.open(h.linkTo("ana@acme.test")).want(http.StatusOK))
		if sent.wantTo("/password").to() != "/password" || b.cookie("cs_link") != "" {
			t.Errorf("the click leads to %s", sent.to())
		}
		page = b.visit(http.MethodGet, "/password", nil).want(http.StatusOK)
		for _, text := range []string{`data-least="15"`, "\nacme", "At least 15 characters.", `src="./assets/pages.`} {
			if !strings.Contains(page.raw, text) {
				t.Errorf("the page does not say %q: %s", text, page.raw)
			}
		}
		if !strings.Contains(page.raw, `autocomplete="username" value="ana@acme.test"`) || strings.Contains(page.raw, b.cookie("cs_password")) {
			t.Errorf("the page for a new password: %s", page.raw)
		}
		if weak := b.submit(page, "/password", "password=short").want(http.StatusUnprocessableEntity); !strings.Contains(weak.raw, `role="alert"`) || !strings.Contains(weak.raw, `action="/password"`) {
			t.Errorf("after a short password: %s", weak.raw)
		}
		if q := b.authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("error") != "login_required" {
			t.Errorf("the link has signed in: %v", q)
		}
		page = b.at(b.visit(http.MethodPost, "/password", b.fill(page, "/password", "password="+chosen)), "/login")
		if b.cookie("cs_password")+b.cookie("cs_flow") != "" {
			t.Error("the cookies of the link stay")
		}
		b.submit(page, "/login", "email=ana@acme.test", "password="+chosen).wantCode(http.StatusSeeOther)
		b.visit(http.MethodGet, "/password", nil).want(http.StatusNotFound)
	})
}

// Whoever opens the link elsewhere reads who has asked for what and from where,
// sets the password, and is signed in nowhere.
// Covers R-101 for links to set a password on our own page.
func TestAForgottenPasswordInAnotherBrowser(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b, other := h.simple(), h.browser(), h.browser()
	b.next(b.step(b.signInPage(wanted(a)), "/login/forgot", "email=ana@acme.test"))
	page := other.open(h.linkTo("ana@acme.test")).want(http.StatusOK)
	for _, text := range []string{"Acme Test Ltd", "Shop", "127.0.0.0/24", "a minute ago", "Go-http-client"} {
		if !strings.Contains(page.raw, text) {
			t.Errorf("the page does not say %s: %s", text, page.raw)
		}
	}
	if strings.Contains(page.raw, "ana@acme.test") {
		t.Error("the page says the whole address before the click")
	}
	other.click(page).wantTo("/password")
	page = other.visit(http.MethodGet, "/password", nil).want(http.StatusOK)
	done := other.submit(page, "/password", "password="+chosen).wantTo("/password/done")
	if said := other.visit(http.MethodGet, done.to(), nil).want(http.StatusOK); !strings.Contains(said.raw, "Go back to your app") {
		t.Errorf("after it: %s", said.raw)
	}
	if other.cookie("cs_sessions") != "" {
		t.Error("setting a password has signed in")
	}
	again := other.visit(http.MethodPost, "/password", other.fill(page, "/password", "password="+chosen+"x"))
	if again.status != http.StatusForbidden && again.status != http.StatusNotFound {
		t.Errorf("the code was used twice: %d", again.status)
	}
	// The flow lives: asking about it from another browser has not ended it.
	b.submit(b.signInPage(wanted(a)), "/login", "email=ana@acme.test", "password="+chosen).wantCode(http.StatusSeeOther)
}

// Where the app was switched off meanwhile, the password is set for all that, and
// the page says so.
func TestAPasswordIsSetThoughTheAppIsOff(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.simple(), h.browser()
	b.next(b.step(b.signInPage(wanted(a)), "/login/forgot", "email=ana@acme.test"))
	b.click(b.open(h.linkTo("ana@acme.test"))).wantTo("/password")
	page := b.visit(http.MethodGet, "/password", nil).want(http.StatusOK)
	h.call("PUT", h.apps("/"+a.ID), "active=false").want(http.StatusOK)
	b.submit(page, "/password", "password="+chosen).wantTo("/password/done")
	if got := h.challengePassword("ana@acme.test", chosen).want(http.StatusOK); got.body["code"] == nil {
		t.Errorf("the new password: %s", got.raw)
	}
}

// Every address is answered alike, and a mail goes to users alone.
func TestForgettingTellsNothing(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.withPassword("ana@acme.test", plain)
	a, b := h.simple(), h.browser()
	var shown []string
	for _, email := range []string{"nobody@acme.test", "ana@acme.test"} {
		page := b.signInPage(wanted(a))
		said := b.next(b.step(page, "/login/forgot", "email="+email))
		shown = append(shown, changing.ReplaceAllString(strings.ReplaceAll(said.raw, email, "-"), "-"))
	}
	if shown[0] != shown[1] {
		t.Errorf("nobody's address is answered with\n%s\nsomebody's with\n%s", shown[0], shown[1])
	}
	h.linkTo("ana@acme.test")
	if slices.ContainsFunc(h.courier.read, func(l letter) bool { return strings.Contains(l.content.To, "nobody") }) {
		t.Error("a mail went to nobody")
	}
}

var changing = regexp.MustCompile(`[A-Za-z0-9_-]{43}|nonce="[^"]*"|nonce-[A-Z0-9]*`)

// linked begins a sign-in by link and returns the link and the page that waits.
func (h *house) linked(b *browser, a api.App) (link string, page *reply) {
	h.t.Helper()
	page = b.signInPage(wanted(a))
	b.next(b.step(page, "/login/turn", "to=link"))
	b.next(b.step(page, "/login/link", "email=ana@acme.test"))
	return h.linkTo("ana@acme.test"), page
}

// Covers R-101 for the browser that asked.
func TestALinkSignsInWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		a, b := h.simple(), h.browser()
		link, _ := h.linked(b, a)
		scanner := h.browser()
		for range 3 { // a scanner looks at everything, and uses nothing up
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				scanner.visit(method, link, nil).want(http.StatusSeeOther)
				scanner.visit(method, "/link", nil).want(http.StatusOK)
			}
		}
		page := b.open(link).want(http.StatusOK)
		if !strings.Contains(page.raw, "With the button you sign in to Shop in this browser.") {
			t.Errorf("the page: %s", page.raw)
		}
		if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example.test") {
			t.Errorf("the form may lead to: %s", csp)
		}
		b.led(b.click(page).wantTo("/login")).wantCode(http.StatusSeeOther)
		b.authorize(wanted(a, "prompt=none")).wantCode(http.StatusFound)
		b.open(link).want(http.StatusNotFound)
	})
}

// Covers R-101 for another browser than the one that asked.
// Covers R-036 for links.
func TestALinkThatIsOpenedElsewhereSignsNobodyInThere(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		a, b, elsewhere := h.simple(), h.browser(), h.browser()
		link, waiting := h.linked(b, a)
		// Before the link is opened nothing is compared, and no guess is spent.
		for range 12 {
			b.next(b.step(waiting, "/login/shown", "code=123456"))
		}
		early := b.next(b.step(waiting, "/login/turn", "to=link"))
		if strings.Contains(early.raw, `value="link_sent"`) {
			t.Errorf("a code is asked for that nobody shows: %s", early.raw)
		}
		page := elsewhere.open(link).want(http.StatusOK)
		for _, text := range []string{"Did you begin to sign in?", "Acme Test Ltd", secret.MaskEmail("ana@acme.test"), "Shop", "127.0.0.0/24", "Go-http-client", "a minute ago", "Show the code"} {
			if !strings.Contains(page.raw, text) {
				t.Errorf("the page does not say %s: %s", text, page.raw)
			}
		}
		elsewhere.click(page).wantTo("/link/code")
		shown := elsewhere.visit(http.MethodGet, "/link/code", nil).want(http.StatusOK)
		match := regexp.MustCompile(`<output>([0-9]{6})</output>`).FindStringSubmatch(shown.raw)
		if match == nil || elsewhere.cookie("cs_sessions") != "" {
			t.Fatalf("the other browser has sessions %q and shows %s", elsewhere.cookie("cs_sessions"), shown.raw)
		}
		code := match[1]
		// In another sign-in of the same user it is worth nothing.
		stranger := h.browser()
		foreign := stranger.signInPage(wanted(a))
		stranger.next(stranger.step(foreign, "/login/link", "email=ana@acme.test"))
		stranger.next(stranger.step(foreign, "/login/shown", "code="+code))
		if q := stranger.authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("error") == "" {
			t.Errorf("the code has signed a stranger in: %v", q)
		}
		wrong := b.next(b.step(waiting, "/login/shown", "code="+other(code)))
		if !strings.Contains(wrong.raw, "Type it as the other browser shows it.") {
			t.Errorf("a wrong code: %s", wrong.raw)
		}
		if malformed := b.next(b.step(waiting, "/login/shown", "code=12")); !strings.Contains(malformed.raw, "This code has six digits.") {
			t.Errorf("no code: %s", malformed.raw)
		}
		// Whoever turns away from it finds back.
		away := b.next(b.step(waiting, "/login/turn", "to=link"))
		if !strings.Contains(away.raw, `name="to" value="link_sent"`) {
			t.Errorf("no way back to the code: %s", away.raw)
		}
		wrong = b.next(b.step(away, "/login/turn", "to=link_sent"))
		b.step(wrong, "/login/shown", "code="+code).wantCode(http.StatusSeeOther)
		b.authorize(wanted(a, "prompt=none")).wantCode(http.StatusFound)
		if q := elsewhere.authorize(wanted(a, "prompt=none")).wantBack(http.StatusFound); q.Get("error") != "login_required" {
			t.Errorf("the other browser is signed in: %v", q)
		}
	})
}
