package pipeline_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/pipeline"
)

var goodKey = regexp.MustCompile(`^[!-~]{1,128}$`)

// A key is taken or refused for its form alone; under one that is taken a
// repeat is answered as the first request was and runs nothing, and another
// request is refused.
//
// Covers R-131 for the Idempotency-Key header.
func FuzzIdempotencyKey(f *testing.F) {
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add("7f3c1f0e-6f0a-4b39-9d0c-0f7cf0f2a3b1", "name=x", "name=y")
	f.Add("", "", "")
	f.Add("two keys", "a", "a")
	f.Fuzz(func(t *testing.T, key, body, another string) {
		runs := 0
		mux := chi.NewRouter()
		p := &pipeline.Pipeline{Limits: ephemeral.NewMemory(time.Now), Answers: ephemeral.NewMemory(time.Now), Sealer: keys, Log: slog.New(slog.DiscardHandler)}
		p.Mount(mux, []pipeline.Route{{
			Method: http.MethodPost, Path: "/x", Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateReceipt, Idempotent: true,
			Handler: pipeline.Handle(func(context.Context, pipeline.Call, pipeline.Nothing) (map[string]int, error) {
				runs++
				return map[string]int{"run": runs}, nil
			}),
		}})
		post := func(body string) (int, string) {
			r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(url.Values{"v": {body}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header[pipeline.IdempotencyHeader] = []string{key}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Body.Len() > 1<<10 {
				t.Fatalf("an answer of %d bytes", w.Body.Len())
			}
			return w.Code, w.Body.String()
		}
		status, first := post(body)
		if status >= http.StatusBadRequest {
			if status >= http.StatusInternalServerError || goodKey.MatchString(key) && len(body) < 1<<10 {
				t.Fatalf("the key %q was answered %d: %s", key, status, first)
			}
			return
		}
		if !goodKey.MatchString(key) {
			t.Fatalf("the key %q was taken", key)
		}
		if status, again := post(body); status != http.StatusOK || again != first || runs != 1 {
			t.Fatalf("the repeat was answered %d %s after %d runs, the first %s", status, again, runs, first)
		}
		if status, answer := post(another); another != body && (status < http.StatusBadRequest || runs != 1) {
			t.Fatalf("another request under the key %q was answered %d %s", key, status, answer)
		}
	})
}
