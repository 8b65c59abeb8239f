package browser_test

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/e2e/clients/browser"
)

const looking = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Look</title><link rel="icon" href="data:,">
<style>@media (prefers-color-scheme: dark) { body { background: black } }</style>
<h1>Look</h1><form method="post" action="/next"><input name="word" value="old"><input type="checkbox" name="sure"><button>Go</button></form>
<script>document.title = "ran"</script><!--%s-->`

// A tab looks as it is told to, and remembers where it has been.
func TestLooks(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer other.Close()
	mux := http.NewServeMux()
	posts := make(chan string, 9)
	mux.Handle("GET /", page("", looking))
	mux.HandleFunc("POST /next", func(w http.ResponseWriter, r *http.Request) {
		posts <- r.PostFormValue("word") + r.PostFormValue("sure")
		http.Redirect(w, r, "/there", http.StatusSeeOther)
	})
	mux.Handle("GET /there", page("", `<!doctype html><link rel="icon" href="data:,"><img alt="" src="`+other.URL+`/x"><p>there</p>%s`))
	server := httptest.NewServer(mux)
	defer server.Close()
	b := browser.Start(t)
	for name, look := range map[string]browser.Look{"desktop": {}, "phone": {Phone: true, Dark: true}, "without scripts": {NoScript: true}} {
		t.Run(name, func(t *testing.T) {
			tab := b.Looking(t, look)
			tab.Open(server.URL + "/")
			if ran := browser.Script[string](tab, "document.title") == "ran"; ran == look.NoScript {
				t.Errorf("scripts ran: %v", ran)
			}
			if dark := browser.Script[string](tab, "getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"; dark != look.Dark {
				t.Errorf("dark: %v", dark)
			}
			picture, err := png.DecodeConfig(bytes.NewReader(tab.Picture()))
			if err != nil || look.Phone != (picture.Width == 2*375) {
				t.Errorf("the picture is %d wide (%v)", picture.Width, err)
			}
			tab.Type("[name=word]", "new")
			tab.Check("[name=sure]")
			tab.Submit("button")
			if got := <-posts; got != "newon" || !tab.Has("p") || tab.Has("form") || tab.Text() != "there" {
				t.Errorf("%q was posted, and the page says %q", got, tab.Text())
			}
			if tab.Pages() != 2 || tab.Clicks() != 2 || !slices.Equal(tab.Outside(server.URL), []string{other.URL + "/x"}) {
				t.Errorf("%d pages, %d clicks, outside %q", tab.Pages(), tab.Clicks(), tab.Outside(server.URL))
			}
			tab.Back()
			tab.DoubleClick("button")
			if !strings.HasSuffix(tab.Location(), "/there") {
				t.Errorf("two clicks lead to %s", tab.Location())
			}
			for len(posts) > 0 {
				<-posts
			}
			if second := tab.Another(); !look.NoScript {
				browser.Script[any](tab, `document.cookie = "a=b"`)
				second.Open(server.URL + "/")
				if browser.Script[string](second, "document.cookie") != "a=b" {
					t.Error("another tab is another profile")
				}
			}
		})
	}
}
