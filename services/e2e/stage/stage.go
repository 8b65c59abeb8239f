// Package stage sets up what the tests of this module play on: the programs
// of the repository, built as they are shipped and run as processes of their
// own, an app that talks to them over HTTP, a person's browser, and a mail
// server.
//
// The tests of flow, compose, soak and clients call it. It knows programs by their names and
// services by their public API, so that nothing it does can reach around what
// a user of Countersign has.
package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
)

// programs are what can be run, and where each is made.
var programs = map[string]struct{ module, path string }{
	"countersign": {"services/countersign", "./cmd/countersign"},
	"fake-breach": {"services/e2e", "./cmd/fake-breach"},
	"fake-smtp":   {"services/e2e", "./cmd/fake-smtp"},
	"fake-twilio": {"services/e2e", "./cmd/fake-twilio"},
	"nats-server": {"services/e2e", "./cmd/nats-server"},
}

// built are the programs of this test binary; Main removes them.
var built struct {
	mu    sync.Mutex
	dir   string
	paths map[string]string
}

// Main is the body of TestMain of the packages that call Program. It runs the
// tests, removes what they had built, does what the package wants done after
// its tests, and exits.
func Main(m *testing.M, after ...func()) {
	rig.Main(m, append(after, func() {
		built.mu.Lock()
		defer built.mu.Unlock()
		if built.dir != "" {
			_ = os.RemoveAll(built.dir)
		}
	})...)
}

// Program builds one of the programs, once per test binary, and returns
// its path. It is built as `make build` does, so that what is measured is what
// is shipped: static, and never under the race detector.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if path := built.paths[name]; path != "" {
		return path
	}
	path, err := build(tb, name)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func build(tb testing.TB, name string) (string, error) {
	from, ok := programs[name]
	if !ok {
		return "", fmt.Errorf("stage: there is no program %s", name)
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "stage-programs-")
		if err != nil {
			return "", fmt.Errorf("stage: %w", err)
		}
		built.dir, built.paths = dir, map[string]string{}
	}
	path := filepath.Join(built.dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, from.path)
	cmd.Dir = filepath.Join(Root(tb), filepath.FromSlash(from.module))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("stage: build %s: %w\n%s", name, err, out)
	}
	built.paths[name] = path
	return path, nil
}

// Root is the folder of the repository: the first one upwards with a go.work.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("stage: no go.work above the test")
		}
		dir = parent
	}
}

// Env makes an environment out of name=value pairs, with nothing of the
// person's who runs the test but what every program needs.
func Env(pairs ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir()}
	return append(env, pairs...)
}

// Result is how a program ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// endsWithin bounds Run: tools are done at once, or soon on a busy machine, and
// what should have been refused must not run on.
const endsWithin = time.Minute

// Run runs a program to its end and returns how it was; the code is -1 for one
// that had to be killed because it did not end. It fails the test only when the
// program could not be started.
func Run(tb testing.TB, env []string, name string, args ...string) Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), endsWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, Program(tb, name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	dieWithParent(cmd)
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		tb.Fatalf("stage: run %s: %v", name, err)
	}
	return Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Must is Run for a program that has to succeed; it returns what was printed.
func Must(tb testing.TB, env []string, name string, args ...string) string {
	tb.Helper()
	r := Run(tb, env, name, args...)
	if r.Code != 0 {
		tb.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

// Values reads name=value lines, as `countersign key create` prints them.
func Values(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[name] = value
		}
	}
	return out
}
