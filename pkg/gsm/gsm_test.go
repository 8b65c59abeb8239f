package gsm_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/gsm"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]struct {
		n     int
		seven bool
	}{
		"":                       {0, true},
		"abc @£Ωß\n":             {9, true},
		"€":                      {2, true},
		"[x]":                    {5, true},
		"ç":                      {1, false},
		"€ç":                     {2, false},
		"🚀":                      {2, false},
		strings.Repeat("é", 160): {160, true},
	} {
		if n, seven := gsm.Units(s); n != want.n || seven != want.seven {
			t.Errorf("Units(%q) = %d, %v; want %d, %v", s, n, seven, want.n, want.seven)
		}
	}
}

// The figures are those of GSM 03.38 and 03.40.
func TestSegments(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{
		"":                       1,
		strings.Repeat("a", 160): 1,
		strings.Repeat("a", 161): 2,
		strings.Repeat("a", 306): 2,
		strings.Repeat("a", 307): 3,
		strings.Repeat("€", 80):  1,
		strings.Repeat("€", 81):  2,
		// 153 septets hold 76 of these, and one septet stays empty.
		strings.Repeat("€", 152): 2,
		strings.Repeat("€", 153): 3,
		strings.Repeat("株", 70):  1,
		strings.Repeat("株", 71):  2,
		strings.Repeat("株", 134): 2,
		strings.Repeat("株", 135): 3,
		strings.Repeat("🚀", 66):  2,
		strings.Repeat("🚀", 67):  3,
	} {
		if got := gsm.Segments(s); got != want {
			t.Errorf("Segments of %d times %.3q = %d, want %d", len([]rune(s)), s, got, want)
		}
	}
}
