package stage

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	readyWithin = time.Minute // on a machine that builds and tests at once
	stopWithin  = time.Minute // longer than any grace of ours
)

// Process is a running program. It is stopped when the test ends.
type Process struct {
	Began time.Time // just before it was started

	tb     testing.TB
	name   string
	cmd    *exec.Cmd
	out    *transcript // standard output
	err    *transcript // standard error: the log
	exited chan struct{}
}

// Start runs a program until the test ends. What it prints to standard error
// goes to the test's own output too.
func Start(tb testing.TB, env []string, name string, args ...string) *Process {
	tb.Helper()
	p := &Process{
		tb: tb, name: name + " " + strings.Join(args, " "), cmd: exec.Command(Program(tb, name), args...),
		out: newTranscript(), err: newTranscript(), exited: make(chan struct{}),
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.out, p.err
	dieWithParent(p.cmd)
	p.Began = time.Now()
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("stage: start %s: %v", p.name, err)
	}
	go func() { // ends with the process; Stop and Kill wait for it
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	tb.Cleanup(func() {
		p.Stop()
		if tb.Failed() {
			tb.Logf("%s (process %d) said:\n%s%s", p.name, p.cmd.Process.Pid, p.out.text(), p.err.text())
		}
	})
	return p
}

// Stop asks the process to end, as an orchestrator does, and returns its exit
// code. It may be called again.
func (p *Process) Stop() int {
	p.tb.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.exited:
	case <-time.After(stopWithin):
		p.tb.Errorf("%s did not stop within %v", p.name, stopWithin)
		p.Kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, as the kernel does when memory is short.
func (p *Process) Kill() {
	_ = p.cmd.Process.Signal(os.Kill)
	<-p.exited
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout is what was printed to standard output so far.
func (p *Process) Stdout() string { return p.out.text() }

// Stderr is what was printed to standard error so far.
func (p *Process) Stderr() string { return p.err.text() }

// Await returns when the process has printed text to either output. It fails
// the test when the process ends before, or takes too long.
func (p *Process) Await(text string) {
	p.tb.Helper()
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	for {
		more, moreErr := p.out.changed(), p.err.changed()
		if strings.Contains(p.out.text(), text) || strings.Contains(p.err.text(), text) {
			return
		}
		select {
		case <-more:
		case <-moreErr:
		case <-p.exited:
			p.tb.Fatalf("%s ended with exit code %d before it said %q:\n%s%s",
				p.name, p.cmd.ProcessState.ExitCode(), text, p.out.text(), p.err.text())
		case <-limit.C:
			p.tb.Fatalf("%s did not say %q within %v:\n%s%s", p.name, text, readyWithin, p.out.text(), p.err.text())
		}
	}
}

// AwaitLine returns the first line of the JSON log for which match holds. It
// fails the test when none comes.
func (p *Process) AwaitLine(what string, match func(line map[string]any) bool) map[string]any {
	p.tb.Helper()
	limit := time.NewTimer(readyWithin)
	defer limit.Stop()
	for {
		more := p.err.changed()
		for line := range strings.Lines(p.err.text()) {
			var decoded map[string]any
			if json.Unmarshal([]byte(line), &decoded) == nil && match(decoded) {
				return decoded
			}
		}
		select {
		case <-more:
		case <-p.exited:
			p.tb.Fatalf("%s ended without a line about %s", p.name, what)
		case <-limit.C:
			p.tb.Fatalf("%s wrote no line about %s within %v", p.name, what, readyWithin)
		}
	}
}

// transcript keeps what a process prints and tells whoever waits for more.
type transcript struct {
	mu   sync.Mutex
	all  bytes.Buffer
	more chan struct{}
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

// Write implements io.Writer.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Write(p)
	close(t.more)
	t.more = make(chan struct{})
	return len(p), nil
}

func (t *transcript) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.String()
}

// changed is closed at the next write.
func (t *transcript) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.more
}
