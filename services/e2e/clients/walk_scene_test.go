package clients_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// pictures is where pictures of the pages are kept, for people to look at.
func pictures() string {
	return cmp.Or(os.Getenv("COUNTERSIGN_SCREENSHOTS"), "../../../bin/screenshots")
}

// walks is one `countersign dev` with a browser, for persons who begin at its
// demo app.
type walks struct {
	*scene

	chromium *browser.Browser
	demo     string // address of the app
	axe      string // the library that judges pages
}

func newWalks(t *testing.T) *walks {
	t.Helper()
	rig.Installed(t, "zbarimg", "zbar-tools")
	w := &walks{chromium: browser.Start(t), axe: filepath.Join(installed.folder(t), "node_modules/axe-core/axe.min.js")}
	s, env := startDev(t)
	w.scene, w.demo = s, env["COUNTERSIGN_DEMO_URL"]
	s.api.Org = env["COUNTERSIGN_ORG"]
	return w
}

// newcomer makes a user with a password and nothing else.
func (w *walks) newcomer(t *testing.T) *person {
	t.Helper()
	w.people++
	name := fmt.Sprintf("dora%d", w.people)
	p := &person{tb: t, base: w.issuer, email: name + "@demo.example", password: "grey-Heron-waits-" + name + "-31"}
	p.id = w.api.NewUser(p.email, "")
	asked := w.api.Call("POST", "/api/v2/password-request", "user_email="+p.email, "org_domain="+w.api.Org, "redirect_uri="+welcome).Want(201)
	link := w.link(t, "request_id="+asked.Text("request_id"))
	code := stage.NewBrowser(t, w.issuer).Follow(link).Get("password_code")
	w.api.Call("POST", "/api/v2/password", "plain_text="+p.password, "password_code="+code).Want(200)
	return p
}

// enrolled makes a user with an authenticator app, too, and returns the
// recovery codes.
func (w *walks) enrolled(t *testing.T) (*person, []string) {
	t.Helper()
	p := w.newcomer(t)
	enrolment := w.api.Call("POST", w.api.Path("totp-enrollment/"+p.id)).Want(201)
	p.app = newAuthenticator(t, enrolment.Text("otp_uri"))
	done := w.api.Call("PUT", w.api.Path("totp-enrollment/validation/"+p.id), "code="+p.app.code()).Want(200).WantSuccess(true)
	return p, strings.Fields(done.Text("recovery_codes"))
}

var linkInMail = regexp.MustCompile(`https?://\S+/magic-link/verify/\S+`)

// link waits for a mail with a link.
func (w *walks) link(t *testing.T, filter string) (link string) {
	t.Helper()
	stage.Until(t, "a mail with a link", func() bool {
		for _, item := range w.api.Call("GET", w.api.Path("inbox"), "per_page=5", filter).Want(200).Items() {
			text, _ := item["text"].(string)
			if link = linkInMail.FindString(text); link != "" {
				return true
			}
		}
		return false
	})
	return link
}

// walker is a person at a browser.
type walker struct {
	*walks
	*person

	t    *testing.T
	tab  *browser.Tab
	name string // of the pictures; empty keeps none
	seen int
}

func (w *walks) walker(t *testing.T, p *person, look browser.Look) *walker {
	t.Helper()
	return &walker{walks: w, person: p, t: t, tab: w.chromium.Looking(t, look)}
}

func formOf(path string) string { return `form[action="` + path + `"]` }

// looks has the page judged, and keeps a picture.
func (w *walker) looks(at string) {
	w.t.Helper()
	if w.name == "" {
		return
	}
	w.seen++
	w.tab.Keep(pictures(), fmt.Sprintf("%s-%02d-%s", w.name, w.seen, at))
	w.tab.Accessible(w.axe)
}

// starts goes from the app to the first page.
func (w *walker) starts() {
	w.t.Helper()
	w.tab.Open(w.demo)
	w.tab.Submit("#sign-in")
	w.tab.Await(formOf("/login"))
}

// sends fills a form in and presses its button. Fields are name and value.
func (w *walker) sends(path string, fields ...string) {
	w.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		w.tab.Type(formOf(path)+` input[name="`+fields[i]+`"]`, fields[i+1])
	}
	w.tab.Submit(formOf(path) + " button[type=submit]")
}

func (w *walker) turns(to string) {
	w.t.Helper()
	w.tab.Submit(formOf("/login/turn") + ` button[value="` + to + `"]`)
}

func (w *walker) sendsPassword() {
	w.t.Helper()
	w.sends("/login", "email", w.email, "password", w.password)
}

// scans reads the QR code off the screen, as a camera does.
func (w *walker) scans() {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "screen.png")
	if err := os.WriteFile(file, w.tab.Picture(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	out, err := exec.CommandContext(w.t.Context(), "zbarimg", "-q", "--raw", "--oneshot", file).Output()
	if err != nil {
		w.t.Fatalf("zbarimg: %v: %s", err, out)
	}
	w.app = newAuthenticator(w.t, strings.TrimSpace(string(out)))
	if shown := strings.ReplaceAll(w.tab.Text(), " ", ""); !strings.Contains(shown, w.app.secret()) {
		w.t.Errorf("the page does not show the secret of its code:\n%s", shown)
	}
}

// keepsCodes saves the recovery codes and goes on.
func (w *walker) keepsCodes() {
	w.t.Helper()
	shown := w.tab.Text()
	name, text := w.tab.Download(`a[href^="/login/recovery-codes.txt"]`)
	codes := recoveryCode.FindAllString(text, -1)
	if name != "recovery-codes.txt" || len(codes) != 5 {
		w.t.Errorf("%s has %d codes", name, len(codes))
	}
	for _, code := range codes {
		if !strings.Contains(shown, code) {
			w.t.Error("a code of the file is not on the page")
		}
	}
	w.tab.Check("input[name=saved]")
	w.sends("/login/codes")
}

var recoveryCode = regexp.MustCompile(`\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b`)

// isIn looks whether the app knows who has signed in.
func (w *walker) isIn() {
	w.t.Helper()
	if w.tab.Location() != w.demo || !w.tab.Has("#claims") {
		w.t.Fatalf("the app knows nobody: at %s\n%s", w.tab.Location(), w.tab.Text())
	}
	for claim, want := range map[string]string{"email": w.email, "sub": "countersign|" + w.id} {
		if got := browser.Script[string](w.tab, `document.querySelector('[data-claim="`+claim+`"]').textContent`); got != want {
			w.t.Errorf("the app was told %s %q, want %q", claim, got, want)
		}
	}
}

// signsOut leaves the app, and the browser knows nobody.
func (w *walker) signsOut() {
	w.t.Helper()
	w.tab.Submit("#sign-out")
	if w.tab.Location() != w.demo || w.tab.Has("#claims") {
		w.t.Errorf("signed out, the browser is at %s:\n%s", w.tab.Location(), w.tab.Text())
	}
}
