package pages

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"golang.org/x/net/html"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/preview"
	"countersign.dev/services/api/internal/tenant"
)

// oneTicket opens the preview of one organization.
type oneTicket struct{ org tenant.Organization }

func (o oneTicket) Open(_ context.Context, ticket secret.Text) (tenant.Organization, error) {
	if ticket.Reveal() != "canary-ticket" {
		return tenant.Organization{}, preview.ErrOver
	}
	return o.org, nil
}

// previewSite is a preview behind the real pipeline and house, whose log is kept.
func previewSite(t *testing.T) (http.Handler, *lines) {
	t.Helper()
	log := &lines{}
	to := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mux := chi.NewRouter()
	p := &Preview{
		Tickets: oneTicket{tenant.Organization{ID: "org", Domain: "acme", Name: "Acme & Söhne", Color: "#336699"}}, BaseURL: "https://login.acme.test/id", Now: func() time.Time { return asked },
	}
	(&pipeline.Pipeline{Limits: ephemeral.NewMemory(time.Now), BaseURL: p.BaseURL, Log: to}).Mount(mux, p.Routes())
	return web.House(web.Config{Log: to})(mux), log
}

func looked(t *testing.T, at http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.Host = "login.acme.test"
	// Who looks is signed in to something, and nothing of it is on a page.
	r.Header.Set("Cookie", "__Host-cs_sessions=canary-cookie; __Host-cs_browser=canary-cookie")
	r.Header.Set("Accept-Language", "it, fr")
	w := httptest.NewRecorder()
	at.ServeHTTP(w, r)
	return w
}

const previewBase = "/id/preview/canary-ticket"

// Every page is shown as people see it, in every language, and nothing on it
// leads out of the preview or can be sent.
func TestThePreviewShowsEveryPageAndSendsNothing(t *testing.T) {
	t.Parallel()
	at, log := previewSite(t)
	for _, l := range previewSpoken {
		for i, s := range samples {
			what, path := l.Lang+" "+s.name, previewBase+"/"+l.Lang+"/"+s.name
			w := looked(t, at, strings.TrimPrefix(path, "/id"))
			body, found := w.Body.String(), elements(t, w.Body.String())
			if w.Code != http.StatusOK || len(found["main"]) != 1 || len(found["h1"]) != 1 || !strings.Contains(body, "<strong>"+l.Preview+"</strong>") {
				t.Fatalf("%s: %d %s", what, w.Code, body)
			}
			if lang, _ := attr(found["html"][0], "lang"); lang != l.Lang {
				t.Errorf("%s: the page is in %q", what, lang)
			}
			next := previewBase
			if i+1 < len(samples) {
				next += "/" + l.Lang + "/" + samples[i+1].name
			}
			wantTame(t, what, found, next)
			if left := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(regexp.MustCompile(`data-(many|more)="[^"]*"`).ReplaceAllString(body, ""), -1); left != nil {
				t.Errorf("%s: %q is left", what, left)
			}
			if strings.Contains(body, "canary-cookie") || strings.Contains(body, "page_token") || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s: it tells of a browser: %s", what, body)
			}
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "; form-action 'self'; ") {
				t.Errorf("%s: the policy is %q", what, policy)
			}
		}
	}
	if strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "/preview/{ticket}/{language}/{preview_page}") {
		t.Error("the log has the ticket, or nothing")
	}
	if strings.Contains(log.String(), "internal_error") || strings.Contains(log.String(), "sign_in_over") {
		t.Error("the log takes samples of errors for errors")
	}
}

// wantTame checks that forms and links lead to the next page, and that nothing
// in a form has a name.
func wantTame(t *testing.T, what string, found map[string][]*html.Node, next string) {
	t.Helper()
	for _, form := range found["form"] {
		method, _ := attr(form, "method")
		action, _ := attr(form, "action")
		if _, lax := attr(form, "novalidate"); method != "get" || action != next || !lax {
			t.Errorf("%s: a form sends by %s to %s", what, method, action)
		}
	}
	for _, name := range []string{"input", "button", "select", "textarea"} {
		for _, n := range found[name] {
			if named, ok := attr(n, "name"); ok {
				t.Errorf("%s: %s %q would be sent", what, name, named)
			}
			if kind, _ := attr(n, "type"); kind == "hidden" {
				t.Errorf("%s: something is hidden", what)
			}
		}
	}
	for _, n := range found["a"] {
		if to, _ := attr(n, "href"); to != next && to != previewBase && !strings.HasPrefix(to, previewBase+"/") {
			t.Errorf("%s: a link leads to %s", what, to)
		}
	}
}

// All that a sign-in comes to is in the preview, and its list leads to all of it.
func TestThePreviewListsAllPages(t *testing.T) {
	t.Parallel()
	at, _ := previewSite(t)
	w := looked(t, at, "/preview/canary-ticket")
	body := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(body, "<html lang=\"fr\">") || !strings.Contains(body, "Acme &amp; Söhne") || !strings.Contains(body, `content="noindex"`) {
		t.Fatalf("%d %s", w.Code, body)
	}
	for _, l := range previewSpoken {
		for _, s := range samples {
			if !strings.Contains(body, `href="`+previewBase+"/"+l.Lang+"/"+s.name+`"`) {
				t.Errorf("%s %s is not in the list", l.Lang, s.name)
			}
		}
	}
	shown := ""
	for _, s := range samples {
		shown += looked(t, at, "/preview/canary-ticket/en/"+s.name).Body.String()
	}
	for _, step := range signInSteps {
		heading := signInEnglish.Steps[step].Heading
		heading = strings.NewReplacer("{org}", "Acme &amp; Söhne", "{app}", previewSpoken[0].App).Replace(heading)
		if !strings.Contains(shown, "<h1>"+heading+"</h1>") {
			t.Errorf("no page shows %s", step)
		}
	}
}

func TestWhatIsNoPreviewIsAFault(t *testing.T) {
	t.Parallel()
	at, _ := previewSite(t)
	for _, path := range []string{"/preview/another", "/preview/another/en/password", "/preview/canary-ticket/en/none", "/preview/canary-ticket/it/password"} {
		w := looked(t, at, path)
		if id := w.Header().Get("X-Request-Id"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<code>"+id+"</code> (<code>preview_over</code>)") || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A language says all of the preview.
func TestEveryLanguageSaysAllOfThePreview(t *testing.T) {
	t.Parallel()
	for i, words := range previewSpoken {
		got := map[string]string{}
		spokenTexts(reflect.ValueOf(words), "", got)
		for name, text := range got {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s leaves out %s", words.Lang, name)
			}
		}
		for _, s := range samples {
			if words.Pages[s.name] == "" || words.Groups[s.group] == "" {
				t.Errorf("%s does not name %s of %s", words.Lang, s.name, s.group)
			}
		}
		if len(words.Pages) != len(samples) || words.Lang != signInSpoken[i].Lang {
			t.Errorf("%s has %d names for %d pages", words.Lang, len(words.Pages), len(samples))
		}
	}
}
