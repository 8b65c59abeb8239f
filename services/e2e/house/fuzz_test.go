package house_test

import (
	"bytes"
	"go/ast"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	fuzzVersion = "go test fuzz v1\n"
	mostInputs  = 12
	mostBytes   = 2 << 10
)

// Every fuzz target has a committed corpus of inputs that mean something: they
// run with the tests, and each run of the fuzzer starts from them.
//
// Covers R-131 for the committed corpus.
func TestEveryFuzzTargetHasACorpus(t *testing.T) {
	t.Parallel()
	wanted := map[string]bool{}
	for _, s := range sources(t) {
		for _, target := range fuzzTargets(s) {
			dir := filepath.Join(filepath.Dir(s.path), "testdata", "fuzz", target)
			wanted[filepath.ToSlash(dir)] = true
			complain(t, corpus(filepath.Join(rootDir(t), dir), s.path+": "+target))
		}
	}
	if len(wanted) < 12 {
		t.Errorf("%d fuzz targets, want 12 at least", len(wanted))
	}
	err := walk(func(path string, _ []byte) error {
		dir := filepath.ToSlash(filepath.Dir(path))
		if strings.Contains(dir, "/testdata/fuzz/") && !wanted[dir] {
			t.Errorf("%s is for a fuzz target that is not there", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fuzzTargets returns the names of the fuzz targets of a file.
func fuzzTargets(s source) []string {
	var out []string
	for _, decl := range s.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && s.test() && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
			out = append(out, fn.Name.Name)
		}
	}
	return out
}

// corpus looks at one target's directory.
func corpus(dir, target string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 || len(entries) > mostInputs {
		return []string{target + " needs 1 to 12 inputs in " + dir}
	}
	var out []string
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil || !bytes.HasPrefix(text, []byte(fuzzVersion)) || len(text) > mostBytes {
			out = append(out, target+": "+entry.Name()+" is not an input of at most 2 KiB in Go's format")
		}
	}
	return out
}

func TestAPoorCorpusIsFound(t *testing.T) {
	t.Parallel()
	write := func(name, text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, c := range map[string]struct {
		dir  string
		want int
	}{
		"none":           {filepath.Join(t.TempDir(), "none"), 1},
		"empty":          {t.TempDir(), 1},
		"another format": {write("a", "hello"), 1},
		"too long":       {write("a", fuzzVersion+strings.Repeat("x", mostBytes)), 1},
		"good":           {write("a", fuzzVersion+`string("x")`), 0},
	} {
		if got := corpus(c.dir, "FuzzX"); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
