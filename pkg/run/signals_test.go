package run_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"countersign.dev/pkg/run"
)

// childMode makes the test binary play the process that gets the signals:
// a second signal ends a process, and must not end the tests.
const childMode = "RUN_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "obeys", "hangs":
		os.Exit(child(os.Getenv(childMode)))
	}
	goleak.VerifyTestMain(m)
}

// child is a service that reports each step on its output.
func child(mode string) int {
	ctx, stop := run.Signals(context.Background())
	defer stop()
	g := &run.Group{}
	g.Add("part", func(ctx context.Context) error {
		fmt.Println("started")
		<-ctx.Done()
		if mode == "hangs" {
			select {}
		}
		return nil
	})
	g.OnStopping(func() { fmt.Println("stopping:", context.Cause(ctx)) })
	if err := g.Run(ctx); err != nil {
		fmt.Println(err)
		return 3
	}
	fmt.Println("stopped")
	return 0
}

// process is a running child.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, mode string) process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childMode+"="+mode)
	cmd.Stderr = io.Discard
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{cmd, bufio.NewScanner(out)}
	p.expect(t, "started")
	return p
}

func (p process) expect(t *testing.T, line string) {
	t.Helper()
	if !p.lines.Scan() || p.lines.Text() != line {
		t.Fatalf("the process said %q, not %q", p.lines.Text(), line)
	}
}

func (p process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func TestTheFirstSignalStopsInOrder(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]os.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "obeys")
			p.signal(t, s)
			p.expect(t, "stopping: asked to stop by a signal")
			p.expect(t, "stopped")
			if err := p.Wait(); err != nil {
				t.Errorf("the process ended with %v", err)
			}
		})
	}
}

func TestTheSecondSignalEndsTheProcessAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, "hangs")
	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping: asked to stop by a signal")
	begin := time.Now()
	p.signal(t, syscall.SIGINT)
	err := p.Wait()
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the process took %v to end", took)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v, want exit code 1", err)
	}
}

func TestStopGivesTheSignalsBack(t *testing.T) {
	t.Parallel()
	ctx, stop := run.Signals(t.Context())
	if ctx.Err() != nil {
		t.Fatal("done before any signal")
	}
	stop()
	stop()
	if context.Cause(ctx) != context.Canceled { //nolint:errorlint // the very value
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
	parent, cancel := context.WithCancel(t.Context())
	ctx, stop = run.Signals(parent)
	defer stop()
	cancel()
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), run.ErrSignal) {
		t.Error("the end of the parent is told as a signal")
	}
}
