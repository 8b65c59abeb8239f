package zxcvbn_test

import (
	"math"
	"strings"
	"testing"

	"countersign.dev/pkg/zxcvbn"
)

// Whatever is typed is judged. What is common, or a word of the context without
// capitals, is not strong.
//
// Covers R-131 for passwords that are judged.
func FuzzEstimate(f *testing.F) {
	for _, seed := range []struct{ password, context string }{
		{"", ""},
		{"Tr0ub4dour&3", "troubadour"},
		{"12/12/1912.12.12", "12"},
		{"4@8({[<3691!|70$5+%2", "aboat"},
		{"İstanbul\u2028İİ", "istanbul"},
		{"\xf0\x9f\x99 \xed\xa0\x80", "\xff"},
	} {
		f.Add(seed.password, seed.context)
	}
	f.Fuzz(func(t *testing.T, password, context string) {
		if got := judged(t, password, context); zxcvbn.Common(password) && got.Score > 1 {
			t.Fatalf("%q is common and scores %d", password, got.Score)
		}
		if got := judged(t, context, context); !strings.ContainsFunc(context, isCapital) && got.Score > 0 {
			t.Fatalf("%q is known and scores %d", context, got.Score)
		}
	})
}

func isCapital(r rune) bool { return 'A' <= r && r <= 'Z' }

func judged(t *testing.T, password string, context ...string) zxcvbn.Result {
	t.Helper()
	got := zxcvbn.Estimate(password, context...)
	if got.Score < 0 || got.Score > 4 || !(got.Guesses >= 1) || math.IsInf(got.Guesses, 1) {
		t.Fatalf("%q: %+v", password, got)
	}
	if (got.Score > 2) != (len(got.Suggestions) == 0) || got.Score > 2 && got.Warning != "" {
		t.Fatalf("%q: advice that does not fit: %+v", password, got)
	}
	return got
}
