package clients_test

import (
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// What the script of the pages makes easier, in a browser.
//
//
func TestTheScriptOfThePages(t *testing.T) {
	t.Parallel()
	w := newWalks(t)
	t.Run("pasted codes", func(t *testing.T) { pastedCodes(t, w) })
	t.Run("a code that the browser reads", func(t *testing.T) { readCodes(t, w) })
	t.Run("another code", func(t *testing.T) { countsDown(t, w) })
	t.Run("recovery codes", func(t *testing.T) { copiesCodes(t, w) })
	t.Run("password fields", func(t *testing.T) { passwordFields(t, w) })
}

// pastedCodes pastes codes as apps and messages write them: they are sent at
// once, and once.
func pastedCodes(t *testing.T, w *walks) {
	for name, written := range map[string]func(code string) string{
		"whole":       func(code string) string { return code },
		"with spaces": func(code string) string { return " " + code[:3] + " " + code[3:] + "\n" },
		"with dashes": func(code string) string { return code[:3] + "-" + code[3:] },
	} {
		t.Run(name, func(t *testing.T) {
			who, _ := w.enrolled(t)
			p := w.walker(t, who, browser.Look{})
			p.starts()
			p.sendsPassword()
			p.tab.Paste("12 34") // no code: it stays in the field
			if got := browser.Script[string](p.tab, `document.querySelector("input[name=code]").value`); got != "12 34" || p.tab.Posts("/login/code") != 0 {
				t.Fatalf("the field has %q", got)
			}
			p.tab.Type("input[name=code]", "")
			p.tab.Leads("the page after a code", func() { p.tab.Paste(written(p.app.code())) })
			p.isIn()
			if n := p.tab.Posts("/login/code"); n != 1 {
				t.Errorf("the code was sent %d times", n)
			}
		})
	}
}

var boundToHost = regexp.MustCompile(`\n@127\.0\.0\.1 #[0-9]{6}$`)

// readCodes has the browser read the code from the text message (WebOTP), which
// is bound to our address.
func readCodes(t *testing.T, w *walks) {
	const number = "+4915112345693"
	p, before := w.withPhone(t, number)
	// No browser of a test has a phone: this is what one with a phone does.
	p.tab.Beforehand(`window.OTPCredential = class {};
		navigator.credentials.get = (asked) => new Promise((resolve) => { window.cameBySMS = (code) => resolve({ code, asked }); window.asked = asked; });`)
	p.starts()
	p.sendsPassword()
	p.sends("/login/send")
	const field = `input[name=code][data-otp][autocomplete="one-time-code"][inputmode=numeric]`
	if !p.tab.Has(field) || !browser.Script[bool](p.tab, `window.asked.otp.transport.join() === "sms" && !window.asked.signal.aborted`) {
		t.Fatalf("the page does not wait for a message:\n%s", p.tab.Text())
	}
	code := p.codeSent(number, before)
	if text := w.texted(number); !boundToHost.MatchString(text) {
		t.Errorf("the message is bound to no address: %q", text)
	}
	p.tab.Leads("the page after the message", func() { browser.Script[any](p.tab, `window.cameBySMS("`+code+`")`) })
	p.isIn()
	if n := p.tab.Posts("/login/code"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
}

// withPhone enrols a phone, and nothing else.
func (w *walks) withPhone(t *testing.T, number string) (p *walker, code string) {
	t.Helper()
	p = w.walker(t, w.newcomer(t), browser.Look{})
	w.api.Call("POST", w.api.Path("totp-enrollment/"+p.id), "method=sms", "phone_number="+number).Want(201)
	code = p.codeSent(number, "")
	w.api.Call("PUT", w.api.Path("totp-enrollment/validation/"+p.id), "code="+code).Want(200).WantSuccess(true)
	return p, code
}

// texted is the newest text message to a number.
func (w *walks) texted(number string) string {
	text, _ := w.api.Call("GET", w.api.Path("inbox"), "per_page=1", "to="+number).Want(200).Items()[0]["text"].(string)
	return text
}

// countsDown asks for another code: the button says for how long it waits, and
// can be pressed then.
func countsDown(t *testing.T, w *walks) {
	p, _ := w.withPhone(t, "+4915112345694")
	// A clock that the test moves, and seconds that are short.
	p.tab.Beforehand(`{
		const now = Date.now.bind(Date), later = setTimeout;
		window.ahead = 0;
		Date.now = () => now() + window.ahead;
		window.setTimeout = (f, ms) => later(f, ms / 50);
	}`)
	p.starts()
	p.sendsPassword()
	p.sentOnce("/login/send")
	p.tab.DoubleClick(formOf("/login/send") + " button[type=submit]")
	if n := p.tab.Posts("/login/send"); n != 1 {
		t.Errorf("two clicks have asked for %d codes", n)
	}
	const button, hint = `document.querySelector("button[data-wait]")`, `document.getElementById("wait")`
	waits := browser.Script[int](p.tab, `Number(`+button+`.dataset.wait)`)
	if waits < 10 || waits > 600 || !browser.Script[bool](p.tab, button+`.disabled && !`+hint+`.hidden && /[0-9]+/.test(`+hint+`.textContent)`) {
		t.Fatalf("the button waits for %d s:\n%s", waits, p.tab.Text())
	}
	says := func(script string) func() bool {
		return func() bool { return browser.Script[bool](p.tab, script) }
	}
	browser.Script[any](p.tab, `window.ahead = 1000 * `+button+`.dataset.wait - 5000`)
	stage.Until(t, "the last seconds are counted", says(button+`.disabled && /\b[1-5] seconds/.test(`+hint+`.textContent)`))
	browser.Script[any](p.tab, `window.ahead += 6000`)
	stage.Until(t, "the button can be pressed", says(`!`+button+`.disabled && `+hint+`.hidden`))
	p.sends("/login/send") // whether the server sends another one is its own matter: it says so
	if n := p.tab.Posts("/login/send"); n != 2 || !p.tab.Has("#said") {
		t.Errorf("%d codes were asked for:\n%s", n, p.tab.Text())
	}
}

// sentOnce sends a form three times at once: one gets through, and another one
// when the person comes back to the page. Nothing leaves it here.
func (w *walker) sentOnce(path string) {
	w.t.Helper()
	for range 2 {
		if n := browser.Script[int](w.tab, `((form) => {
			let sent = 0;
			const hold = (event) => { sent += event.defaultPrevented ? 0 : 1; event.preventDefault(); };
			addEventListener("submit", hold);
			for (let i = 0; i < 3; i++) form.requestSubmit();
			removeEventListener("submit", hold);
			dispatchEvent(new Event("pageshow"));
			return sent;
		})(document.querySelector(`+"`"+formOf(path)+"`"+`))`); n != 1 {
			w.t.Errorf("of three clicks %d have sent the form %s", n, path)
		}
	}
}

// copiesCodes puts new recovery codes on the clipboard.
func copiesCodes(t *testing.T, w *walks) {
	p := w.walker(t, w.newcomer(t), browser.Look{})
	p.starts()
	p.sendsPassword()
	p.scans()
	p.sends("/login/confirm", "code", p.app.code())
	p.tab.Copy("nothing")
	p.tab.Press("button[data-copy]")
	stage.Until(t, "the codes are on the clipboard", func() bool { return p.tab.Copied() != "nothing" })
	lines := strings.Split(p.tab.Copied(), "\n")
	if len(lines) != 5 {
		t.Errorf("%d lines are on the clipboard", len(lines))
	}
	for _, line := range lines {
		if recoveryCode.FindString(line) != line || !strings.Contains(p.tab.Text(), line) {
			t.Error("a line on the clipboard is no code of the page")
		}
	}
	if !browser.Script[bool](p.tab, `(b => b.textContent === b.dataset.done)(document.querySelector("button[data-copy]"))`) {
		t.Error("the button does not say that they are copied")
	}
	p.keepsCodes()
	p.isIn()
}
