package house_test

import (
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeCell     = regexp.MustCompile("^\\| (?:<a id=\"([^\"]*)\"></a>)?`([^`]+)` \\|")
)

// rows returns the cells of every row of the tables of a document whose first
// cell is code. An anchor before the code must be named like it.
func rows(t *testing.T, path string) [][]string {
	t.Helper()
	return rowsOf(t, path, read(t, path))
}

// rowsOf is rows for a part of a document.
func rowsOf(t *testing.T, path, text string) [][]string {
	t.Helper()
	var out [][]string
	for l := range strings.Lines(text) {
		first := codeCell.FindStringSubmatch(l)
		if first == nil {
			continue
		}
		if first[1] != "" && first[1] != first[2] {
			t.Errorf("%s: the anchor %s is not that of %s", path, first[1], first[2])
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(l), "|"), "|")[1:]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		cells[0] = first[2]
		out = append(out, cells)
	}
	return out
}

// statuses is what a kind of fault becomes over HTTP.
var statuses = map[string]int{
	"Internal":     web.Status(fault.Internal),
	"Malformed":    web.Status(fault.Malformed),
	"Invalid":      web.Status(fault.Invalid),
	"Unauthorized": web.Status(fault.Unauthorized),
	"Forbidden":    web.Status(fault.Forbidden),
	"NotFound":     web.Status(fault.NotFound),
	"Conflict":     web.Status(fault.Conflict),
	"TooLarge":     web.Status(fault.TooLarge),
	"Unsupported":  web.Status(fault.Unsupported),
	"Method":       web.Status(fault.Method),
	"Misdirected":  web.Status(fault.Misdirected),
	"Limited":      web.Status(fault.Limited),
	"Unavailable":  web.Status(fault.Unavailable),
}

// TestEveryErrorIsDocumented compares docs/errors.md with the faults that the
// code makes, both ways.
func TestEveryErrorIsDocumented(t *testing.T) {
	t.Parallel()
	made := map[string]string{} // "code status" -> where
	for _, s := range production(t) {
		found, complaints := faults(s)
		maps.Copy(made, found)
		complain(t, complaints)
	}
	documented := map[string]bool{}
	for _, cells := range rows(t, "docs/errors.md") {
		if len(cells) != 4 || cells[2] == "" || cells[3] == "" {
			t.Errorf("docs/errors.md: %q needs code, status, meaning, what to do", cells)
			continue
		}
		for status := range strings.FieldsFuncSeq(cells[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			documented[cells[0]+" "+status] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(made)) {
		if !documented[code] {
			t.Errorf("%s: docs/errors.md has no %s", made[code], code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(documented)) {
		if made[code] == "" {
			t.Errorf("docs/errors.md lists %s, which nothing returns", code)
		}
	}
}

// faults returns the codes that a file makes, with their status.
func faults(s source) (found map[string]string, complaints []string) {
	found = map[string]string{}
	local := s.name(ours + "pkg/fault")
	if local == "" {
		return found, nil
	}
	add := func(n ast.Node, kind, code ast.Expr) {
		if from, ok := code.(*ast.SelectorExpr); ok && from.Sel.Name == "Code" {
			return // a copy of one that was made elsewhere
		}
		lit, ok := code.(*ast.BasicLit)
		status := statuses[nameOf(kind)]
		if !ok || status == 0 {
			complaints = append(complaints, s.at(n)+": kind and code of a fault are written where it is made, so that they can be documented")
			return
		}
		text, _ := strconv.Unquote(lit.Value)
		found[fmt.Sprintf("%s %d", text, status)] = s.at(n)
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if (isCall(n, local, "New") || isCall(n, local, "Newf")) && len(n.Args) > 1 {
				add(n, n.Args[0], n.Args[1])
			}
		case *ast.CompositeLit:
			sel, ok := n.Type.(*ast.SelectorExpr)
			if ok && nameOf(sel.X) == local && sel.Sel.Name == "Error" {
				add(n, field(n, "Kind"), field(n, "Code"))
			}
		}
		return true
	})
	return found, complaints
}

func field(lit *ast.CompositeLit, name string) ast.Expr {
	for _, e := range lit.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok && nameOf(pair.Key) == name {
			return pair.Value
		}
	}
	return nil
}

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body    string
		want    string
		refused bool
	}{
		"made by New":        {body: "_ = fault.New(fault.Invalid, `bad_name`, `m`)", want: "bad_name 422"},
		"made by Newf":       {body: "_ = fault.Newf(fault.Limited, `slow_down`, `%d`, n)", want: "slow_down 429"},
		"made by hand":       {body: "_ = &fault.Error{Kind: fault.NotFound, Code: `gone`}", want: "gone 404"},
		"a copy":             {body: "_ = &fault.Error{Kind: f.Kind, Code: f.Code}"},
		"with a chosen code": {body: "_ = fault.New(fault.Invalid, code, `m`)", refused: true},
		"with a chosen kind": {body: "_ = fault.New(kind, `code`, `m`)", refused: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, complaints := faults(snippet(t, ours+"pkg/fault", c.body))
			if got := strings.Join(slices.Collect(maps.Keys(found)), ","); got != c.want || (len(complaints) == 1) != c.refused {
				t.Errorf("found %q and %q, want %q", got, complaints, c.want)
			}
		})
	}
}

// floors are the oldest versions without a published hole that would reach us.
var floors = map[string]string{
	"github.com/nats-io/nats-server/v2": "v2.12.6",
	"github.com/redis/go-redis/v9":      "v9.7.3",
	"github.com/jackc/pgx/v5":           "v5.9.2",
	"github.com/go-jose/go-jose/v4":     "v4.1.4",
}

// Covers R-162 (the oldest versions allowed, that of Go in .ci/run; no list of
// vulnerabilities is asked, since that needs the network).
func TestDependenciesAreNotOlderThanTheirLastHole(t *testing.T) {
	t.Parallel()
	for dir, m := range modules(t) {
		for _, r := range m.Require {
			if floor, ok := floors[r.Path]; ok && older(r.Version, floor) {
				t.Errorf("%s requires %s %s, older than %s", dir, r.Path, r.Version, floor)
			}
		}
	}
}

// older compares versions of the form v1.2.3, with or without the v.
func older(version, floor string) bool {
	a, b := numbers(version), numbers(floor)
	return slices.Compare(a, b) < 0
}

func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(strings.TrimPrefix(version, "v"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return append(out, -1) // v1.2.3-rc.1: before the release
		}
		out = append(out, n)
	}
	return out
}
