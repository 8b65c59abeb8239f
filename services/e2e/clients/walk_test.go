package clients_test

import (
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// What a person may be asked for at the first sign-in, from the app and back to
// it: the app's own pages are among them.
const (
	mostPagesFirst, mostClicksFirst = 8, 10
	mostPagesLater                  = 3
)

// Persons sign in from the demo app, with and without scripts, on a phone and
// at a desk. Every page can be used by all, and asks nobody else for anything.
//
// Covers R-153 (in a browser: every step of a sign-in, with and without scripts).
// Covers R-160 (without scripts: enrolment, sign-in and recovery).
// Covers R-161 (the pages of people).
func TestWalks(t *testing.T) {
	t.Parallel()
	w := newWalks(t)
	for name, look := range map[string]browser.Look{
		"phone":        {Phone: true},
		"dark":         {Dark: true},
		"noscript":     {NoScript: true},
		"noscriptdark": {NoScript: true, Dark: true, Phone: true},
	} {
		t.Run("first sign-in, "+name, func(t *testing.T) { firstSignIn(t, w, name, look) })
	}
	for name, look := range map[string]browser.Look{"with scripts": {}, "without": {NoScript: true}} {
		t.Run("a phone, "+name, func(t *testing.T) { signInByPhone(t, w, look) })
		t.Run("a recovery code, "+name, func(t *testing.T) { recovers(t, w, look) })
		t.Run("back and twice, "+name, func(t *testing.T) { backAndTwice(t, w, look) })
	}
	t.Run("two tabs", func(t *testing.T) { twoTabs(t, w) })
	t.Run("another browser", func(t *testing.T) { anotherBrowser(t, w) })
}

func firstSignIn(t *testing.T, w *walks, name string, look browser.Look) {
	p := w.walker(t, w.newcomer(t), look)
	p.name = "first-" + name
	p.starts()
	p.looks("password")
	p.sendsPassword()
	p.looks("enrol")
	p.scans()
	p.sends("/login/confirm", "code", p.app.code())
	p.looks("codes")
	p.keepsCodes()
	p.isIn()
	p.looks("app")
	if pages, clicks := p.tab.Pages(), p.tab.Clicks(); pages > mostPagesFirst || clicks > mostClicksFirst {
		t.Errorf("%d pages and %d clicks, want at most %d and %d", pages, clicks, mostPagesFirst, mostClicksFirst)
	}
	p.signsOut()

	p.name = "later-" + name
	before := p.tab.Pages()
	p.tab.Submit("#sign-in")
	p.sendsPassword()
	p.looks("code")
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
	if pages := p.tab.Pages() - before; pages > mostPagesLater {
		t.Errorf("%d pages for who has signed in before, want at most %d", pages, mostPagesLater)
	}
	p.home()
}

// codeSent waits for a code to a number that none was sent to before, or for
// another than that.
func (w *walker) codeSent(number, before string) (code string) {
	w.t.Helper()
	stage.Until(w.t, "a code by text message", func() bool {
		items := w.api.Call("GET", w.api.Path("inbox"), "per_page=1", "to="+number).Want(200).Items()
		if len(items) == 0 {
			return false
		}
		text, _ := items[0]["text"].(string)
		code = stage.Code(w.t, text)
		return code != before
	})
	return code
}

// signInByPhone enrols a phone in place of an app.
func signInByPhone(t *testing.T, w *walks, look browser.Look) {
	number := "+491511234569" + map[bool]string{false: "1", true: "2"}[look.NoScript]
	p := w.walker(t, w.newcomer(t), look)
	p.name = "phone-" + map[bool]string{false: "scripts", true: "noscript"}[look.NoScript]
	p.starts()
	p.sendsPassword()
	p.turns("enrol_phone")
	p.looks("number")
	p.sends("/login/enrol", "phone", number)
	p.looks("sent")
	code := p.codeSent(number, "")
	p.sends("/login/confirm", "code", code)
	p.keepsCodes()
	p.isIn()
	p.signsOut()
	p.tab.Submit("#sign-in")
	p.sendsPassword()
	p.looks("choice")
	p.sends("/login/send")
	p.looks("code")
	p.sends("/login/code", "code", p.codeSent(number, code))
	p.isIn()
}

// recovers has lost the phone, and enrols another.
func recovers(t *testing.T, w *walks, look browser.Look) {
	who, codes := w.enrolled(t)
	p := w.walker(t, who, look)
	p.name = "recovery-" + map[bool]string{false: "scripts", true: "noscript"}[look.NoScript]
	p.starts()
	p.sendsPassword()
	p.turns("recovery")
	p.looks("code")
	p.sends("/login/recovery", "code", codes[0])
	p.looks("enrol")
	p.scans()
	p.sends("/login/confirm", "code", p.app.code())
	p.isIn()
}

// backAndTwice goes back on each page, and presses everything twice.
func backAndTwice(t *testing.T, w *walks, look browser.Look) {
	who, _ := w.enrolled(t)
	p := w.walker(t, who, look)
	p.starts()
	p.tab.Type("input[name=email]", p.email)
	p.tab.Type("input[name=password]", p.password)
	p.tab.DoubleClick(formOf("/login") + " button[type=submit]")
	p.tab.Await(formOf("/login/code"))
	p.tab.Back() // to the page of before, which shows where the sign-in has come to
	p.tab.Await(formOf("/login/code"))
	p.tab.Reload()
	p.tab.Type("input[name=code]", p.app.code())
	p.tab.DoubleClick(formOf("/login/code") + " button[type=submit]")
	p.tab.Await("#claims, " + formOf("/login/again"))
	p.tab.Open(w.demo)
	p.isIn()
}

// twoTabs signs in in both: the second one is done when the first has signed
// in.
func twoTabs(t *testing.T, w *walks) {
	who, _ := w.enrolled(t)
	first := w.walker(t, who, browser.Look{})
	second := &walker{walks: w, person: who, t: t, tab: first.tab.Another()}
	first.starts()
	second.starts()
	first.sendsPassword()
	second.sendsPassword()
	first.sends("/login/code", "code", who.app.code())
	first.isIn()
	second.sends("/login/code", "code", who.app.code())
	second.isIn()
}

// anotherBrowser has the address of somebody's page, which ends the sign-in
// there, too; or one of nothing.
func anotherBrowser(t *testing.T, w *walks) {
	p := w.walker(t, w.newcomer(t), browser.Look{})
	p.starts()
	address := p.tab.Location()
	other := w.walker(t, p.person, browser.Look{})
	other.name = "refused"
	for at, to := range map[string]string{"other": address, "unknown": w.issuer + "/login?requestId=00000000-0000-4000-8000-000000000000"} {
		other.tab.Open(to)
		if other.tab.Has("form") {
			t.Errorf("another browser may go on at %s", at)
		}
		other.looks(at)
		stage.Until(t, "the console shows the refusal", func() bool { return other.tab.Expected("the server responded with a status of 4") > 0 })
	}
	p.sendsPassword()
	if p.tab.Has("form") {
		t.Error("a sign-in that another browser has seen goes on")
	}
	stage.Until(t, "the console shows the end", func() bool { return p.tab.Expected("the server responded with a status of 404") > 0 })
}
