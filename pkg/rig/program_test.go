package rig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/rig"
)

// This looks at the test binary from outside, with a path on which the program
// is, or is not.
func TestAProgramThatIsNotInstalledSkipsOrFailsTheTest(t *testing.T) {
	t.Parallel()
	if os.Getenv("RIG_INNER") != "" {
		t.Log("it is " + rig.Installed(t, "second-opinion", "second-opinion-tools"))
		return
	}
	with := t.TempDir()
	program := filepath.Join(with, "second-opinion")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	const missing = "second-opinion is not installed (Debian: apt install second-opinion-tools)"
	for name, c := range map[string]struct {
		path, required string
		says           []string
		fails          bool
	}{
		"installed":                   {with, "1", []string{"PASS: TestAProgram", "it is " + program}, false},
		"missing":                     {t.TempDir(), "", []string{"SKIP: TestAProgram", missing}, false},
		"missing where all is needed": {t.TempDir(), "1", []string{"FAIL: TestAProgram", missing}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAProgramThatIsNotInstalledSkipsOrFailsTheTest$", "-test.v")
			cmd.Env = append(os.Environ(), "RIG_INNER=1", "RIG_REQUIRED="+c.required, "PATH="+c.path)
			out, err := cmd.CombinedOutput()
			for _, says := range c.says {
				if (err != nil) != c.fails || !strings.Contains(string(out), says) {
					t.Errorf("got %v\n%s, want %q", err, out, says)
				}
			}
		})
	}
}
