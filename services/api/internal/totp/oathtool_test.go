package totp_test

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/totp"
)

// What another program computes from a key is what this package does.
//
// Covers R-017 for the codes, beside another program.
func TestAnotherProgramComputesTheSameCodes(t *testing.T) {
	t.Parallel()
	oathtool := rig.Installed(t, "oathtool", "oathtool")
	for _, p := range everyParameters() {
		t.Run(p.Algorithm+" "+strconv.Itoa(p.Digits)+" digits "+strconv.Itoa(p.Period)+" seconds", func(t *testing.T) {
			t.Parallel()
			for range 12 {
				k := totp.NewKey(p)
				at := time.Unix(60+rand.Int64N(1<<34), 0)
				var got []string
				for _, c := range codesOf(t, k, at) {
					got = append(got, c.Text.Reveal())
				}
				if want := shown(t, oathtool, k, at); !slices.Equal(got, want) {
					t.Errorf("at %d: %q, the program says %q", at.Unix(), got, want)
				}
			}
		})
	}
}

// shown is what the program prints for three steps, from the one before on.
func shown(t *testing.T, oathtool string, k totp.Key, at time.Time) []string {
	t.Helper()
	before := at.Unix() - int64(k.Period)
	out, err := exec.CommandContext(t.Context(), oathtool,
		"--totp="+strings.ToLower(k.Algorithm), "-d", strconv.Itoa(k.Digits), "-s", strconv.Itoa(k.Period)+"s",
		"-N", "@"+strconv.FormatInt(before, 10), "-w", "2", "-b", k.Secret.Reveal()).CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool: %v: %s", err, out)
	}
	return strings.Fields(string(out))
}
