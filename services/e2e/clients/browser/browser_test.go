package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

const form = `<!doctype html><title>Form</title><link rel="icon" href="data:,"><form method="post" action="/done"><input name="word"><button>Go</button></form>`

func page(policy, html string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = fmt.Fprintf(w, html, r.PostFormValue("word"))
	}
}

// The rig sees what it is there to see, and stays silent otherwise.
func TestABrowserComplains(t *testing.T) {
	t.Parallel()
	const icon = `<!doctype html><link rel="icon" href="data:,"><p>%.0s</p>`
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer other.Close()
	mux := http.NewServeMux()
	for path, handler := range map[string]http.HandlerFunc{
		"/quiet":     page("", icon),
		"/form":      page("", form+"<!--%s-->"),
		"/done":      page("", `<!doctype html><link rel="icon" href="data:,"><p id="word">%s</p>`),
		"/inline":    page("default-src 'none'; img-src data:", icon+`<script>document.title = "ran"</script>`),
		"/style":     page("default-src 'none'; img-src data:", icon+`<p style="color: red">red</p>`),
		"/throws":    page("", icon+`<script>throw new Error("broken")</script>`),
		"/says":      page("", icon+`<script>console.error("said", 7)</script>`),
		"/unhandled": page("", icon+`<script>Promise.reject(new Error("dropped"))</script>`),
		"/missing":   page("", icon+`<script src="/nowhere.js"></script>`),
		"/cors":      page("", icon+`<script>fetch("`+other.URL+`").catch(() => {})</script>`),
		"/posted":    page("form-action 'none'", form+`<!--%s--><script>document.forms[0].submit()</script>`),
	} {
		mux.Handle(path, handler)
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	b := browser.Start(t)

	t.Run("a form", func(t *testing.T) {
		tab := b.Profile(t)
		tab.Open(server.URL + "/form")
		tab.Fill("word", "filled")
		tab.Press("button")
		tab.Await("#word")
		tab.AwaitAddress(server.URL + "/done")
		word := browser.Script[string](tab, `Promise.resolve(document.querySelector("#word").textContent)`)
		if word != "filled" {
			t.Errorf("the form said %q", word)
		}
	})
	for name, c := range map[string]struct{ path, complaint string }{
		"nothing":               {"/quiet", ""},
		"an inline script":      {"/inline", "script-src"},
		"an inline style":       {"/style", "style-src"},
		"an exception":          {"/throws", "broken"},
		"an error that is said": {"/says", "said 7"},
		"a promise":             {"/unhandled", "dropped"},
		"a missing file":        {"/missing", "404"},
		"another origin":        {"/cors", "CORS"},
		"a form that may not":   {"/posted", "form-action"},
	} {
		t.Run(name, func(t *testing.T) {
			tab := b.Profile(t)
			tab.Open(server.URL + c.path)
			if c.complaint == "" {
				return // the end of the profile fails the test if there is one
			}
			stage.Until(t, "the browser complains of "+c.complaint, func() bool {
				return strings.Contains(strings.Join(tab.Complaints(), "\n"), c.complaint)
			})
			if tab.Expected("") == 0 || len(tab.Complaints()) != 0 {
				t.Error("what is expected is still a complaint")
			}
		})
	}
}
