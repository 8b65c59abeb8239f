package password_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
)

// Covers R-056 for the operator's own list.
func TestTheOperatorsOwnList(t *testing.T) {
	t.Parallel()
	list, err := password.ReadBlocklist(strings.NewReader("sommerfest am see\r\n\nJahrgang Neunzehn\n# no comment at all\n blank in front of it\nJahrgang Neunzehn\ne\u0301tude quatorze do"))
	if err != nil || list.Len() != 5 {
		t.Fatalf("%v, %v", list, err)
	}
	for typed, want := range map[string]string{
		"sommerfest am see":      "password_blocklisted",
		"SOMMERFEST am See":      "password_blocklisted",
		"jahrgang neunzehn":      "password_blocklisted",
		"# no comment at all":    "password_blocklisted",
		" blank in front of it":  "password_blocklisted",
		"\u00e9tude quatorze do": "password_blocklisted",
		"blank in front of it":   "",
		"sommerfest am see 2":    "",
	} {
		a, err := ordinary.Assess(secret.New(typed), password.Known{}, list)
		if err != nil || a.Reason() != want {
			t.Errorf("%q: %q, %v, want %q", typed, a.Reason(), err, want)
		}
	}
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcde\n", 1<<20) // 16 MiB
	if list, err := password.ReadBlocklist(strings.NewReader(large)); err != nil || list.Len() != 1 {
		t.Errorf("16 MiB: %v, %v", list, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"more than 16 MiB":      {large + "x", "larger than 16 MiB"},
		"no text":               {"good enough\nbad\xff\n", "line 2 is not UTF-8"},
		"a line without an end": {strings.Repeat("x", 1<<20), "too long"},
	} {
		if _, err := password.ReadBlocklist(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
