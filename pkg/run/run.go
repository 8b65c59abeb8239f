// Package run is the life cycle of a process: what starts together, what ends
// it, and in which order it ends.
//
// A service's wiring makes one [Group], adds its parts from the ground up
// (what others need first: connections, then workers, then listeners) and
// calls Run with the context of [Signals]. The stop goes the other way: no
// part loses what it uses before it has returned. Nothing here is needed for
// correctness; a process that is killed must be just as safe.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"countersign.dev/pkg/logs"
)

// DefaultGrace bounds a stop when the Group says nothing, the notice
// included. It leaves 5 s of the 30 s that Kubernetes gives by default.
const DefaultGrace = 25 * time.Second

// Group runs the parts of a process. The zero value is ready for Add.
type Group struct {
	// Log gets one line at each step of the stop; nil discards them.
	Log *slog.Logger
	// Notice is how long everything keeps serving after readiness has gone
	// false, so that load balancers take the process out first. Zero skips it;
	// production wants 5 s.
	Notice time.Duration
	// Grace bounds the whole stop from its first moment, the notice included.
	// Zero means DefaultGrace.
	Grace time.Duration

	parts []*part
	hooks []func()
}

type part struct {
	name   string
	run    func(ctx context.Context) error
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned
	err    error         // valid after done
}

// Add adds a part. Run blocks in run until its context is done, and then
// expects it to return in time. Call Add before Run only.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.parts = append(g.parts, &part{name: name, run: run, done: make(chan struct{})})
}

// OnStopping adds a hook that is called at once when the stop begins, before
// the notice: readiness goes false here. A hook must not block.
func (g *Group) OnStopping(hook func()) { g.hooks = append(g.hooks, hook) }

// Run starts all parts in the order they were added, without waiting for one
// to be ready (what must be, the wiring opens before), and blocks until all
// have returned. The stop begins when ctx is done or the first part returns, which
// none may do unasked, not even without an error. Then the hooks are called,
// the notice passes, and the parts are stopped in reverse order: the context
// of each is cancelled when the ones added after it have returned.
//
// The error is nil after a clean stop that ctx asked for. Otherwise it joins
// what the parts returned, each with its name; a panic of a part is an error
// too. When the stop takes longer than Grace, Run gives up and names the part
// that hangs; the process should end then. A Group runs once.
func (g *Group) Run(ctx context.Context) error {
	grace := g.Grace
	if grace == 0 {
		grace = DefaultGrace
	}
	if g.Notice >= grace {
		return fmt.Errorf("run: the notice of %v leaves nothing of the %v that the stop may take", g.Notice, grace)
	}
	first := make(chan *part, len(g.parts))
	g.start(ctx, first)

	var cause error
	select {
	case <-ctx.Done():
		g.log().InfoContext(ctx, "stopping", "reason", context.Cause(ctx))
	case p := <-first:
		cause = errors.New("returned although nobody asked it to")
		if p.err != nil {
			cause = p.err
		}
		cause = fmt.Errorf("%s: %w", p.name, cause)
		g.log().ErrorContext(ctx, "stopping", "part", p.name, "reason", cause)
		p.err = nil // it is told already
	}
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	for _, hook := range g.hooks {
		hook()
	}
	if g.Notice > 0 {
		notice := time.NewTimer(g.Notice)
		<-notice.C
	}
	return errors.Join(cause, g.stop(ctx, grace, deadline.C))
}

// start gives every part a context of its own, which keeps the values of ctx
// but not its end: the order of the stop is ours.
func (g *Group) start(ctx context.Context, first chan<- *part) {
	for _, p := range g.parts {
		var own context.Context
		own, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
		go func() { // stop waits for done, or names the part
			defer func() {
				close(p.done)
				first <- p
			}()
			p.err = g.guard(own, p)
		}()
	}
}

// guard runs a part and turns a panic into an error.
func (g *Group) guard(ctx context.Context, p *part) (err error) {
	defer func() {
		if value := recover(); value != nil {
			g.log().ErrorContext(ctx, "panic in a part", "part", p.name, "panic", logs.Panic(value), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %s", logs.Panic(value))
		}
	}()
	return p.run(ctx)
}

// stop ends the parts in reverse order.
func (g *Group) stop(ctx context.Context, grace time.Duration, deadline <-chan time.Time) error {
	defer func() {
		for _, p := range g.parts {
			p.cancel() // after a part that hangs, the others shall at least begin
		}
	}()
	var errs []error
	for _, p := range slices.Backward(g.parts) {
		p.cancel()
		select {
		case <-p.done:
		case <-deadline:
			errs = append(errs, fmt.Errorf("%s: still running %v after the stop began", p.name, grace))
			g.log().ErrorContext(ctx, "a part hangs", "part", p.name, "grace", grace)
			return errors.Join(errs...)
		}
		if p.err != nil && !errors.Is(p.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, p.err))
		}
		g.log().DebugContext(ctx, "a part has stopped", "part", p.name)
	}
	g.log().InfoContext(ctx, "stopped")
	return errors.Join(errs...)
}

func (g *Group) log() *slog.Logger {
	if g.Log != nil {
		return g.Log
	}
	return slog.New(slog.DiscardHandler)
}
