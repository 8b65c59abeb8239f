package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/telemetry"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// ready asks /readyz and compares the whole answer.
func ready(t *testing.T, h http.Handler, status int, body string) {
	t.Helper()
	w := get(h, "/readyz")
	if w.Code != status || strings.TrimSuffix(w.Body.String(), "\n") != body {
		t.Errorf("got  %d %swant %d %s", w.Code, w.Body, status, body)
	}
}

// pass lets time go by on the fake clock of a bubble.
func pass(d time.Duration) { <-time.After(d) }

func passes(context.Context) error { return nil }

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("ping: %w", ctx.Err())
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "stream_mismatch", "The stream CHALLENGES has no MaxBytes.")
	canary := errors.New("dial tcp 10.1.2.3:5432: user=app password=canary")
	cases := map[string]struct {
		required, optional func(context.Context) error
		status             int
		body               string
	}{
		"all well": {
			passes, passes, 200,
			`{"status":"ok","checks":{"nats":{"status":"ok"},"postgres":{"status":"ok"}}}`,
		},
		"an optional dependency is lost": {
			passes, fails(canary), 200,
			`{"status":"degraded","checks":{"nats":{"status":"degraded","reason":"unreachable"},"postgres":{"status":"ok"}}}`,
		},
		"a required dependency is lost": {
			fails(canary), passes, 503,
			`{"status":"unavailable","checks":{"nats":{"status":"ok"},"postgres":{"status":"unavailable","reason":"unreachable"}}}`,
		},
		"both are lost": {
			fails(canary), fails(canary), 503,
			`{"status":"unavailable","checks":{"nats":{"status":"degraded","reason":"unreachable"},"postgres":{"status":"unavailable","reason":"unreachable"}}}`,
		},
		"a fault shows its public half alone": {
			fails(fmt.Errorf("check: %w", down.Because(canary))), passes, 503,
			`{"status":"unavailable","checks":{"nats":{"status":"ok"},"postgres":{"status":"unavailable","reason":"stream_mismatch: The stream CHALLENGES has no MaxBytes."}}}`,
		},
		"an internal fault shows nothing": {
			passes, fails(fault.New(fault.Internal, "canary", "canary")), 200,
			`{"status":"degraded","checks":{"nats":{"status":"degraded","reason":"unreachable"},"postgres":{"status":"ok"}}}`,
		},
		"a check that hangs": {
			passes, hangs, 200,
			`{"status":"degraded","checks":{"nats":{"status":"degraded","reason":"no answer within 1s"},"postgres":{"status":"ok"}}}`,
		},
		"a check that panics": {
			func(context.Context) error { panic(canary) }, passes, 503,
			`{"status":"unavailable","checks":{"nats":{"status":"ok"},"postgres":{"status":"unavailable","reason":"unreachable"}}}`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tel := telemetry.New("api", "1.0")
				tel.Check("postgres", true, c.required)
				tel.Check("nats", false, c.optional)
				ready(t, tel.Ops(), c.status, c.body)
			})
		})
	}
}

func TestAProcessWithoutDependenciesIsReady(t *testing.T) {
	t.Parallel()
	ready(t, telemetry.New("api", "1.0").Ops(), 200, `{"status":"ok","checks":{}}`)
}

func TestDrainingIsUnavailableAtOnce(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	tel.Check("postgres", true, passes)
	ops := tel.Ops()
	ready(t, ops, 200, `{"status":"ok","checks":{"postgres":{"status":"ok"}}}`)
	tel.SetDraining()
	ready(t, ops, 503, `{"status":"unavailable","draining":true,"checks":{"postgres":{"status":"ok"}}}`)
	if w := get(ops, "/livez"); w.Code != 200 {
		t.Errorf("/livez is %d while draining", w.Code)
	}
}

func TestChecksRunSideBySideAndAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		slow := func(ctx context.Context) error {
			asked.Add(1)
			timer := time.NewTimer(900 * time.Millisecond)
			defer timer.Stop()
			<-timer.C
			return nil
		}
		tel := telemetry.New("api", "1.0")
		for i := range 10 {
			tel.Check(fmt.Sprint("d", i), true, slow)
		}
		ops := tel.Ops()
		begin := time.Now()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				if w := get(ops, "/readyz"); w.Code != 200 {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); took != 900*time.Millisecond || asked.Load() != 10 {
			t.Errorf("32 requests took %v and %d questions", took, asked.Load())
		}
		get(ops, "/metrics")
		if asked.Load() != 10 {
			t.Error("a scrape asked again within the second")
		}
		pass(time.Second)
		get(ops, "/readyz")
		if asked.Load() != 20 {
			t.Errorf("%d questions after another second", asked.Load())
		}
	})
}

func TestReadinessFollowsADependencyWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		tel := telemetry.New("api", "1.0")
		tel.Check("postgres", true, func(context.Context) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		})
		ops := tel.Ops()
		changes, last := 0, get(ops, "/readyz").Code
		for i := range 100 { // ten seconds of a dependency that flaps ten times a second
			down.Store(i%2 == 0)
			if code := get(ops, "/readyz").Code; code != last {
				changes, last = changes+1, code
			}
			pass(100 * time.Millisecond)
		}
		if changes > 10 {
			t.Errorf("readiness changed %d times in 10 s", changes)
		}
		for _, state := range []bool{true, false} {
			down.Store(state)
			pass(time.Second)
			want := map[bool]int{true: 503, false: 200}[state]
			if code := get(ops, "/readyz").Code; code != want {
				t.Errorf("down=%v shows as %d a second later", state, code)
			}
		}
	})
}

func TestACheckThatIgnoresItsDeadlineIsNotAskedTwiceAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		release := make(chan struct{})
		tel := telemetry.New("api", "1.0")
		tel.Check("nats", false, func(context.Context) error {
			select {
			case <-release:
				return errors.New("asked again")
			default:
			}
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-release
			return nil // too late to matter
		})
		ops := tel.Ops()
		slow := `{"status":"degraded","checks":{"nats":{"status":"degraded","reason":"no answer within 1s"}}}`
		for range 3 {
			begin := time.Now()
			ready(t, ops, 200, slow)
			if took := time.Since(begin); took != time.Second {
				t.Errorf("the answer took %v", took)
			}
			pass(time.Second)
		}
		close(release)
		synctest.Wait()
		if most.Load() != 1 {
			t.Errorf("%d questions at a time", most.Load())
		}
		// The late answer is out of date: the next round asks again.
		ready(t, ops, 200, `{"status":"degraded","checks":{"nats":{"status":"degraded","reason":"unreachable"}}}`)
	})
}

func TestAClientThatGoesAwayLeavesNoFailureBehind(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	tel.Check("postgres", true, func(ctx context.Context) error { return ctx.Err() })
	ops := tel.Ops()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ops.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
	ready(t, ops, 200, `{"status":"ok","checks":{"postgres":{"status":"ok"}}}`)
}

func TestLivenessNeverAsksADependency(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	tel.Check("postgres", true, func(context.Context) error {
		t.Error("asked")
		return errors.New("down")
	})
	w := get(tel.Ops(), "/livez")
	if w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestOtherPathsAndMethodsAreRefused(t *testing.T) {
	t.Parallel()
	ops := telemetry.New("api", "1.0").Ops()
	if w := get(ops, "/debug/pprof/"); w.Code != 404 {
		t.Errorf("another path: %d", w.Code)
	}
	w := httptest.NewRecorder()
	ops.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/readyz", nil))
	if w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}
