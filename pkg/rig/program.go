package rig

import (
	"os/exec"
	"syscall"
	"testing"
)

// Program runs a program until the test ends, with this environment alone, and
// returns when it has printed ready; at once when that is empty. What it
// printed is logged when the test fails.
func Program(tb testing.TB, ready string, env []string, path string, args ...string) {
	tb.Helper()
	c := &child{ready: ready, quit: syscall.SIGTERM, command: func() *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = env
		return cmd
	}}
	if err := c.start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.stop()
		if tb.Failed() {
			tb.Logf("%s %v printed:\n%s", path, args, c.out)
		}
	})
}

// Installed returns the path of a program that nobody here wrote, which a test
// asks for a second opinion. Where it is not installed the test is skipped with
// the name of the Debian package that has it, or fails with RIG_REQUIRED=1.
func Installed(tb testing.TB, name, debianPackage string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(tb, name+" is not installed (Debian: apt install "+debianPackage+")")
	}
	return path
}
