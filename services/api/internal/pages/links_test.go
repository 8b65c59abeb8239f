package pages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/link"
)

// Scanners open a link from everywhere before its reader does, and go on to
// the page with the cookie that they were given. Then the reader clicks.
// Covers R-100 for scanners that do not press buttons.
// Covers R-149 for the form of a link.
func TestOnlyTheClickUsesALink(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	token := s.with("one", nil)
	methods := map[string]int{"GET": 0, "HEAD": 0, "OPTIONS": http.StatusMethodNotAllowed, "PROPFIND": http.StatusMethodNotAllowed}
	visits := 0
	for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"} {
		for method, refused := range methods {
			for path, status := range map[string]int{"/magic-link/verify/" + token: 303, "/callback?token=" + token: 303, "/link": 200} {
				req, err := http.NewRequestWithContext(t.Context(), method, s.base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				s.cookie(token)(req)
				got := s.send(req, from).want(max(status, refused))
				if method == "HEAD" && got.body != "" {
					t.Errorf("HEAD %s has a body", path)
				}
				if refused != 0 && got.header.Get("Allow") == "" {
					t.Errorf("%s %s does not say what it takes", method, path)
				}
				visits++
			}
		}
	}
	if visits < 20 || len(s.followed) != 0 {
		t.Fatalf("%d visits used the link: %q", visits, s.followed)
	}
	done := s.click(token).want(http.StatusSeeOther)
	if got := done.header.Get("Location"); got != "https://app.acme.test/cb?password_code=canary-code" || done.body != "" {
		t.Errorf("the click leads to %q, and its body is %q", got, done.body)
	}
	if got := done.header.Get("Set-Cookie"); got != "cs_link=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" {
		t.Errorf("the cookie becomes %q", got)
	}
	if fmt.Sprint(s.followed) != "[127.0.0.1]" {
		t.Errorf("used by %v", s.followed)
	}
}

// Whoever comes late reads what happened and what to do.
func TestAUsedLinkSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	token := s.with("one", nil)
	s.click(token).want(303)
	again := s.ask("POST", "/link", s.form(token), s.cookie(token), ours).want(404).wantPage("This link was already used")
	s.ask("POST", "/link", s.form(token), ours).want(403).wantPage("This page is out of date")
	s.ask("GET", "/link", "", s.cookie(token)).want(404).wantPage("This link is no longer valid")
	s.ask("GET", "/link", "").want(404).wantPage("Open the link from your message")
	s.ask("GET", "/magic-link/verify/"+token, "").want(303) // that it is dead is told on the clean page
	if len(s.followed) != 1 || !strings.Contains(again.body, "(<code>link_not_valid</code>)") {
		t.Errorf("followed %d times: %s", len(s.followed), again.body)
	}
}

//
// Covers R-155 for the cookie of a link.
func TestTheTokenLeavesTheAddressAtOnce(t *testing.T) {
	t.Parallel()
	for base, cookie := range map[string]string{
		"":                                  "cs_link=%s; Path=/; Max-Age=600; HttpOnly; SameSite=Lax",
		"https://login.acme.test":           "__Host-cs_link=%s; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
		"https://acme.test:8443/sign/on%20": "__Host-cs_link=%s; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax",
	} {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, base)
			token := s.with("one", nil)
			clean := "/link"
			if strings.HasSuffix(base, "%20") {
				clean = "/sign/on%20/link"
			}
			for _, path := range []string{"/magic-link/verify/" + token, "/callback?token=" + token, "/magic-link/verify/" + token + "?utm_source=mail"} {
				got := s.ask("GET", path, "").want(303)
				if got.header.Get("Location") != clean || got.body != "" || got.header.Get("Referrer-Policy") != "no-referrer" {
					t.Errorf("%s leads to %q with %v and %q", path, got.header.Get("Location"), got.header, got.body)
				}
				if set := got.header.Values("Set-Cookie"); len(set) != 1 || set[0] != fmt.Sprintf(cookie, token) {
					t.Errorf("%s sets %q, want %s", path, set, cookie)
				}
			}
			page := s.ask("GET", "/link", "", s.cookie(token)).want(200).wantPage("Choose a new password")
			if !strings.Contains(page.body, `action="`+clean+`"`) || page.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("the page sends its form elsewhere, or says where it comes from: %v %s", page.header, page.body)
			}
			s.click(token).want(303)
			if strings.Contains(s.log.String(), "canary") || !strings.Contains(s.log.String(), "route=/magic-link/verify/{token}") {
				t.Errorf("the log is %s", s.log)
			}
		})
	}
}

