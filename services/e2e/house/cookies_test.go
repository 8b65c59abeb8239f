package house_test

import (
	"go/ast"
	"strings"
	"testing"
)

// bakers may make cookies, with the reason.
var bakers = map[string]string{
	api + "pipeline":               "the one place that says how a cookie of ours is bound",
	"services/countersign/demoapp": "an app of its own, which dev serves on loopback",
}

// Covers R-155 (the static half: the cookies of people's browsers are made in one place).
func TestCookiesAreMadeInOnePlace(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range production(t) {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if !s.bakes(n) {
				return true
			}
			if used[s.folder()] = true; bakers[s.folder()] == "" {
				t.Errorf("%s: makes a cookie; only %spipeline does that", s.at(n), api)
			}
			return true
		})
	}
	for folder := range bakers {
		if !used[folder] {
			t.Errorf("%s may make cookies and does not: take the exception out", folder)
		}
	}
}

// bakes reports whether a node makes a cookie: the type of net/http with its
// fields or without, or the header by its name.
func (s source) bakes(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BasicLit:
		return strings.Contains(strings.ToLower(n.Value), "set-cookie")
	case *ast.CompositeLit:
		return s.isCookie(n.Type)
	case *ast.CallExpr:
		made, ok := n.Fun.(*ast.Ident)
		return ok && made.Name == "new" && s.isCookie(n.Args[0])
	case *ast.ValueSpec:
		return s.isCookie(n.Type)
	}
	return false
}

func (s source) isCookie(of ast.Expr) bool {
	sel, ok := of.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Cookie" {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == s.name("net/http")
}
