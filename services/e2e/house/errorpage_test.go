package house_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// errorPage is what the service shows at /docs/errors. It cannot embed
// docs/errors.md, which lies outside of its module.
const errorPage = "services/api/internal/pages/errors.json"

// TestTheErrorPageIsCurrent compares what the service shows of the errors with
// their document.
func TestTheErrorPageIsCurrent(t *testing.T) {
	t.Parallel()
	type row struct {
		Code    string `json:"code"`
		Status  string `json:"status"`
		Meaning string `json:"meaning"`
		Remedy  string `json:"remedy"`
	}
	var list []row
	for _, cells := range rows(t, "docs/errors.md") {
		if len(cells) != 4 {
			t.Fatalf("docs/errors.md: %q needs code, status, meaning, what to do", cells)
		}
		list = append(list, row{cells[0], cells[1], cells[2], cells[3]})
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(list); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(rootDir(t), errorPage)
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, errorPage); got != want.String() {
		t.Errorf("%s is not what docs/errors.md says; run make docs", errorPage)
	}
}
