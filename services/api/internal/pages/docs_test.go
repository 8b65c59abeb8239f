package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// What a browser runs is what the README says it is, so that whoever renews it
// has to say so.
func TestTheAssetsOfOthersAreThoseOfTheirVersion(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("assets/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if !strings.HasSuffix(s.name, ".gz") {
			continue
		}
		packed, err := assetFiles.ReadFile("assets/" + s.name)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, unpacked); err != nil {
			t.Fatal(err)
		}
		if sum := hex.EncodeToString(hash.Sum(nil)); !strings.Contains(string(readme), "| `"+s.name+"` | 5.") || !strings.Contains(string(readme), "`"+sum+"`") {
			t.Errorf("assets/README.md does not name %s with the sum %s", s.name, sum)
		}
	}
}

// A code of an error is told apart from the words around it.
func TestCodeInSentences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":                  "[{plain false}]",
		"`code`":                 "[{code true}]",
		"send `a=1` or `b`, now": "[{send  false} {a=1 true} { or  false} {b true} {, now false}]",
		"":                       "[]",
	} {
		if got := fmt.Sprint(parts(text)); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// What the list of errors says is shown as text, whatever it looks like.
func TestTheListOfErrorsIsEscaped(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	if err := errorsPage.Execute(&page, []errorCode{{Code: `x"><b>`, Status: "400", Meaning: "<script>`<i>`", Remedy: "&"}}); err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{"<b>", "<script>", "<i>"} {
		if strings.Contains(page.String(), raw) {
			t.Errorf("the page holds %s: %s", raw, page.String())
		}
	}
}

func TestEveryEmbeddedFileIsServed(t *testing.T) {
	t.Parallel()
	docs, err := NewDocs([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, route := range docs.Routes() {
		served = append(served, route.Path)
	}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if path := "/docs/assets/" + strings.TrimSuffix(entry.Name(), ".gz"); !slices.Contains(served, path) {
			t.Errorf("%s is embedded and not served", path)
		}
	}
}
