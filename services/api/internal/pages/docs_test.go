package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"regexp"
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
	docs, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	made, err := docs.render("errors", []errorCode{{Code: `x"><b>`, Status: "400", Meaning: "<script>`<i>`", Remedy: "&"}})
	if err != nil {
		t.Fatal(err)
	}
	page := string(unpacked(t, made))
	for _, raw := range []string{"<b>", "<script>", "<i>"} {
		if strings.Contains(page, raw) {
			t.Errorf("the page holds %s: %s", raw, page)
		}
	}
}

// Each file has a name of its own for what is in it, which browsers keep, and
// the pages know them by it.
//
// Covers R-161 (hashed names, on the pages of the documentation).
func TestTheFilesOfTheDocumentationAreKept(t *testing.T) {
	t.Parallel()
	docs, err := NewDocs(func() ([]byte, error) { return []byte("{}"), nil })
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, route := range docs.Routes() {
		if strings.HasPrefix(route.Path, "/docs/assets/") && (route.CacheFor != aYear || !digested.MatchString(route.Path)) {
			t.Errorf("%s is kept for %v", route.Path, route.CacheFor)
		}
		served[route.Path] = true
	}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(docs.parts.assets) {
		t.Errorf("%d files are embedded, %d are served", len(entries), len(docs.parts.assets))
	}
	for base, page := range map[string]file{"/": docs.parts.page, "/docs/": docs.parts.errors} {
		for _, match := range loaded.FindAllSubmatch(unpacked(t, page), -1) {
			if path := base + string(match[1]); !served[path] {
				t.Errorf("a page below %s loads %s, which is not served", base, path)
			}
		}
	}
}

var (
	digested = regexp.MustCompile(`^/docs/assets/[\w.-]+\.[a-z2-7]{16}(\.\w+)?$`)
	loaded   = regexp.MustCompile(`(?:src|href)="((?:docs/)?assets/[^"]*)"`)
)

// unpacked is what somebody gets who cannot undo the compression.
func unpacked(t *testing.T, f file) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(f.packed))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The document is made when somebody asks for it, and once.
func TestTheDocumentIsMadeWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	made := 0
	docs, err := NewDocs(func() ([]byte, error) { made++; return []byte("{}"), nil })
	if err != nil || made != 0 {
		t.Fatalf("made %d times before anybody asks: %v", made, err)
	}
	for range 2 {
		if document, err := docs.document(); err != nil || made != 1 || len(document.packed) == 0 {
			t.Errorf("made %d times: %v", made, err)
		}
	}
}
