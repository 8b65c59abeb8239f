package countersign

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/pkg/seal"
)

// An operator rotates the signing key and sees what each is good for.
func TestSigningKeysOnTheCommandLine(t *testing.T) {
	t.Parallel()
	environ := []string{
		"COUNTERSIGN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "test.db"), "COUNTERSIGN_SEAL_KEYS=" + seal.NewKey().Reveal(),
	}
	run := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if exit := Main(args, environ, &out, &errs); exit != 0 {
			t.Fatalf("%v: exit %d: %s", args, exit, errs.String())
		}
		return out.String()
	}
	states := func() string {
		t.Helper()
		var words []string
		for line := range strings.Lines(run("signing-key", "list")) {
			words = append(words, strings.Fields(line)[1])
		}
		return strings.Join(words, " ")
	}
	run("migrate")
	if got := states(); got != "STATE signing" {
		t.Errorf("at first: %s", got)
	}
	added := regexp.MustCompile(`^Signing key [0-9a-f-]{36} added; it signs from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ on\.\n$`)
	if got := run("signing-key", "rotate"); !added.MatchString(got) {
		t.Errorf("rotated: %q", got)
	}
	if got := states(); got != "STATE next signing" {
		t.Errorf("after a rotation: %s", got)
	}
	run("signing-key", "rotate", "--after", "0s")
	if got := states(); got != "STATE signing next verifying" {
		t.Errorf("after one in a hurry: %s", got)
	}
	var out, errs bytes.Buffer
	if exit := Main([]string{"signing-key", "rotate", "--after=-1h"}, environ, &out, &errs); exit != 1 || !strings.Contains(errs.String(), "past") {
		t.Errorf("a start in the past: exit %d: %s", exit, errs.String())
	}
}
