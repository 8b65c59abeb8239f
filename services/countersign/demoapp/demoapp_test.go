package demoapp

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const base = "http://127.0.0.1:8080"

func settled() *App {
	a := New()
	a.Settle(Settings{Base: base, Issuer: base, Account: "demo", Org: "demo-company", ClientID: "app_1", Email: "cleo@demo.example", Password: "p"})
	return a
}

func do(a *App, method, address string, header ...string) *http.Response {
	r := httptest.NewRequest(method, address, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

func TestWhoMayAskTheDemo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app             *App
		method, address string
		header          []string
		status          int
		to              string
	}{
		"before it is registered":          {New(), "GET", base + Path, nil, 503, ""},
		"at its address":                   {settled(), "GET", base + Path, nil, 200, ""},
		"at another name of the machine":   {settled(), "GET", "http://localhost:8080" + Path, nil, 303, base + Path},
		"at a name of a stranger":          {settled(), "POST", "http://evil.example" + signOutPath, nil, 303, base + Path},
		"a form of another site":           {settled(), "POST", base + signInPath, []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		"a form of an older browser":       {settled(), "POST", base + signOutPath, []string{"Origin", "https://evil.example"}, 403, ""},
		"a form of a neighbour":            {settled(), "POST", base + signOutPath, []string{"Sec-Fetch-Site", "same-site"}, 403, ""},
		"a form from a sandbox":            {settled(), "POST", base + signInPath, []string{"Origin", "null"}, 403, ""},
		"a sign-out of nobody":             {settled(), "POST", base + signOutPath, nil, 303, Path},
		"a code that nobody has asked for": {settled(), "GET", base + CallbackPath + "?code=x&state=y", nil, 400, ""},
		"another path":                     {settled(), "GET", base + Path + "/else", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := do(c.app, c.method, c.address, c.header...) //nolint:bodyclose // of a recorder
			if res.StatusCode != c.status || res.Header.Get("Location") != c.to {
				t.Errorf("%d to %q, want %d to %q", res.StatusCode, res.Header.Get("Location"), c.status, c.to)
			}
		})
	}
}

// A state is good in the browser that it was made for, and once.
func TestAStateIsForItsBrowser(t *testing.T) {
	t.Parallel()
	a := settled()
	asked := func(header ...string) (cookie, state string) {
		res := do(a, "POST", base+signInPath, header...) //nolint:bodyclose // of a recorder
		to, err := url.Parse(res.Header.Get("Location"))
		if err != nil || res.StatusCode != 303 || !strings.HasPrefix(to.String(), base+"/a/demo/?") || to.Query().Get("code_challenge") == "" {
			t.Fatalf("%d to %s", res.StatusCode, to)
		}
		return "demo=" + res.Cookies()[0].Value, to.Query().Get("client_state")
	}
	comes := func(cookie, state string) string {
		res := do(a, "GET", base+CallbackPath+"?error=access_denied&state="+state, "Cookie", cookie) //nolint:bodyclose // of a recorder
		var page strings.Builder
		if err := res.Write(&page); err != nil {
			t.Fatal(err)
		}
		return page.String()
	}
	const taken, refused = "You were not signed in: access_denied", "has not asked to sign in"
	first, one := asked()
	if again, _ := asked("Cookie", "demo=chosen-by-a-stranger"); again == "demo=chosen-by-a-stranger" {
		t.Error("the id of a browser is chosen by who sends it")
	}
	same, two := asked("Cookie", first)
	if same != first || one == two {
		t.Error("a second tab is another browser, or has the same state")
	}
	other, _ := asked()
	for _, c := range []struct{ cookie, state, want string }{
		{other, one, refused}, {"demo=", one, refused}, {first, two, taken}, {first, two, refused}, {first, one, taken}, {first, "", refused},
	} {
		if got := comes(c.cookie, c.state); !strings.Contains(got, c.want) {
			t.Errorf("the page does not say %q:\n%s", c.want, got)
		}
	}
}