// What is no token is not looked up, and does not come back in any form.
func TestOnlyTokensAreTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	for name, token := range map[string]string{
		"too short": tokenOf("x")[:42], "too long": tokenOf("x") + "y", "longer": strings.Repeat("canary", 1000), "a line": tokenOf("x")[:41] + "\r\n",
		"a cookie of its own": tokenOf("x")[:38] + "; a=b", "another alphabet": tokenOf("x")[:42] + "é", "empty": "", "a path": "../../canary",
	} {
		for _, path := range []string{"/magic-link/verify/" + url.PathEscape(token), "/callback?token=" + url.QueryEscape(token)} {
			if name == "empty" && !strings.HasPrefix(path, "/callback") {
				continue // another path
			}
			got := s.ask("GET", path, "").want(404).wantPage("This link is no longer valid")
			if got.header.Get("Set-Cookie") != "" || strings.Contains(fmt.Sprint(got.header), "canary") {
				t.Errorf("%s: %s is handed back: %v", name, path, got.header)
			}
		}
		if name != "empty" && name != "a line" && name != "a cookie of its own" && name != "another alphabet" {
			s.ask("GET", "/link", "", s.cookie(token)).want(404).wantPage("This link is no longer valid")
			s.ask("POST", "/link", s.form(token), s.cookie(token), ours).want(404).wantPage("This link was already used")
		}
	}
	s.ask("GET", "/callback", "").want(404).wantPage("This link is no longer valid")
	s.ask("GET", "/callback?token=a&token=b", "").want(400).wantPage("This request could not be understood")
}

// Covers R-101 for what the page of a link says.
func TestThePageSaysWhatTheClickDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	texts := map[link.Purpose]string{link.Create: "Set your password", link.Reset: "Choose a new password", link.Login: "Sign in to Acme &amp; Söhne"}
	buttons := map[link.Purpose]string{link.Create: "Set a password", link.Reset: "Choose a new password", link.Login: "Sign in"}
	for purpose, heading := range texts {
		token := s.with(string(purpose), func(v *link.View) { v.Purpose = purpose })
		page := s.ask("GET", "/link", "", s.cookie(token)).want(200).wantPage(heading)
		for _, said := range []string{
			"<dd>Acme &amp; Söhne</dd>", "<dd>a••@acme.test</dd>", "<dd>app.acme.test</dd>",
			`<dd><time datetime="2031-05-06T07:08:09Z">3 minutes ago</time></dd>`,
			`<button type="submit">` + buttons[purpose] + "</button>", "If you did not ask for this, close the page.",
			`fill="#336699"`,
		} {
			if strings.Count(page.body, said) != 1 {
				t.Errorf("%s: %q is not said once: %s", purpose, said, page.body)
			}
		}
		if want := "form-action 'self' https://app.acme.test http://app.acme.test;"; !strings.Contains(page.header.Get("Content-Security-Policy"), want) {
			t.Errorf("%s: the policy is %q", purpose, page.header.Get("Content-Security-Policy"))
		}
	}
}

// A name is shown as text, whatever it looks like, and gets into no header.
func TestNamesAreShownAsText(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	token := s.with("one", func(v *link.View) {
		v.Purpose, v.Org.Name, v.Org.Color = link.Login, `{app}</title><b>"x`, "red;} body { display: none"
		v.AppHost, v.Address = "[::1]:3000; script-src *", "<i>"
	})
	page := s.ask("GET", "/link", "", s.cookie(token)).want(200)
	for _, raw := range []string{"<b>", "<i>", "display: none", "Sign in to [::1]"} {
		if strings.Contains(page.body, raw) {
			t.Errorf("%q stands in %s", raw, page.body)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https: http:;") || strings.Contains(policy, "script-src") {
		t.Errorf("the policy is %q", policy)
	}
	for host, want := range map[string]string{
		"127.0.0.1:3000": "https://127.0.0.1:3000 http://127.0.0.1:3000", "[::1]:3000": "https: http:", "app.test 'unsafe-inline'": "https: http:", "": "https: http:",
	} {
		if got := formTargets(host); got != want {
			t.Errorf("%q may lead to %q, want %q", host, got, want)
		}
	}
}

func TestThePageSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	for name, c := range map[string]struct{ asks, org, lang, heading string }{
		"what the browser asks for":       {"fr-CA, en;q=0.5", "de", "fr", "Choisir un nouveau mot de passe"},
		"the best that we speak":          {"ja, de;q=0.8, fr;q=0.9", "", "fr", "Choisir un nouveau mot de passe"},
		"else what the organization uses": {"ja", "de-AT", "de", "Neues Passwort wählen"},
		"a browser that does not say":     {"", "de", "de", "Neues Passwort wählen"},
		"else English":                    {"ja", "ko", "en", "Choose a new password"},
		"nonsense":                        {"\xff-;q=9, ,,;;", "%%", "en", "Choose a new password"},
	} {
		token := s.with("one", func(v *link.View) { v.Org.Locale = c.org })
		says := func(r *http.Request) {
			if c.asks != "" {
				r.Header.Set("Accept-Language", c.asks)
			}
		}
		page := s.ask("GET", "/link", "", s.cookie(token), says).want(200).wantPage(c.heading)
		if !strings.Contains(page.body, `<html lang="`+c.lang+`">`) {
			t.Errorf("%s: %s", name, page.body)
		}
	}
	german := func(r *http.Request) { r.Header.Set("Accept-Language", "de") }
	s.ask("GET", "/link", "", german).want(404).wantPage("Öffnen Sie den Link aus Ihrer Nachricht")
}

