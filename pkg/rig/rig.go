// Package rig starts real servers for tests: Redis and Postgres, as child
// processes on free ports of 127.0.0.1, in directories that go away with the
// test.
//
// Tests of every module call it; it knows none of them. A test that needs a
// program which is not installed is skipped with the name of the package to
// install, unless RIG_REQUIRED=1 is set: then it fails, so that CI cannot go
// green by testing nothing. The same holds for what a short run leaves out.
//
// The servers can be killed and started again, which is what fault tests are
// for. NATS needs no child process; pkg/bus has its own test helper.
package rig

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	startWithin = 30 * time.Second // a loaded machine needs seconds for Postgres
	stopWithin  = 10 * time.Second
	portTries   = 8
)

// Below the range from which Linux and macOS take the port of an outgoing
// connection: otherwise a client that keeps dialing a killed server could be
// given that very port and block the restart.
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePort returns a port of 127.0.0.1 on which nothing listens. Another
// process may take it before the caller does: try again on a clash.
func FreePort(tb testing.TB) int {
	tb.Helper()
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

func freePort() (int, error) {
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("rig: no free port found")
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// missing skips the test, or fails it where the servers are promised.
func missing(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("RIG_REQUIRED") == "1" {
		tb.Fatal("rig: " + why)
	}
	tb.Skip("rig: " + why)
}

// Long marks a test that a short run (-short) leaves out. Where everything is
// promised there are no short runs: the test fails.
func Long(tb testing.TB, why string) {
	tb.Helper()
	if testing.Short() {
		missing(tb, "left out of a short run: "+why)
	}
}

// child is one server process that can be killed and started again.
type child struct {
	command func() *exec.Cmd // a fresh one for every start
	ready   string           // what the server prints once it listens
	quit    os.Signal        // what makes it stop in good order

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd has been waited for
	out    *output
}

// start runs the server and returns when it has said that it is ready. The
// line comes from our own child, so that a server of another test on the same
// port cannot be taken for it.
func (c *child) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running() {
		return errors.New("rig: the server is running already")
	}
	c.cmd, c.out, c.exited = c.command(), newOutput(c.ready), make(chan struct{})
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.out
	c.cmd.WaitDelay = stopWithin // grandchildren may hold the pipe for a while
	dieWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		close(c.exited)
		return fmt.Errorf("rig: start %s: %w", c.cmd.Path, err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) { // ends with the process, see halt
		_ = cmd.Wait()
		close(exited)
	}(c.cmd, c.exited)

	select {
	case <-c.out.found:
		return nil
	case <-c.exited:
		return fmt.Errorf("rig: %s ended at its start:\n%s", c.cmd.Path, c.out)
	case <-time.After(startWithin):
		_ = c.cmd.Process.Kill()
		<-c.exited
		return fmt.Errorf("rig: %s was not ready after %s:\n%s", c.cmd.Path, startWithin, c.out)
	}
}

func (c *child) running() bool {
	if c.exited == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// halt sends a signal and waits until the process is gone; one that does not
// listen is killed. A stopped server stays stopped.
func (c *child) halt(signal os.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running() {
		return
	}
	_ = c.cmd.Process.Signal(signal)
	select {
	case <-c.exited:
	case <-time.After(stopWithin):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

func (c *child) stop() { c.halt(c.quit) }
func (c *child) kill() { c.halt(os.Kill) }

// clashed reports whether the last start failed on a port that was taken.
func (c *child) clashed() bool {
	return strings.Contains(strings.ToLower(c.out.String()), "address already in use")
}

// restart starts the server on the port it had. What the killed one left
// behind (a shared memory segment, a port in use) may need a moment.
func (c *child) restart(tb testing.TB) {
	tb.Helper()
	deadline := time.Now().Add(startWithin)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.start()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		<-tick.C
	}
}

// output keeps what a server prints and says when the wanted words came.
type output struct {
	found chan struct{}
	want  []byte

	mu   sync.Mutex
	text bytes.Buffer
	done bool
}

func newOutput(want string) *output {
	o := &output{found: make(chan struct{}), want: []byte(want), done: want == ""}
	if o.done {
		close(o.found)
	}
	return o
}

// keepOutput bounds what is kept of a talkative server.
const keepOutput = 64 << 10

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < keepOutput {
		o.text.Write(p)
	}
	if !o.done && bytes.Contains(o.text.Bytes(), o.want) {
		o.done = true
		close(o.found)
	}
	return len(p), nil
}

// String returns what was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
