package clients_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

// reply is an answer as a page of another origin gets it: with status 0 none at
// all.
type reply struct {
	Status int            `json:"status"`
	Body   map[string]any `json:"body"`
}

// at returns the text at a path of members.
func (r reply) at(path ...string) string {
	var value any = r.Body
	for _, name := range path {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	text, _ := value.(string)
	return text
}

// options is what an app hands to a call.
type options map[string]any

// loginSite serves the login page of an app on an origin of its own. What the
// page knows of the app comes with settle.
func loginSite(t *testing.T) (site *httptest.Server, settle func(s *scene, app client)) {
	t.Helper()
	mux := http.NewServeMux()
	for path, file := range map[string]string{"/{$}": "login.html", "/callback": "login.html", "/login.js": "login.js"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/"+file) })
	}
	site = httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site, func(s *scene, app client) {
		mux.HandleFunc("/settings.json", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			writeJSON(t, w, map[string]any{"authority": s.issuer, "client_id": app.id, "redirect_uri": app.redirect})
		})
	}
}

// loginPage is a tab with the login page of an app.
type loginPage struct {
	spa

	age    string // which generation of paths it calls
	failed int    // answers of 400 or more so far
}

func newLoginPage(t *testing.T, tab *browser.Tab, site, age string) *loginPage {
	t.Helper()
	p := &loginPage{spa: spa{t: t, tab: tab, site: site}, age: age}
	p.open("/")
	return p
}

// calls calls a function of the page.
func (p *loginPage) calls(name string, args ...any) reply {
	p.t.Helper()
	r := browser.Script[reply](p.tab, p.expression(name, args))
	if r.Status >= http.StatusBadRequest {
		p.failed++
	}
	return r
}

func (p *loginPage) expression(name string, args []any) string {
	p.t.Helper()
	if args == nil {
		args = []any{}
	}
	given, err := json.Marshal(args)
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("login.%s(...%s)", name, given)
}

// ok calls what has to succeed.
func (p *loginPage) ok(name string, args ...any) reply {
	p.t.Helper()
	r := p.calls(name, args...)
	if r.Status != http.StatusOK || r.Body["success"] != true || r.Body["status"] != float64(http.StatusOK) {
		p.t.Fatalf("%s: %+v", name, r)
	}
	return r
}

// refused calls what is refused with a code of the contract that the page reads.
func (p *loginPage) refused(status int, code, name string, args ...any) {
	p.t.Helper()
	r := p.calls(name, args...)
	if r.Status != status || r.Body["success"] != false || r.Body["status"] != float64(status) || r.at("code") != code || r.at("error") == "" {
		p.t.Errorf("%s: %+v, want %d %s", p.expression(name, args), r, status, code)
	}
}

// complained looks whether the browser has complained of what the test knows of
// and of nothing else: it writes every answer of 400 or more into its console.
func (p *loginPage) complained() {
	p.t.Helper()
	seen := 0
	stage.Until(p.t, fmt.Sprintf("the console shows %d refusals", p.failed), func() bool {
		seen += p.tab.Expected("the server responded with a status of 4")
		return seen >= p.failed
	})
	if rest := p.tab.Complaints(); seen != p.failed || len(rest) > 0 {
		p.t.Errorf("%d refusals in the console, want %d; and %q", seen, p.failed, rest)
	}
	p.failed = 0
}

// kept waits until the browser has said of each answer, in its three ways, that
// it keeps it from the page, and looks that it said no more.
func (p *loginPage) kept(answers int) {
	p.t.Helper()
	for _, text := range []string{"has been blocked by CORS policy", "cors: ", "net::ERR_FAILED"} {
		said := 0
		stage.Until(p.t, fmt.Sprintf("%d times: %s", answers, text), func() bool {
			said += p.tab.Expected(text)
			return said >= answers
		})
		if said != answers {
			p.t.Errorf("%s: said %d times, want %d", text, said, answers)
		}
	}
}
