//go:build unix

package flow_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign.dev/services/e2e/stage"
)

// A build of a filter that is killed in the middle goes on from what it has
// written down, and ends in the same bytes. The list has a pipe among its
// files: who opens that has come so far, and gets no further.
func TestABuildThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := filepath.Join(dir, "list")
	if err := os.Mkdir(list, 0o755); err != nil {
		t.Fatal(err)
	}
	const files, rows, stuck = 64, 4_000, 40
	names := make([]string, files)
	for i := range names {
		names[i] = filepath.Join(list, fmt.Sprintf("%05X", i<<14))
		if i != stuck {
			writeRange(t, names[i], rows)
		}
	}
	if err := syscall.Mkfifo(names[stuck], 0o600); err != nil {
		t.Fatal(err)
	}
	sameTime(t, list)

	filter := filepath.Join(dir, "filter")
	build := []string{"breach", "build", list, filter, "--every", "1ns", "--samples", "1"}
	p := stage.Start(t, stage.Env(), "countersign", build...)
	opened := make(chan error, 1)
	go func() { // waits for whoever reads
		pipe, err := os.OpenFile(names[stuck], os.O_WRONLY, 0)
		if err == nil {
			defer pipe.Close()
		}
		opened <- err
		<-p.Exited()
	}()
	select {
	case err := <-opened:
		if err != nil {
			t.Fatal(err)
		}
	case <-p.Exited():
		t.Fatal("the build ended")
	}
	p.Kill()
	if _, err := os.Stat(filter); err == nil {
		t.Fatal("there is a filter of half a list")
	}

	if err := os.Remove(names[stuck]); err != nil {
		t.Fatal(err)
	}
	writeRange(t, names[stuck], rows)
	sameTime(t, list)
	if r := stage.Run(t, stage.Env(), "countersign", build...); r.Code != 0 || !strings.Contains(r.Stderr, "Going on at ") {
		t.Fatalf("exit code %d: %s", r.Code, r.Stderr)
	}
	build[3] += ".whole"
	stage.Must(t, stage.Env(), "countersign", build...)
	one, err := os.ReadFile(filter)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(build[3])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) {
		t.Error("the filter differs from one that was built at once")
	}
}

// writeRange writes rows that are made of the file's name.
func writeRange(t *testing.T, path string, rows int) {
	t.Helper()
	lines := make([]string, rows)
	for i := range lines {
		lines[i] = fmt.Sprintf("%X:%d", sha1.Sum(fmt.Append(nil, filepath.Base(path), i)), i+1)[5:]
	}
	slices.Sort(lines)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// sameTime makes a folder look unchanged.
func sameTime(t *testing.T, path string) {
	t.Helper()
	moment := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(path, moment, moment); err != nil {
		t.Fatal(err)
	}
}
