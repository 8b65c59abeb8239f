package house_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// slip is one row of services/e2e/cmd/mutate/slips*.go, as `make mutate` reads
// it: what is broken, where, and which test of which package must notice.
type slip struct{ what, file, old, now, pkg, test string }

// Breaking the code takes hours, so it happens seldom. What can go stale in
// the list is seen here at once: a line that was rewritten, a file that moved,
// a test that has another name.
func TestSlipsStillFit(t *testing.T) {
	t.Parallel()
	const dir = "services/e2e/cmd/mutate/"
	lists := map[string]string{}
	tests := map[string][]string{}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.path, dir+"slips") {
			lists[s.path] = read(t, s.path)
		}
		for _, decl := range s.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && s.test() && fn.Recv == nil {
				tests[path.Dir(s.path)] = append(tests[path.Dir(s.path)], fn.Name.Name)
			}
		}
	}
	all, err := slips(lists)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 150 {
		t.Fatalf("%d slips were read", len(all))
	}
	for _, s := range all {
		complain(t, s.stale(read(t, s.file), tests))
	}
}

// stale says what of a slip does not fit the tree.
func (s slip) stale(text string, tests map[string][]string) []string {
	var out []string
	if n := strings.Count(text, s.old); n != 1 {
		out = append(out, fmt.Sprintf("slip %q: what it breaks stands %d times in %s", s.what, n, s.file))
	} else if _, err := parser.ParseFile(token.NewFileSet(), s.file, strings.Replace(text, s.old, s.now, 1), parser.SkipObjectResolution); err != nil {
		out = append(out, fmt.Sprintf("slip %q: what it leaves is no Go: %v", s.what, err))
	}
	pattern, err := regexp.Compile("^(" + s.test + ")$")
	if err != nil || !slices.ContainsFunc(tests[path.Clean(s.pkg)], pattern.MatchString) {
		out = append(out, fmt.Sprintf("slip %q: there is no test %s in %s", s.what, s.test, s.pkg))
	}
	return out
}

// slips reads the lists: rows of texts that are put together from constants of
// any of them.
func slips(lists map[string]string) (all []slip, err error) {
	constants, rows := map[string]ast.Expr{}, []*ast.CompositeLit{}
	for name, text := range lists {
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i := range min(len(n.Names), len(n.Values)) {
					constants[n.Names[i].Name] = n.Values[i]
				}
			case *ast.CompositeLit:
				if len(n.Elts) == 6 && n.Type == nil {
					rows = append(rows, n)
				}
			}
			return true
		})
	}
	for _, row := range rows {
		var fields [6]string
		for i, x := range row.Elts {
			if fields[i], err = constant(x, constants); err != nil {
				return nil, err
			}
		}
		all = append(all, slip{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]})
	}
	return all, nil
}

// constant puts a text together.
func constant(x ast.Expr, names map[string]ast.Expr) (string, error) {
	switch x := x.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(x.Value)
	case *ast.Ident:
		if value, ok := names[x.Name]; ok {
			return constant(value, names)
		}
	case *ast.BinaryExpr:
		left, err := constant(x.X, names)
		if err != nil || x.Op != token.ADD {
			return "", fmt.Errorf("not a sum of texts: %w", err)
		}
		right, err := constant(x.Y, names)
		return left + right, err
	}
	return "", fmt.Errorf("a slip is made of texts and constants, not of %T", x)
}

func TestStaleSlipsAreFound(t *testing.T) {
	t.Parallel()
	const head = "package main\nconst dir = \"a/\"\nvar slips = []slip{\n"
	tests := map[string][]string{"a/b": {"TestX"}}
	for name, c := range map[string]struct {
		row, text string
		want      int
	}{
		"fits":            {`{"x", dir + "b.go", "return true", "return false", "./a/b", "TestX"},`, "package b\nfunc f() bool { return true }", 0},
		"rewritten":       {`{"x", dir + "b.go", "return yes", "return false", "./a/b", "TestX"},`, "package b\nfunc f() bool { return true }", 1},
		"stands twice":    {`{"x", dir + "b.go", "true", "false", "./a/b", "TestX"},`, "package b\nvar x, y = true, true", 1},
		"leaves no Go":    {`{"x", dir + "b.go", "{", "", "./a/b", "TestX"},`, "package b\nfunc f() bool { return true }", 1},
		"another test":    {`{"x", dir + "b.go", "return true", "return false", "./a/b", "TestY"},`, "package b\nfunc f() bool { return true }", 1},
		"another package": {`{"x", dir + "b.go", "return true", "return false", "./a", "TestX"},`, "package b\nfunc f() bool { return true }", 1},
	} {
		all, err := slips(map[string]string{"slips.go": head + c.row + "\n}"})
		if err != nil || len(all) != 1 || all[0].file != "a/b.go" {
			t.Fatalf("%s: %+v, %v", name, all, err)
		}
		if got := all[0].stale(c.text, tests); len(got) != c.want {
			t.Errorf("%s: %q, want %d complaints", name, got, c.want)
		}
	}
}
