package house_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goMod is what the tests read of a go.mod.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path     string
		Version  string
		Indirect bool
	}
	Replace []struct {
		Old struct{ Path string }
		New struct{ Path string }
	}
}

// modules returns every go.mod in the tree, by its directory from the root.
func modules(t *testing.T) map[string]goMod {
	t.Helper()
	out := map[string]goMod{}
	err := walk(func(path string, _ []byte) error {
		if filepath.Base(path) != "go.mod" {
			return nil
		}
		text, err := goTool(rootDir(t), "mod", "edit", "-json", path)
		if err != nil {
			return err
		}
		var m goMod
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		out[strings.TrimSuffix(path, "/go.mod")] = m
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no go.mod was found")
	}
	return out
}

// A module that the workspace does not list is built and tested by nobody, and
// one at the root would make `go test ./...` pass while it tests nothing.
func TestTheWorkspaceListsEveryModule(t *testing.T) {
	t.Parallel()
	text, err := goTool(rootDir(t), "work", "edit", "-json")
	if err != nil {
		t.Fatal(err)
	}
	var work struct {
		Go  string
		Use []struct{ DiskPath string }
	}
	if err := json.Unmarshal(text, &work); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, use := range work.Use {
		listed[strings.TrimPrefix(use.DiskPath, "./")] = true
	}
	makefile := read(t, "Makefile")
	for dir, m := range modules(t) {
		if !listed[dir] {
			t.Errorf("go.work does not list %s", dir)
		}
		if m.Go != work.Go {
			t.Errorf("%s/go.mod says go %s, go.work says go %s", dir, m.Go, work.Go)
		}
		if m.Module.Path != ours+dir {
			t.Errorf("%s/go.mod names the module %s, not %s", dir, m.Module.Path, ours+dir)
		}
		if !slices.Contains(strings.Fields(line(makefile, "MODULES :=")), dir) {
			t.Errorf("the Makefile's MODULES do not name %s", dir)
		}
		for _, r := range m.Replace {
			if !strings.HasPrefix(r.Old.Path, ours) || !strings.HasPrefix(r.New.Path, ".") {
				t.Errorf("%s/go.mod replaces %s by %s: only siblings are replaced", dir, r.Old.Path, r.New.Path)
			}
		}
	}
}

// line returns the first line of a text that begins so.
func line(text, begin string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, begin) {
			return l
		}
	}
	return ""
}

const longest = 400 // lines of a file that is no test

func TestFilesStayReadable(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if lines := bytes.Count(s.text, []byte("\n")); !s.test() && lines > longest {
			t.Errorf("%s has %d lines, more than %d: split it by what it is about", s.path, lines, longest)
		}
	}
}

// A skipped test reports success. Only pkg/rig skips, where a program is not
// installed or a short run is asked for, and not even then where RIG_REQUIRED=1
// promises everything.
func TestOnlyTheRigSkips(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.folder() != "pkg/rig" {
			complain(t, skips(s))
		}
	}
}

func skips(s source) []string {
	return calls(s, "this skips a test; let pkg/rig decide, or fail", func(sel *ast.SelectorExpr) bool {
		return slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name)
	})
}

// A test that sleeps is slow on every machine and wrong on a loaded one.
// Inside testing/synctest the clock is a fake one and stands still for nobody.
func TestNoTestSleeps(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test() || testHelper(s.folder()) {
			complain(t, sleeps(s))
		}
	}
}

func sleeps(s source) []string {
	clock := s.name("time")
	bubble := map[ast.Node]bool{}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && s.name("testing/synctest") != "" && isCall(call, s.name("testing/synctest"), "Test") {
			addAll(bubble, call)
		}
		return true
	})
	return calls(s, "this sleeps; wait for what must happen instead", func(sel *ast.SelectorExpr) bool {
		x, ok := sel.X.(*ast.Ident)
		return ok && clock != "" && x.Name == clock && sel.Sel.Name == "Sleep" && !bubble[sel]
	})
}

