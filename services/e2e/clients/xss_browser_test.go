package clients_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
	"countersign.dev/services/e2e/stage"
)

const (
	// tattle has every text of the corpus that runs say so, with the path of the
	// page that it ran in, whatever frame within that it made itself.
	tattle = `(() => {
		let at = window;
		const place = () => { try { return at.location.pathname; } catch { return '/elsewhere/'; } };
		while (at !== at.parent && !place().startsWith('/bare/')) at = at.parent;
		window.alert = window.prompt = window.confirm = () => console.error('it runs at ' + place());
		window.print = () => {};
	})()`
	// bones is skeleton as the browser sees it.
	bones = `[...document.querySelectorAll('*')].map((e) => e.localName + ' ' + [...e.attributes].map((a) => a.name +
		(/^(href|src|srcset|srcdoc|action|formaction|data|poster|background|style)$/.test(a.name) &&
			/^(javascript:|vbscript:|data:text)/i.test(a.value.replace(/[\x00-\x20]/g, '')) ? '=' + a.value : '')).sort().join(' '))`
	// busy uses the scripts of a page, and waits until it has been drawn.
	busy = `(async () => {
		for (const e of document.querySelectorAll('button[type=button]')) e.click();
		for (const e of document.querySelectorAll('input')) for (const what of ['input', 'paste', 'focus', 'blur']) e.dispatchEvent(new Event(what));
		for (let i = 0; i < 3; i++) await new Promise((drawn) => requestAnimationFrame(drawn));
		return true;
	})()`
)

// careless is a page that puts what somebody wrote wherever a page can. What
// keeps the most within it comes first.
const careless = `<!doctype html><input value="%[1]s"><input value='%[1]s'><a href="%[1]s">x</a><title>%[1]s</title><textarea>%[1]s</textarea>
<script>let x = '%[1]s'</script><script>let y = "%[1]s"</script><style>%[1]s</style><!-- %[1]s --><input value=%[1]s><p>%[1]s</p>`

// gallows serves pages full of the corpus: those of ours, with all texts one
// after the other, and careless ones.
type gallows struct {
	corpus   []string
	sheets   []sheet
	policies []string // of the careless pages
}

