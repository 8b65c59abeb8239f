package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
)

const internalMessage = "Something went wrong on our side. Try again; if it stays, give the request id to whoever runs this service."

func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	hidden := errors.New("canary: pq: relation users")
	kind := func(k fault.Kind) error {
		return fault.New(k, "some_code", "Some <b>message</b> & more.").Because(hidden)
	}
	said := func(status int, header string) answer {
		return answer{status, "some_code", "Some <b>message</b> & more.", header}
	}
	internal := answer{500, "internal_error", internalMessage, ""}
	cases := map[string]struct {
		err  error
		want answer
	}{
		"malformed":                       {kind(fault.Malformed), said(400, "")},
		"invalid":                         {kind(fault.Invalid), said(422, "")},
		"unauthorized":                    {kind(fault.Unauthorized), said(401, "Www-Authenticate: Bearer")},
		"forbidden":                       {kind(fault.Forbidden), said(403, "")},
		"not found":                       {kind(fault.NotFound), said(404, "")},
		"conflict":                        {kind(fault.Conflict), said(409, "")},
		"too large":                       {kind(fault.TooLarge), said(413, "")},
		"unsupported":                     {kind(fault.Unsupported), said(415, "")},
		"method":                          {kind(fault.Method), said(405, "")},
		"misdirected":                     {kind(fault.Misdirected), said(421, "")},
		"limited":                         {kind(fault.Limited), said(429, "Retry-After: 1")},
		"unavailable":                     {kind(fault.Unavailable), said(503, "Retry-After: 1")},
		"internal":                        {kind(fault.Internal), internal},
		"a kind nobody knows":             {kind(fault.Kind(99)), internal},
		"no fault":                        {hidden, internal},
		"no error":                        {nil, internal},
		"a wrapped fault":                 {fmt.Errorf("verify canary: %w", kind(fault.NotFound)), said(404, "")},
		"a context that is not the one":   {context.Canceled, internal},
		"limited for a minute":            {limited(time.Minute), said(429, "Retry-After: 60")},
		"part of a second is rounded up":  {limited(1001 * time.Millisecond), said(429, "Retry-After: 2")},
		"a time in the past is still one": {limited(-time.Hour), said(429, "Retry-After: 1")},
		"a retry time where none belongs": {fault.New(fault.Conflict, "some_code", "Some <b>message</b> & more.").RetryIn(time.Hour), said(409, "")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, _ := newLog()
			w := call(web.Config{Log: log, DocsURL: "https://id.example.com"}, get(t, "/"), func(w http.ResponseWriter, r *http.Request) {
				web.WriteFault(w, r, c.err)
			})
			want := fmt.Sprintf(`{"error":{"type":"%s","message":"%s","doc_urls":["https://id.example.com/docs/errors#%[1]s"],"request_id":"%[3]s"}}`,
				c.want.code, c.want.message, w.Header().Get("X-Request-Id"))
			if w.Code != c.want.status || w.Body.String() != want {
				t.Errorf("got  %d %s\nwant %d %s", w.Code, w.Body, c.want.status, want)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type: %s", got)
			}
			for _, header := range []string{"Retry-After", "Www-Authenticate"} {
				name, value, _ := strings.Cut(c.want.header, ": ")
				if name != header {
					value = ""
				}
				if got := w.Header().Get(header); got != value {
					t.Errorf("%s: %q, want %q", header, got, value)
				}
			}
		})
	}
}

type answer struct {
	status                int
	code, message, header string
}

func limited(after time.Duration) error {
	return fault.New(fault.Limited, "some_code", "Some <b>message</b> & more.").RetryIn(after)
}

func TestAFaultForgetsTheAnswerThatWasNotToBe(t *testing.T) {
	t.Parallel()
	log, _ := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Length": "9999", "Content-Encoding": "gzip", "Etag": `"x"`, "Cache-Control": "public", "Location": "/x",
			"WWW-Authenticate": `Bearer error="invalid_token"`, "Content-Type": "text/html",
		} {
			w.Header().Set(name, value)
		}
		web.WriteFault(w, r, fault.New(fault.Unauthorized, "unauthorized", "No."))
	})
	want := map[string]string{
		"Content-Length": fmt.Sprint(w.Body.Len()), "Content-Encoding": "", "Etag": "", "Cache-Control": "no-store", "Location": "",
		"WWW-Authenticate": `Bearer error="invalid_token"`, "Content-Type": "application/json; charset=utf-8",
	}
	for name, value := range want {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if !strings.Contains(w.Body.String(), `"doc_urls":[],`) {
		t.Errorf("without a base URL: %s", w.Body)
	}
}

