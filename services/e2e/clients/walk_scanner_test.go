package clients_test

import (
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// scanners open everything in the mails before the person does. None of it
// presses a button, so none of it uses a link up.
func scanners(t *testing.T, w *walks) {
	for name, walk := range map[string]func(t *testing.T, p *walker){
		"a link to sign in with": func(t *testing.T, p *walker) {
			link := p.asksForLink()
			w.scan(t, p.email)
			p.reads(link)
			p.clicks()
			p.sends("/login/code", "code", p.app.code())
			p.isIn()
		},
		"a link for another password": func(t *testing.T, p *walker) {
			p.starts()
			p.turns("forgot")
			link := w.mailed(t, p.email, func() { p.sends("/login/forgot", "email", p.email) })
			w.scan(t, p.email)
			p.reads(link)
			p.clicks()
			p.password += "-2"
			p.sends("/password", "password", p.password)
			p.sendsPassword()
			p.sends("/login/code", "code", p.app.code())
			p.isIn()
		},
		"a link that an app has asked for": func(t *testing.T, p *walker) {
			link := w.mailed(t, p.email, func() {
				w.api.Call("POST", "/api/v2/password-request", "user_email="+p.email, "org_domain="+w.api.Org, "redirect_uri="+w.demo).Want(201)
			})
			w.scan(t, p.email)
			p.tab.Open(w.demo)
			p.reads(link)
			p.clicks()
			code := regexp.MustCompile(`password_code=([A-Za-z0-9_-]+)`).FindStringSubmatch(p.tab.Location())
			if code == nil {
				t.Fatalf("the button leads to %s", p.tab.Location())
			}
			w.api.Call("POST", "/api/v2/password", "plain_text="+p.password+"-3", "password_code="+code[1]).Want(200)
		},
	} {
		t.Run(name, func(t *testing.T) {
			who, _ := w.enrolled(t)
			walk(t, w.walker(t, who, browser.Look{}))
		})
	}
}

// scan opens every address in the mails of somebody: its head, its page, with a
// browser's cookies and without, and in a browser with scripts, in which nobody
// presses anything.
func (w *walks) scan(t *testing.T, email string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tab := w.chromium.Profile(t)
	seen := 0
	for _, address := range w.addresses(email) {
		if !strings.HasPrefix(address, w.issuer+"/") {
			continue
		}
		for _, client := range []*http.Client{{Jar: jar, Timeout: time.Minute}, {Timeout: time.Minute}} {
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
			}
		}
		tab.Open(address)
		if linkInMail.MatchString(address) && tab.Has("form") {
			seen++
		}
	}
	if seen == 0 {
		t.Error("the scanner has seen no link that waits for a click")
	}
	// The link of before is used up, which its page says; browsers write that
	// into their console.
	tab.Expected("the server responded with a status of 404")
}

// tooLate opens the page of a sign-in that there is no more: it says so, with a
// reference to ask about, and what to do. From the app it begins anew.
func tooLate(t *testing.T, w *walks) {
	who, _ := w.enrolled(t)
	p := w.walker(t, who, browser.Look{})
	p.name = "late"
	p.starts()
	old := p.tab.Location()
	p.tab.Open(w.issuer + "/login?requestId=" + strings.Repeat("A", 43))
	stage.Until(t, "the console shows the end", func() bool { return p.tab.Expected("the server responded with a status of 404") > 0 })
	p.looks("over")
	if text := p.tab.Text(); !strings.Contains(text, "sign_in_over") || !regexp.MustCompile(`Reference: [A-Z2-7]{26}`).MatchString(text) || !strings.Contains(text, "app") {
		t.Errorf("the page of a sign-in that is over says\n%s", text)
	}
	p.starts()
	if p.tab.Location() == old {
		t.Error("the sign-in was not begun anew")
	}
	p.sendsPassword()
	p.sends("/login/code", "code", p.app.code())
	p.isIn()
}
