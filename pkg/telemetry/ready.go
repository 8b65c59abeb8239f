package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"countersign.dev/pkg/fault"
)

const (
	checkLimit = time.Second // how long a check may take
	reportAge  = time.Second // how long a report is shown again
)

// The states of a check and of the whole report.
const (
	ok          = "ok"
	degraded    = "degraded"
	unavailable = "unavailable"
)

// report is the body of /readyz.
type report struct {
	Status   string            `json:"status"`
	Draining bool              `json:"draining,omitempty"`
	Checks   map[string]result `json:"checks"`
}

type result struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func (t *Telemetry) serveReady(w http.ResponseWriter, r *http.Request) {
	report := t.report(r.Context())
	if t.draining.Load() {
		report.Status, report.Draining = unavailable, true
	}
	status := http.StatusOK
	if report.Status == unavailable {
		status = http.StatusServiceUnavailable
	}
	body, _ := json.Marshal(report) // strings in structs: it cannot fail
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// report runs the checks, or returns the last report while it is fresh. The
// checks do not end with the request that caused them: a client that goes away
// must not leave a report of failures behind.
func (t *Telemetry) report(ctx context.Context) report {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if time.Now().Before(t.until) {
		return t.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer cancel()
	results := make([]result, len(t.checks))
	var all sync.WaitGroup
	for i, c := range t.checks {
		all.Go(func() { results[i] = c.result(ctx) })
	}
	all.Wait()

	next := report{Status: ok, Checks: make(map[string]result, len(t.checks))}
	for i, c := range t.checks {
		next.Checks[c.name] = results[i]
		switch {
		case results[i].Status == unavailable:
			next.Status = unavailable
		case results[i].Status == degraded && next.Status == ok:
			next.Status = degraded
		}
	}
	t.last, t.until = next, time.Now().Add(reportAge)
	return next
}

// check is one dependency.
type check struct {
	name     string
	required bool
	ask      func(ctx context.Context) error
	running  *answer // still to come; one at a time
}

var errSlow = errors.New("no answer in time")

func (c *check) result(ctx context.Context) result {
	err := c.wait(ctx)
	if err == nil {
		return result{Status: ok}
	}
	status := degraded
	if c.required {
		status = unavailable
	}
	return result{Status: status, Reason: reason(err)}
}

// wait asks, and stops waiting when ctx ends even if the function does not.
// The next round then waits for that same answer instead of asking again, so
// that a check that hangs costs one goroutine and not one a second. An answer
// that came between the rounds is out of date and dropped.
func (c *check) wait(ctx context.Context) error {
	if c.running.over() {
		c.running = nil
	}
	if c.running == nil {
		a := &answer{done: make(chan struct{})}
		c.running = a
		go func() {
			defer close(a.done)
			a.err = guard(ctx, c.ask)
		}()
	}
	select {
	case <-c.running.done:
		err := c.running.err
		c.running = nil
		return err
	case <-ctx.Done():
		return errSlow
	}
}

// answer is what a check says, once done is closed.
type answer struct {
	done chan struct{}
	err  error
}

func (a *answer) over() bool {
	if a == nil {
		return false
	}
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

func guard(ctx context.Context, ask func(context.Context) error) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the check panicked")
		}
	}()
	return ask(ctx)
}

// reason is what may be shown of an error. Errors of clients and drivers hold
// addresses, user names and worse; only what was written for the public is
// repeated.
func reason(err error) string {
	f, found := errors.AsType[*fault.Error](err)
	switch {
	case found && f.Kind != fault.Internal && f.Message != "":
		return f.Code + ": " + f.Message
	case found && f.Kind != fault.Internal:
		return f.Code
	case errors.Is(err, errSlow), errors.Is(err, context.DeadlineExceeded):
		return "no answer within " + checkLimit.String()
	}
	return "unreachable"
}