func TestAClientThatIsGoneIsLoggedAs499(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	ctx, cancel := context.WithCancel(t.Context())
	r := get(t, "/").WithContext(ctx)
	w := call(web.Config{Log: log}, r, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		down := fault.New(fault.Unavailable, "redis_down", "Try again.")
		web.WriteFault(w, r, down.Because(fmt.Errorf("get: %w", r.Context().Err())))
	})
	if line := lines.access(t); line["status"] != 499.0 || line["level"] != "INFO" || line["fault"] != "client_gone" {
		t.Errorf("the access line is %v", line)
	}
	if w.Body.Len() != 0 {
		t.Errorf("sent %s", w.Body)
	}
}

func TestAFaultAfterTheAnswerHasBegunIsOnlyLogged(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begun")
		web.WriteFault(middleware{w}, r, fault.New(fault.Conflict, "late", "Too late."))
	})
	if w.Code != 200 || w.Body.String() != "begun" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if line := lines.access(t); line["fault"] != "late" {
		t.Errorf("the access line is %v", line)
	}
}

// spoken is advice in one language, and says which were asked for.
type spoken struct{}

func (spoken) In(languages ...string) []string {
	return []string{"Nehmen Sie Wörter.", strings.Join(languages, " | ")}
}

func TestAdviceIsInTheLanguageOfTheRequest(t *testing.T) {
	t.Parallel()
	log, _ := newLog()
	r := get(t, "/")
	r.Header.Add("Accept-Language", "de-AT,de;q=0.9")
	r.Header.Add("Accept-Language", "fr")
	w := call(web.Config{Log: log}, r, func(w http.ResponseWriter, r *http.Request) {
		web.WriteFault(w, r, fmt.Errorf("set: %w", fault.New(fault.Invalid, "weak", "Weak.").Advise(spoken{})))
	})
	if want := `"message":"Weak.","advice":["Nehmen Sie Wörter.","de-AT,de;q=0.9 | fr"],`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("got %s, want %s in it", w.Body, want)
	}
}

// middleware wraps a writer as other people's middleware does.
type middleware struct{ http.ResponseWriter }

func (m middleware) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		value any
		want  string
	}{
		"signs of HTML stay as they are": {map[string]string{"url": "https://x/?a=1&b=<2>"}, `{"url":"https://x/?a=1&b=<2>"}`},
		"null":                           {nil, "null"},
		"a secret stays one":             {struct{ Code secret.Text }{secret.New("canary")}, `{"Code":"***"}`},
		"letters of any script":          {"Grüße, 世界", `"Grüße, 世界"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, _ := newLog()
			w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, _ *http.Request) { web.WriteJSON(w, 201, c.value) })
			if w.Code != 201 || w.Body.String() != c.want {
				t.Errorf("got %d %q, want %q", w.Code, w.Body, c.want)
			}
			if w.Header().Get("Content-Type") != "application/json; charset=utf-8" || w.Header().Get("Content-Length") != fmt.Sprint(len(c.want)) {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
	log, _ := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, _ *http.Request) { web.WriteJSON(w, 200, func() {}) })
	want := fmt.Sprintf(`{"error":{"type":"internal_error","message":%q,"doc_urls":[],"request_id":%q}}`, internalMessage, w.Header().Get("X-Request-Id"))
	if w.Code != 500 || w.Body.String() != want {
		t.Errorf("a value that cannot be encoded: %d %s", w.Code, w.Body)
	}
}

func TestWriteOAuthError(t *testing.T) {
	t.Parallel()
	log, lines := newLog()
	w := call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public")
		web.WriteOAuthError(w, r, 400, "invalid_grant", "The \"code\" is\r\n used\\ or <expired>. Grüße")
	})
	if want := `{"error":"invalid_grant","error_description":"The code is used or <expired>. Gre"}`; w.Code != 400 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json; charset=utf-8"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if w.Header().Get("X-Request-Id") == "" {
		t.Error("no request id")
	}
	if line := lines.access(t); line["fault"] != "invalid_grant" {
		t.Errorf("the access line is %v", line)
	}
	w = call(web.Config{Log: log}, get(t, "/"), func(w http.ResponseWriter, r *http.Request) {
		web.WriteOAuthError(w, r, 400, "invalid_request", "")
	})
	if w.Body.String() != `{"error":"invalid_request"}` {
		t.Errorf("without a description: %s", w.Body)
	}
}
