package run_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
)

// journal notes what happens, in which order and when.
type journal struct {
	mu      sync.Mutex
	begin   time.Time
	entries []string
}

func (j *journal) note(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, time.Since(j.begin).String()+" "+entry)
}

// waits is a part that takes some time to return after it was asked to.
func (j *journal) waits(name string, takes time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.note(name + " is asked to stop")
		timer := time.NewTimer(takes)
		<-timer.C
		j.note(name + " returns")
		return ctx.Err()
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPartsStopInReverseOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &journal{begin: time.Now()}
		g := &run.Group{Log: quiet(), Notice: 5 * time.Second}
		g.Add("database", j.waits("database", time.Second))
		g.Add("worker", j.waits("worker", 2*time.Second))
		g.Add("listener", j.waits("listener", 3*time.Second))
		g.OnStopping(func() { j.note("not ready") })
		g.OnStopping(func() { j.note("second hook") })

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		if err := g.Run(ctx); err != nil {
			t.Errorf("a clean stop returned %v", err)
		}
		want := []string{
			"10s not ready", "10s second hook",
			"15s listener is asked to stop", "18s listener returns",
			"18s worker is asked to stop", "20s worker returns",
			"20s database is asked to stop", "21s database returns",
		}
		if !reflect.DeepEqual(j.entries, want) {
			t.Errorf("got  %q\nwant %q", j.entries, want)
		}
	})
}

func TestEverythingServesDuringTheNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var served time.Duration
		g := &run.Group{Log: quiet(), Notice: 5 * time.Second}
		g.Add("listener", func(ctx context.Context) error {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
					served = time.Since(begin)
				}
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		if served < 4900*time.Millisecond {
			t.Errorf("served for %v after the signal", served)
		}
	})
}

func TestAPartThatReturnsStopsTheOthers(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		part func(context.Context) error
		want string
	}{
		"with an error":         {func(context.Context) error { return io.ErrUnexpectedEOF }, "worker: unexpected EOF"},
		"without one":           {func(context.Context) error { return nil }, "worker: returned although nobody asked it to"},
		"with a context error":  {func(context.Context) error { return context.Canceled }, "worker: context canceled"},
		"by a panic":            {func(context.Context) error { panic("canary") }, "worker: panic: a value of type string"},
		"by a nil dereference":  {func(context.Context) error { return (*(*error)(nil)) }, "worker: panic: runtime error: invalid memory address or nil pointer dereference"},
		"with a failing victim": {func(context.Context) error { return io.EOF }, "worker: EOF"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &journal{begin: time.Now()}
				var out bytes.Buffer
				g := &run.Group{Log: logs.New(&out, logs.Config{}), Notice: time.Second}
				g.Add("database", j.waits("database", 0))
				g.Add("worker", c.part)
				g.Add("listener", j.waits("listener", 0))
				g.OnStopping(func() { j.note("not ready") })
				err := g.Run(t.Context())
				if err == nil || err.Error() != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
				want := []string{
					"0s not ready", "1s listener is asked to stop", "1s listener returns",
					"1s database is asked to stop", "1s database returns",
				}
				if !reflect.DeepEqual(j.entries, want) {
					t.Errorf("got  %q\nwant %q", j.entries, want)
				}
				if strings.Contains(out.String(), "canary") {
					t.Errorf("the log shows the value of the panic: %s", out.String())
				}
				if strings.Contains(name, "panic") && !strings.Contains(out.String(), "run_test.go") {
					t.Errorf("the log does not show where the panic was: %s", out.String())
				}
			})
		})
	}
}

func TestErrorsOfTheStopAreJoined(t *testing.T) {
	t.Parallel()
	fails := func(err error) func(context.Context) error {
		return func(ctx context.Context) error {
			<-ctx.Done()
			return err
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := &run.Group{Log: quiet()}
	g.Add("database", fails(io.ErrClosedPipe))
	g.Add("worker", fails(nil))
	g.Add("listener", fails(io.ErrNoProgress))
	err := g.Run(ctx)
	if !errors.Is(err, io.ErrClosedPipe) || !errors.Is(err, io.ErrNoProgress) {
		t.Fatalf("got %v", err)
	}
	if want := "listener: multiple Read calls return no data or error\ndatabase: io: read/write on closed pipe"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestAPartThatHangsIsNamed(t *testing.T) {
	t.Parallel()
	for name, notice := range map[string]time.Duration{"without a notice": 0, "with a notice": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				released := make(chan struct{})
				j := &journal{begin: time.Now()}
				g := &run.Group{Log: quiet(), Notice: notice}
				g.Add("database", j.waits("database", 0))
				g.Add("worker", func(context.Context) error {
					<-release
					close(released)
					return nil
				})
				g.Add("listener", j.waits("listener", 0))
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err := g.Run(ctx)
				if want := "worker: still running 25s after the stop began"; err == nil || err.Error() != want {
					t.Errorf("got %v, want %s", err, want)
				}
				if took := time.Since(j.begin); took != 25*time.Second {
					t.Errorf("the stop took %v", took)
				}
				synctest.Wait()
				want := []string{
					notice.String() + " listener is asked to stop", notice.String() + " listener returns",
					"25s database is asked to stop",
				}
				j.mu.Lock()
				if len(j.entries) < 3 || !reflect.DeepEqual(j.entries[:3], want) {
					t.Errorf("got  %q\nwant %q", j.entries, want)
				}
				j.mu.Unlock()
				close(release)
				<-released
			})
		})
	}
}

func TestTheContextOfAPartKeepsItsValues(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(logs.WithRequestID(t.Context(), "start-1"))
	g := &run.Group{Log: quiet()}
	g.Add("part", func(own context.Context) error {
		cancel() // must not reach us at once: the later parts go first
		if logs.RequestID(own) != "start-1" {
			t.Error("the value is gone")
		}
		<-own.Done()
		return nil
	})
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestANoticeThatEatsTheGraceIsRefused(t *testing.T) {
	t.Parallel()
	g := &run.Group{Notice: 30 * time.Second}
	g.Add("part", func(context.Context) error { t.Error("started"); return nil })
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "notice") {
		t.Errorf("got %v", err)
	}
}

func TestAGroupWithoutPartsWaitsForItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := (&run.Group{Log: quiet()}).Run(ctx); err != nil || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}
