package phone_test

import (
	"os"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/phone"
)

// refused reads testdata/refused.txt: the numbers with the kind of each.
func refused(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if kind, number, ok := strings.Cut(strings.TrimSpace(line), ": +"); ok {
			kinds["+"+number] = kind
		}
	}
	return kinds
}

// Covers R-091 for what kind a number is of.
func TestExpensiveNumbersGetNoCodes(t *testing.T) {
	t.Parallel()
	costly := 0
	for number, kind := range refused(t) {
		if e164, err := phone.Parse(number); err != nil || e164 != number {
			t.Errorf("%s: Parse(%s) = %q, %v", kind, number, e164, err)
		}
		if err := phone.CheckSMS(number, nil); err == nil || !strings.HasPrefix(err.Error(), "number_not_allowed") {
			t.Errorf("%s: CheckSMS(%s) = %v", kind, number, err)
		}
		if kind != "toll free" && kind != "pager" {
			costly++
		}
	}
	if costly < 50 {
		t.Errorf("the table has %d numbers that cost extra, fewer than 50", costly)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+4915112345678": "+49151",
		"+14155552671":   "+1415",
		"+33612345678":   "+33612",
		"+37120012345":   "+371200",
		"+390612345678":  "+39061", // a leading zero belongs to the number
		"no number":      "",
	} {
		if got := phone.Prefix(number); got != want {
			t.Errorf("Prefix(%q) = %q, want %q", number, got, want)
		}
	}
}
