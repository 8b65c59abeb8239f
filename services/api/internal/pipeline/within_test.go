package pipeline_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/pipeline"
)

// slowLimits answers after a while, or when the caller's time is over.
type slowLimits struct{ takes time.Duration }

func (s slowLimits) Allow(ctx context.Context, _ string, _ ephemeral.Rate) (ephemeral.Allowance, error) {
	return ephemeral.Allowance{OK: true}, wait(ctx, s.takes)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "state_unavailable", "try again")
	}
}

// Whatever hangs, a route answers when its time is over, to the millisecond of
// a clock that no other work disturbs: the checks and the handler share the
// time, and the arrival of the body costs none of it.
//
// Covers R-012 for the two seconds.
// Covers R-067 for the two and a half seconds.
func TestARouteAnswersInItsTime(t *testing.T) {
	t.Parallel()
	const forever = time.Hour
	for name, c := range map[string]struct {
		limits, body, handler time.Duration
		status                int
		after                 time.Duration
	}{
		"nothing hangs":          {status: 200},
		"the check hangs":        {limits: forever, status: 503, after: pipeline.WithinCheck},
		"the handler hangs":      {handler: forever, status: 503, after: pipeline.WithinCheck},
		"both take their time":   {limits: time.Second, handler: time.Second, status: 503, after: pipeline.WithinCheck},
		"both are just in time":  {limits: time.Second, handler: 700 * time.Millisecond, status: 200, after: 1700 * time.Millisecond},
		"the body comes slowly":  {body: time.Minute, handler: time.Second, status: 200, after: 61 * time.Second},
		"a slow body, then none": {body: time.Minute, limits: time.Second, handler: forever, status: 503, after: time.Minute + pipeline.WithinCheck},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mux := chi.NewRouter()
				p := &pipeline.Pipeline{Limits: slowLimits{c.limits}, Log: slog.New(slog.DiscardHandler)}
				p.Mount(mux, []pipeline.Route{{
					Method: http.MethodPost, Path: "/x", Credential: pipeline.None, Reach: pipeline.Nobody,
					Rate: pipeline.RateSecond, Within: pipeline.WithinCheck,
					Handler: pipeline.Handle(func(ctx context.Context, _ pipeline.Call, _ pipeline.Nothing) (map[string]bool, error) {
						return map[string]bool{}, wait(ctx, c.handler)
					}),
				}})
				r := httptest.NewRequest(http.MethodPost, "/x", &slowBody{strings.NewReader("a=b"), c.body})
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w, begun := httptest.NewRecorder(), time.Now()
				mux.ServeHTTP(w, r)
				if took := time.Since(begun); w.Code != c.status || took != c.after {
					t.Errorf("%d after %v, want %d after %v", w.Code, took, c.status, c.after)
				}
			})
		})
	}
	if pipeline.WithinCheck >= 2*time.Second || pipeline.WithinSend > 2500*time.Millisecond {
		t.Errorf("checks have %v and sends %v, want less than 2 s and at most 2.5 s", pipeline.WithinCheck, pipeline.WithinSend)
	}
}

// slowBody arrives after a while.
type slowBody struct {
	*strings.Reader
	after time.Duration
}

func (b *slowBody) Read(into []byte) (int, error) {
	<-time.After(b.after)
	b.after = 0
	return b.Reader.Read(into)
}