func (g *gallows) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ours/{sheet}/{first}/{$}", func(w http.ResponseWriter, r *http.Request) {
		var texts []string
		for i := range together {
			texts = append(texts, g.corpus[(number(t, r.PathValue("first"))+i)%len(g.corpus)])
		}
		g.show(t, w, number(t, r.PathValue("sheet")), texts)
	})
	mux.HandleFunc("GET /plain/{sheet}/{$}", func(w http.ResponseWriter, r *http.Request) {
		g.show(t, w, number(t, r.PathValue("sheet")), slices.Repeat([]string{"plain"}, together))
	})
	mux.HandleFunc("GET /all/{policy}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for _, text := range r.URL.Query()["text"] {
			_, _ = fmt.Fprintf(w, `<iframe src="/bare/%s/%d/"></iframe>`, r.PathValue("policy"), number(t, text))
		}
	})
	mux.HandleFunc("GET /bare/{policy}/{text}/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if policy := g.policies[number(t, r.PathValue("policy"))]; policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		_, _ = fmt.Fprintf(w, careless, g.corpus[number(t, r.PathValue("text"))])
	})
	for _, file := range []string{"pages.js", "pages.css"} {
		path := filepath.Join(stage.Root(t), "services/api/internal/pages/static", file)
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("GET /"+file, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	}
	// Whatever a text asks for exists and is empty.
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// together is how many pages are in a document. Browsers take more than that many
// times as long for that many times as much.
const together = 40

// show writes a page for each text. A browser reads a document that begins in
// the middle of another as it reads the first, with each text where it would be.
// What a page asks to be loaded again is not.
func (g *gallows) show(t *testing.T, w http.ResponseWriter, index int, texts []string) {
	t.Helper()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for i, text := range texts {
		page := g.sheets[index].show(t, filling{text: text, again: i > 0})
		_, _ = w.Write([]byte(strings.ReplaceAll(page, `http-equiv="refresh"`, "")))
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Error(err)
	}
	return n
}

// ran takes what ran out of the complaints of a tab, by its pages.
func ran(tab *browser.Tab) (out []string) {
	for _, complaint := range tab.Complaints() {
		if _, at, ok := strings.Cut(complaint, "it runs at "); ok {
			out = append(out, at)
		}
	}
	tab.Expected("") // texts that do not run make mistakes, and ask for what is not there
	return out
}

// Every template of ours with the whole corpus in every field, in a browser that
// no policy keeps from running it: nothing runs, and the pages have the elements
// and attributes that they have with plain words.
//
//
// Covers R-159 (in a browser: the corpus in every field of every template).
func TestNothingInAFieldRuns(t *testing.T) {
	t.Parallel()
	g := &gallows{corpus: hostile(t), sheets: sheets(t)}
	base := g.serve(t)
	tab := browser.Start(t).Profile(t)
	tab.Beforehand(tattle)
	for i, s := range g.sheets {
		tab.Open(fmt.Sprintf("%s/plain/%d/", base, i))
		plain := browser.Script[[]string](tab, bones)
		for first := 0; first < len(g.corpus); first += together {
			tab.Open(fmt.Sprintf("%s/ours/%d/%d/", base, i, first))
			if bone := differs(browser.Script[[]string](tab, bones), plain); bone != "" || len(plain) == 0 {
				t.Errorf("%s: the corpus makes %s", s.name, bone)
			}
			browser.Script[bool](tab, busy)
		}
		if at := ran(tab); len(at) > 0 {
			t.Errorf("%s: %d texts run", s.name, len(at))
		}
	}
}

// A page that escapes nothing runs most of the corpus, so it is the escaping
// that keeps pages of ours from it. The policy that they have does so, too, where
// escaping is forgotten.
//
// Covers R-153 (in a browser: the corpus on pages that escape nothing, under the policies that our pages have).
func TestThePoliciesKeepWhatIsNotEscapedFromRunning(t *testing.T) {
	t.Parallel()
	g := &gallows{corpus: hostile(t), policies: append([]string{""}, policies(t)...)}
	base := g.serve(t)
	tab := browser.Start(t).Profile(t)
	tab.Beforehand(tattle)
	var all, able []string
	for i := range g.corpus {
		all = append(all, strconv.Itoa(i))
	}
	for i, policy := range g.policies {
		texts := all
		if i > 0 {
			texts = able
		}
		tab.Open(fmt.Sprintf("%s/all/%d?%s", base, i, url.Values{"text": texts}.Encode()))
		browser.Script[bool](tab, press)
		browser.Script[bool](tab, busy)
		var run []string
		for _, at := range ran(tab) {
			// What the page before has yet to say counts there.
			if text, ok := strings.CutPrefix(strings.TrimSuffix(at, "/"), fmt.Sprintf("/bare/%d/", i)); ok && !slices.Contains(run, text) {
				run = append(run, text)
			}
		}
		switch able = append(able, run...); {
		case i > 0 && len(run) > 0:
			t.Errorf("%d texts run in spite of %s, such as %q", len(run), policy, g.corpus[number(t, run[0])])
		case i == 0 && len(run) < fewest/2:
			t.Fatalf("where nothing keeps them from it, %d of %d texts run: the corpus is too tame", len(run), len(g.corpus))
		}
		t.Logf("%d of %d texts run on a page with the policy %q", len(run), len(texts), policy)
	}
}

// press follows the links of all frames, and comes to everything in them.
const press = `(() => {
	for (const frame of document.querySelectorAll('iframe')) {
		try {
			for (const e of frame.contentDocument.querySelectorAll('*')) {
				if (e.focus) e.focus();
				if (e.matches('a, button')) e.click();
			}
		} catch { /* it went elsewhere */ }
	}
	return true;
})()`

// policies are those that pages of ours have. Who may show them in a frame is
// left out, since that is how they are tested.
func policies(t *testing.T) (out []string) {
	t.Helper()
	s, env := startDev(t)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, demo := &http.Client{Jar: jar}, env["COUNTERSIGN_DEMO_URL"]
	for _, address := range []string{s.issuer + "/docs", s.issuer + "/account", demo, demo + "/sign-in"} {
		ask := client.Get
		if address == demo+"/sign-in" { // which leads to the sign-in page, with a script
			ask = func(address string) (*http.Response, error) { return client.PostForm(address, nil) }
		}
		reply, err := ask(address)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		policy, ok := strings.CutSuffix(reply.Header.Get("Content-Security-Policy"), "; frame-ancestors 'none'")
		if !ok {
			t.Errorf("%s answers %d with the policy %q", address, reply.StatusCode, reply.Header.Get("Content-Security-Policy"))
		}
		if !slices.Contains(out, policy) {
			out = append(out, policy)
		}
	}
	return out
}
