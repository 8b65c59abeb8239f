package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/pipeline"
)

// Only what lies below our own address can be clicked.
func TestOnlyOurAddressesAreLinks(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1:8080"
	for text, want := range map[string]string{
		"":                                  "",
		"no address":                        "no address",
		"go to " + base + "/a-b_c/x?y=1.":   "go to [" + base + "/a-b_c/x?y=1].",
		base + "/a\nand " + base + "/b!":    "[" + base + "/a]\nand [" + base + "/b]!",
		"(" + base + "/a)":                  "([" + base + "/a])",
		`"` + base + `/a"onclick=`:          `"[` + base + `/a]"onclick=`,
		"<" + base + "/a>":                  "<[" + base + "/a]>",
		base:                                base,
		base + "80/a":                       base + "80/a",
		base + "@evil.test/a":               base + "@evil.test/a",
		"http://evil.test/" + base + "x/":   "http://evil.test/" + base + "x/",
		"https://evil.test/ javascript:x":   "https://evil.test/ javascript:x",
		base + "/ü":                         "[" + base + "/]ü",
		strings.ToUpper(base) + "/A is not": strings.ToUpper(base) + "/A is not",
	} {
		if got := joined(pieces(text, base)); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := joined(pieces("https://evil.test/a", "")); got != "https://evil.test/a" {
		t.Errorf("without an address of our own %q is clickable", got)
	}
}

func joined(all []piece) string {
	var out strings.Builder
	for _, p := range all {
		if p.Link {
			fmt.Fprintf(&out, "[%s]", p.Text)
		} else {
			out.WriteString(p.Text)
		}
	}
	return out.String()
}

type box []delivery.Message

func (b box) Newest(context.Context, int) ([]delivery.Message, error) { return b, nil }

// A mail shows its subject and its text; its HTML is not rendered.
func TestTheInboxShowsMails(t *testing.T) {
	t.Parallel()
	i := &Inbox{Messages: box{{
		Channel: "email", RequestID: "password-request_1", CreatedAt: time.Unix(0, 0),
		Content: event.Message{To: "ana@acme.test", Subject: "Your <b>link</b>", Text: "Open https://login.acme.test/magic-link/verify/x\n<i>", HTML: `<img src="https://evil.test/">`},
	}, {Channel: "sms", Content: event.Message{To: "+4915112345678", Text: "Code 123456"}}}, BaseURL: "https://login.acme.test"}
	messages, err := i.show(t.Context(), pipeline.Call{}, pipeline.Nothing{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	i.render(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/inbox", nil), 200, messages)
	page := w.Body.String()
	for _, shown := range []string{
		"<h2>Your &lt;b&gt;link&lt;/b&gt;</h2>", "email to ana@acme.test", "password-request_1", "&lt;i&gt;", "<pre>Code 123456</pre>",
		`<pre>Open <a href="https://login.acme.test/magic-link/verify/x" target="_blank" rel="noopener noreferrer">https://login.acme.test/magic-link/verify/x</a>`,
	} {
		if strings.Count(page, shown) != 1 {
			t.Errorf("%q is not there once: %s", shown, page)
		}
	}
	if strings.Contains(page, "evil") || strings.Count(page, "<h2>") != 1 {
		t.Errorf("the page is %s", page)
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'none'; frame-ancestors 'none'") || w.Header().Get("Content-Type") != textHTML {
		t.Errorf("the headers are %v", w.Header())
	}
}
