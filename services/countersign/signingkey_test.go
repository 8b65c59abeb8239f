package countersign

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/pkg/seal"
)

// An operator rotates the signing keys and sees what each is good for.
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
			fields := strings.Fields(line)
			words = append(words, fields[1]+" "+fields[2])
		}
		return strings.Join(words, ", ")
	}
	run("migrate")
	if got := states(); got != "ALGORITHM STATE, RS256 signing, ES256 signing" {
		t.Errorf("at first: %s", got)
	}
	line := `Signing key [0-9a-f-]{36} for %s added; it signs from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ on\.\n`
	both := regexp.MustCompile("^" + fmt.Sprintf(line, "RS256") + fmt.Sprintf(line, "ES256") + "$")
	if got := run("signing-key", "rotate"); !both.MatchString(got) {
		t.Errorf("rotated: %q", got)
	}
	if got := states(); got != "ALGORITHM STATE, RS256 next, RS256 signing, ES256 next, ES256 signing" {
		t.Errorf("after a rotation: %s", got)
	}
	one := regexp.MustCompile("^" + fmt.Sprintf(line, "ES256") + "$")
	if got := run("signing-key", "rotate", "--alg", "ES256", "--after", "0s"); !one.MatchString(got) {
		t.Errorf("rotated in a hurry: %q", got)
	}
	if got := states(); got != "ALGORITHM STATE, RS256 next, RS256 signing, ES256 signing, ES256 next, ES256 verifying" {
		t.Errorf("after one in a hurry: %s", got)
	}
	for args, want := range map[string]string{"--after=-1h": "past", "--alg=HS256": "ES256"} {
		var out, errs bytes.Buffer
		if exit := Main([]string{"signing-key", "rotate", args}, environ, &out, &errs); exit == 0 || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: exit %d: %s", args, exit, errs.String())
		}
	}
}
