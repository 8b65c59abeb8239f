package wording_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/wording"
)

// The page for app developers has every kind with its fields, and no other.
func TestFieldsAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(raw), "| field | what it is |")
	described, listed, _ := strings.Cut(tables, "| kind | fields |")
	word := regexp.MustCompile("`([a-z_]+)`")
	documented := map[string][]string{}
	for line := range strings.Lines(listed) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var words []string
		for _, match := range word.FindAllStringSubmatch(line, -1) {
			words = append(words, match[1])
		}
		documented[words[0]] = words[1:]
	}
	for _, kind := range wording.Kinds() {
		if !slices.Equal(documented[kind], wording.Fields(kind)) {
			t.Errorf("%s: %q are documented, it has %q", kind, documented[kind], wording.Fields(kind))
		}
		for _, field := range wording.Fields(kind) {
			if !strings.Contains(described, "| `"+field+"` |") {
				t.Errorf("nobody says what %s is", field)
			}
		}
	}
	if len(documented) != len(wording.Kinds()) {
		t.Errorf("%d kinds are documented of %d", len(documented), len(wording.Kinds()))
	}
}
