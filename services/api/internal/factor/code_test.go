package factor_test

import (
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/factor"
)

func TestRecoveryCodesAreReadAsTheyAreTyped(t *testing.T) {
	t.Parallel()
	const want = "K7QD2MZPX4TB01HW"
	for name, typed := range map[string]string{
		"as it is shown":            "K7QD-2MZP-X4TB-01HW",
		"without dashes":            "K7QD2MZPX4TB01HW",
		"in lower case":             "k7qd-2mzp-x4tb-01hw",
		"with blanks":               "  K7QD 2MZP\u0020X4TB 01HW ",
		"with letters for digits":   "K7QD-2MZP-X4TB-OiHW",
		"with other letters for it": "K7QD-2MZP-X4TB-olHW",
	} {
		if got, written, ok := factor.ParseRecoveryCode(typed); !ok || got != want || written != "K7QD-2MZP-X4TB-01HW" {
			t.Errorf("%s: %q, %q, %v", name, got, written, ok)
		}
	}
	for name, typed := range map[string]string{
		"nothing":             "",
		"one too few":         "K7QD-2MZP-X4TB-01H",
		"one too many":        "K7QD-2MZP-X4TB-01HWW",
		"a letter of none":    "K7QD-2MZP-X4TB-01HU",
		"another dash":        "K7QD_2MZP_X4TB_01HW",
		"a line break":        "K7QD-2MZP-X4TB-01HW\n",
		"a tab":               "K7QD-2MZP\tX4TB-01HW",
		"letters of fullness": "Ｋ7QD-2MZP-X4TB-01HW",
		"all blanks":          strings.Repeat(" ", 64),
		"too many blanks":     "K7QD2MZPX4TB01HW" + strings.Repeat(" ", 64),
		"an app's code":       "123456",
	} {
		if got, _, ok := factor.ParseRecoveryCode(typed); ok {
			t.Errorf("%s: read as %q", name, got)
		}
	}
}

// A hundred thousand codes have 80 bits each: every character of the alphabet
// stands in every place about as often as the others.
func TestRecoveryCodesAreUniform(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var seen [16]map[byte]int
	for i := range seen {
		seen[i] = map[byte]int{}
	}
	all := map[string]bool{}
	for range n {
		code := factor.NewRecoveryCode().Canonical().Reveal()
		all[code] = true
		for i := range seen {
			seen[i][code[i]]++
		}
	}
	if len(all) != n {
		t.Errorf("%d of %d codes differ", len(all), n)
	}
	for place, counts := range seen {
		if len(counts) != 32 {
			t.Errorf("%d characters in place %d, want 32", len(counts), place)
		}
		chi := 0.0
		for _, count := range counts {
			d := float64(count) - n/32.0
			chi += d * d / (n / 32.0)
		}
		if chi > 90 { // 31 degrees of freedom: one in ten million
			t.Errorf("place %d: chi square is %.1f", place, chi)
		}
	}
}

var shown = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`)

// Whatever is typed is a code of digits, a recovery code in its one form, or
// nothing.
// Covers R-131 for codes of apps and recovery codes.
func FuzzReadCode(f *testing.F) {
	f.Add("123456")
	f.Add("K7QD-2MZP-X4TB-01HW")
	f.Fuzz(func(t *testing.T, typed string) {
		canonical, written, ok := factor.ParseRecoveryCode(typed)
		if ok && factor.IsDigits(typed) {
			t.Fatalf("%q is two kinds of code", typed)
		}
		if !ok {
			return
		}
		if !shown.MatchString(written) || strings.ReplaceAll(written, "-", "") != canonical {
			t.Fatalf("%q is %q, shown as %q", typed, canonical, written)
		}
		for _, again := range []string{canonical, written, strings.ToLower(written)} {
			if second, _, ok := factor.ParseRecoveryCode(again); !ok || second != canonical {
				t.Fatalf("%q is %q the second time, want %q", typed, second, canonical)
			}
		}
	})
}
