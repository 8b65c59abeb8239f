package house_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// layer is one row of the import table: a package, and all it may import.
type layer struct {
	ours   []string // packages of ours, without the name of the project
	others []string // modules of others
	never  []string // parts of the standard library that it must not know
	tests  []string // packages of ours that its tests may import as well
	why    string
}

// TestImports holds every package to its row of the table in layers_test.go.
// The table is closed: a package in no row fails.
func TestImports(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range packages(t) {
		seen[p.short()] = true
		if p.Error != nil {
			t.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		row, ok := layers[p.short()]
		if !ok {
			t.Errorf("%s belongs to no layer: add a row with its reason to services/e2e/house/layers_test.go", p.short())
			continue
		}
		for _, complaint := range row.complaints(p) {
			t.Error(complaint)
		}
	}
	for name, row := range layers {
		if !seen[name] {
			t.Errorf("the import table has a row for %s, which does not exist", name)
		}
		if row.why == "" {
			t.Errorf("the import table gives no reason for %s", name)
		}
	}
}

// TestTheImportTableAllowsNoMoreThanIsUsed keeps the table tight: what nobody
// needs any more would let it in again unnoticed.
func TestTheImportTableAllowsNoMoreThanIsUsed(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, stale := range layers[p.short()].unused(p) {
			t.Error(stale)
		}
	}
}