// addAll adds a node and all below it.
func addAll(set map[ast.Node]bool, below ast.Node) {
	ast.Inspect(below, func(n ast.Node) bool { set[n] = true; return true })
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && nameOf(sel.X) == pkg && sel.Sel.Name == name
}

// calls returns a complaint for each selector that matches.
func calls(s source, why string, match func(*ast.SelectorExpr) bool) []string {
	var out []string
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && match(sel) {
			out = append(out, s.at(sel)+": "+why)
		}
		return true
	})
	return out
}

func complain(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

// What is left for later stands in an issue, where somebody finds it.
func TestNothingIsLeftForLater(t *testing.T) {
	t.Parallel()
	marks := []string{"TO" + "DO", "FIX" + "ME"}
	err := walk(func(path string, text []byte) error {
		if bytes.IndexByte(text, 0) >= 0 || filepath.Base(path) == "go.sum" || filepath.Base(path) == "go.work.sum" {
			return nil
		}
		for _, mark := range marks {
			if before, _, found := bytes.Cut(text, []byte(mark)); found {
				t.Errorf("%s:%d: %s: finish it or open an issue", path, 1+bytes.Count(before, []byte("\n")), mark)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Covers R-159 (the static half: only html/template, and nothing is declared
// safe that came from outside).
func TestPagesAreMadeByHTMLTemplateAlone(t *testing.T) {
	t.Parallel()
	for _, s := range production(t) {
		complain(t, unescaped(s))
	}
}

// unescaped finds the types that switch html/template's escaping off.
func unescaped(s source) []string {
	var out []string
	if s.name("text/template") != "" {
		out = append(out, s.path+": text/template escapes nothing; use html/template")
	}
	local := s.name("html/template")
	return append(out, calls(s, "this switches escaping off", func(sel *ast.SelectorExpr) bool {
		return local != "" && nameOf(sel.X) == local &&
			slices.Contains([]string{"HTML", "HTMLAttr", "JS", "JSStr", "CSS", "URL", "Srcset"}, sel.Sel.Name)
	})...)
}

func TestBadHabitsAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		check         func(source) []string
		imports, body string
		want          int
	}{
		"a sleep":                {check: sleeps, imports: "time", body: "time.Sleep(time.Second)", want: 1},
		"a sleep beside a clock": {check: sleeps, imports: "time testing/synctest", body: "synctest.Test(t, f); time.Sleep(1)", want: 1},
		"a sleep of a fake clock": {
			check: sleeps, imports: "time testing/synctest", body: "synctest.Test(t, func(t *testing.T) { time.Sleep(1) })",
		},
		"a skip where a short run is asked for": {
			check: skips, imports: "testing", body: "if testing.Short() { t.Skip(`takes a minute`) }", want: 1,
		},
		"a skip":           {check: skips, body: "t.Skip()", want: 1},
		"a skip with text": {check: skips, body: "t.Skipf(`no %s`, x)", want: 1},
		"text/template":    {check: unescaped, imports: "text/template", body: "template.New(x)", want: 1},
		"template.HTML":    {check: unescaped, imports: "html/template", body: "_ = template.HTML(name)", want: 1},
		"html/template":    {check: unescaped, imports: "html/template", body: "template.New(x)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.check(snippet(t, c.imports, c.body)); len(got) != c.want {
				t.Errorf("found %q, want %d", got, c.want)
			}
		})
	}
}

//
func TestTheSecurityPolicySaysWhatItMust(t *testing.T) {
	t.Parallel()
	policy := read(t, "SECURITY.md")
	for _, must := range []string{
		"security@countersign.dev", "90 days", "7 days", "30 days",
		"## Threat model", "docs/requirements.md",
	} {
		if !strings.Contains(policy, must) {
			t.Errorf("SECURITY.md does not say %q", must)
		}
	}
}

// Links in the documents lead somewhere.
func TestLinksBetweenDocumentsWork(t *testing.T) {
	t.Parallel()
	err := walk(func(path string, text []byte) error {
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		for _, match := range markdownLink.FindAllSubmatch(text, -1) {
			target, _, _ := strings.Cut(string(match[1]), "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(rootDir(t), filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