// Every way in which a page can fail is a page, with the headers of all
// answers, a reference, and a way on where there is one.
// Covers R-154 for the pages of links.
func TestFaultsArePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://login.acme.test")
	token := s.with("one", nil)
	always := map[string]string{
		"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
	}
	posted := func(body string, change ...func(*http.Request)) func() *seen {
		return func() *seen {
			return s.ask("POST", "/link", body, append([]func(*http.Request){s.cookie(token), ours}, change...)...)
		}
	}
	looked := func() *seen { return s.ask("GET", "/link", "", s.cookie(token)) }
	for name, c := range map[string]struct {
		fails   error
		ask     func() *seen
		status  int
		heading string
		again   bool
	}{
		"the page itself":       {nil, looked, 200, "Choose a new password", false},
		"dead":                  {link.ErrDead, looked, 404, "This link is no longer valid", false},
		"the store is down":     {fault.New(fault.Unavailable, "database_unavailable", "canary"), looked, 503, "Please try again in a moment", true},
		"a bug":                 {errors.New("canary"), looked, 500, "Something went wrong on our side", true},
		"a slow store":          {context.DeadlineExceeded, looked, 500, "Something went wrong on our side", true},
		"limited":               {fault.New(fault.Limited, "rate_limited", "canary"), looked, 429, "Please try again in a moment", true},
		"no form":               {nil, posted(""), 403, "This page is out of date", true},
		"a broken form":         {nil, posted("a=%zz"), 400, "This request could not be understood", false},
		"another field":         {nil, posted(s.form(token) + "&admin=1"), 400, "This request could not be understood", false},
		"the token in a query":  {nil, func() *seen { return s.ask("POST", "/link?"+s.form(token), "", s.cookie(token), ours) }, 400, "This request could not be understood", false},
		"a large form":          {nil, posted("a=" + strings.Repeat("a", 65<<10)), 413, "This request could not be understood", false},
		"another type":          {nil, posted("x", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), 415, "This request could not be understood", false},
		"a click, store down":   {fault.New(fault.Unavailable, "database_unavailable", "canary"), posted(s.form(token)), 503, "Please try again in a moment", true},
		"another name of ours":  {nil, func() *seen { return s.ask("GET", "/link", "", func(r *http.Request) { r.Host = "acme.test" }) }, 421, "This is not our address", false},
		"the path of a scanner": {nil, func() *seen { return s.ask("GET", "/magic-link/verify/%00", "") }, 404, "This link is no longer valid", false},
	} {
		s.fails = c.fails
		got := c.ask().want(c.status).wantPage(c.heading)
		for header, want := range always {
			if values := got.header.Values(header); len(values) != 1 || values[0] != want {
				t.Errorf("%s: %s is %q, want %q", name, header, values, want)
			}
		}
		if strings.Contains(got.body, `<a href="">`) != c.again {
			t.Errorf("%s: trying again is offered, or missing: %s", name, got.body)
		}
		if waits := c.status == 429 || c.status == 503; waits != (got.header.Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After is %q", name, got.header.Get("Retry-After"))
		}
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: sets a cookie", name)
		}
	}
	s.fails = nil
	s.panics = true
	s.ask("GET", "/link", "", s.cookie(token)).want(500).wantPage("Something went wrong on our side")
	s.panics = false
	if len(s.followed) != 0 {
		t.Errorf("followed by %v", s.followed)
	}
	s.click(token).want(303) // after all that
}

// What a link does is decided once, however often it is clicked at once.
func TestManyClicksAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	token := s.with("one", nil)
	statuses := make(chan int)
	for range 16 {
		go func() { statuses <- s.ask("POST", "/link", s.form(token), s.cookie(token), ours).status }()
	}
	count := map[int]int{}
	for range 16 {
		count[<-statuses]++
	}
	if want := map[int]int{303: 1, 404: 15}; !maps.Equal(count, want) {
		t.Errorf("statuses %v, want %v", count, want)
	}
}

func TestTheTableOfLinks(t *testing.T) {
	t.Parallel()
	var got []string
	for _, route := range (&Links{BaseURL: "https://login.acme.test"}).Routes() {
		got = append(got, fmt.Sprint(route.Method, " ", route.Path, " ", route.Page, " ", route.Cookie, " ", route.Form))
	}
	want := []string{
		"GET /magic-link/verify/{token} true  false", "GET /callback true  false",
		"GET /link true __Host-cs_link false", "POST /link true __Host-cs_link true",
		"GET /link/code true __Host-cs_shown false", "GET /password true __Host-cs_password false", "POST /password true __Host-cs_password true",
		"GET /password/done true  false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