func (l layer) complaints(p pkg) []string {
	var out []string
	for _, path := range p.Imports {
		if !l.allows(path) {
			out = append(out, fmt.Sprintf("%s imports %s, which its layer (%s) does not allow", p.short(), path, l.why))
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if !l.allowsInTests(p, path) {
			out = append(out, fmt.Sprintf("the tests of %s import %s, which its layer (%s) does not allow them", p.short(), path, l.why))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (l layer) allows(path string) bool {
	switch own, isOurs := strings.CutPrefix(path, ours); {
	case isOurs:
		return slices.Contains(l.ours, own)
	case standard(path):
		return !within(path, l.never)
	default:
		return within(path, l.others)
	}
}

// allowsInTests: any of the standard library, the helpers, for services all of
// pkg, and what the row says besides.
func (l layer) allowsInTests(p pkg, path string) bool {
	own, isOurs := strings.CutPrefix(path, ours)
	switch {
	case l.allows(path), path == p.ImportPath, standard(path):
		return true
	case isOurs:
		return testHelper(own) || slices.Contains(l.tests, own) ||
			strings.HasPrefix(p.short(), "services/") && strings.HasPrefix(own, "pkg/")
	default:
		return within(path, testLibraries) || within(path, l.tests)
	}
}

func (l layer) unused(p pkg) []string {
	var out []string
	imported := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
	for _, name := range slices.Concat(l.ours, l.others) {
		if !slices.ContainsFunc(p.Imports, func(path string) bool { return path == ours+name || within(path, []string{name}) }) {
			out = append(out, fmt.Sprintf("%s may import %s and does not: take it out of its row", p.short(), name))
		}
	}
	for _, name := range l.tests {
		if !slices.ContainsFunc(imported, func(path string) bool { return path == ours+name || within(path, []string{name}) }) {
			out = append(out, fmt.Sprintf("the tests of %s may import %s and do not: take it out of its row", p.short(), name))
		}
	}
	return out
}

// within reports whether path is one of these packages or below one.
func within(path string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

// standard reports whether a path is of the standard library: only there the
// first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func testHelper(own string) bool { _, ok := testHelpers[own]; return ok }

// TestProgramsHaveNoTestHelpers looks through everything that a program of
// ours is made of, directly or not.
func TestProgramsHaveNoTestHelpers(t *testing.T) {
	t.Parallel()
	for _, program := range packages(t) {
		if program.Name != "main" || strings.HasPrefix(program.short(), "services/e2e/") {
			continue
		}
		out, err := goTool(rootDir(t), "list", "-e", "-deps", program.ImportPath)
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			own, isOurs := strings.CutPrefix(path, ours)
			if isOurs && (testHelper(own) || strings.HasPrefix(own, "services/e2e/")) || path == "testing" {
				t.Errorf("%s contains %s, which is for tests alone", program.short(), path)
			}
		}
	}
}

// TestNoProgramNeedsCgo keeps the programs static: whatever they are made of,
// the standard library aside, has no C in it.
//
// Covers R-166 (no cgo).
func TestNoProgramNeedsCgo(t *testing.T) {
	t.Parallel()
	out, err := goTool(rootDir(t), "list", "-e", "-deps", "-f", `{{if .CgoFiles}}{{.Standard}} {{.ImportPath}}{{end}}`, "work")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "true net\n") {
		t.Errorf("package net has C in it, but was not found: %s", out)
	}
	for line := range strings.Lines(string(out)) {
		if path, ok := strings.CutPrefix(line, "false "); ok {
			t.Errorf("%s needs cgo", strings.TrimSpace(path))
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") && p.Name != "main" {
			t.Errorf("%s has no package comment that begins with %q", p.short(), "Package "+p.Name)
		}
		if p.Name == "main" && p.Doc == "" {
			t.Errorf("%s has no comment that says what the program does", p.short())
		}
	}
}

// The table finds what it is there to find.
func TestTheImportTableRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		from    string
		imports []string
		tests   []string
	}{
		"rules that know HTTP":                     {from: "services/api/internal/challenge", imports: []string{"net/http"}},
		"rules that know a part of HTTP":           {from: "services/api/internal/factor", imports: []string{"net/http/httptest"}},
		"rules that know SQL":                      {from: "services/api/internal/delivery", imports: []string{"database/sql"}},
		"rules that read files":                    {from: "services/api/internal/tenant", imports: []string{"os"}},
		"rules that know the router":               {from: "services/api/internal/user", imports: []string{"github.com/go-chi/chi/v5"}},
		"rules that know the bus":                  {from: "services/api/internal/challenge", imports: []string{ours + "pkg/bus"}},
		"rules that know those above them":         {from: "services/api/internal/guard", imports: []string{ours + "services/api/internal/challenge"}},
		"rules that know an edge":                  {from: "services/api/internal/factor", imports: []string{ours + "services/api/internal/pipeline"}},
		"an edge that knows the store":             {from: "services/api/internal/httpapi", imports: []string{ours + "services/api/internal/sqlstore"}},
		"an edge that knows another edge":          {from: "services/api/internal/httpapi", imports: []string{ours + "services/api/internal/oidc"}},
		"the contract that knows anything":         {from: "pkg/event", imports: []string{ours + "pkg/fault"}},
		"a worker that knows a provider":           {from: "pkg/courier", imports: []string{ours + "services/sms/internal/provider/twilio"}},
		"a service that knows another":             {from: "services/sms", imports: []string{ours + "services/api"}},
		"pkg that knows a service":                 {from: "pkg/web", imports: []string{ours + "services/api"}},
		"a library that is not in the row":         {from: "pkg/secret", imports: []string{"github.com/google/uuid"}},
		"a fake that needs more than Go":           {from: "services/e2e/fakes/twilio", imports: []string{ours + "pkg/fault"}},
		"a test helper in production":              {from: "pkg/ephemeral", imports: []string{ours + "pkg/rig"}},
		"tests of rules that go through the edges": {from: "services/api/internal/challenge", tests: []string{ours + "services/api/internal/httpapi"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row, ok := layers[c.from]
			if !ok {
				t.Fatalf("there is no row for %s", c.from)
			}
			p := pkg{ImportPath: ours + c.from, Imports: c.imports, XTestImports: c.tests}
			if len(row.complaints(p)) == 0 {
				t.Errorf("%s may import %v %v", c.from, c.imports, c.tests)
			}
		})
	}
}

// What one row says about the order of two rules, the other must not say the
// other way round; the compiler would see it too late to name the reason.
func TestTheImportTableHasNoCircles(t *testing.T) {
	t.Parallel()
	done, open := map[string]bool{}, map[string]bool{}
	var visit func(name string, way []string)
	visit = func(name string, way []string) {
		if open[name] {
			t.Fatalf("a circle: %s", strings.Join(append(way, name), " -> "))
		}
		if done[name] {
			return
		}
		open[name] = true
		for _, next := range layers[name].ours {
			visit(next, append(slices.Clone(way), name))
		}
		open[name], done[name] = false, true
	}
	for _, name := range slices.Sorted(maps.Keys(layers)) {
		visit(name, nil)
	}
}
