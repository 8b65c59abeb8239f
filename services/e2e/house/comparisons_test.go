package house_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A comparison that nobody counted is a way around every limit on guessing.
// So the primitives that compare secrets are used in one package, which counts
// first. Who else may use one is listed with the reason.

const guard = api + "guard"

// primitives are ways to compare secrets: functions of packages (all of a
// package without names), and the method of the short-lived store that compares
// codes.
var primitives = []struct {
	path  string // import path, empty for a method
	names []string
	who   map[string]string
}{
	{
		path: "crypto/subtle",
		who: map[string]string{
			guard:           "the one place that compares",
			"pkg/ephemeral": "the store in this process compares codes for the guard, as the script in Redis does",
		},
	},
	{path: "crypto/hmac", names: []string{"Equal"}},
	{
		path: "bytes", names: []string{"Equal", "Compare", "EqualFold"},
		who: map[string]string{
			"pkg/ephemeral":  "Swap compares a value with the one that its caller read before",
			api + "pipeline": "a repeated request is compared with the first one of the same caller, which has sent both",
		},
	},
	{
		path: "github.com/twilio/twilio-go/client", names: []string{"NewRequestValidator", "RequestValidator"},
		who: map[string]string{api + "callback": "the provider's library checks the provider's signature; a guess of it has no user whose budget it could spend"},
	},
	{
		names: []string{"Consume"},
		who:   map[string]string{guard: "the one place that compares"},
	},
}

// Covers R-013 (the static half: the primitives are used from one package).
func TestSecretsAreComparedInTheGuardAlone(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range production(t) {
		for _, found := range comparisons(s, used) {
			t.Error(found)
		}
	}
	for _, p := range primitives {
		for folder := range p.who {
			if !used[p.path+strings.Join(p.names, "")+" in "+folder] {
				t.Errorf("%s may use %s %v and does not: take the exception out", folder, p.path, p.names)
			}
		}
	}
}

// comparisons returns what a file compares outside its permissions, and notes
// in used which permissions it needed.
func comparisons(s source, used map[string]bool) []string {
	var out []string
	for _, p := range primitives {
		local := s.name(p.path)
		if p.path != "" && local == "" {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || p.names != nil && !slices.Contains(p.names, sel.Sel.Name) {
				return true
			}
			if x, isName := sel.X.(*ast.Ident); p.path != "" && (!isName || x.Name != local) {
				return true
			}
			if p.who[s.folder()] != "" {
				used[p.path+strings.Join(p.names, "")+" in "+s.folder()] = true
				return true
			}
			out = append(out, s.at(sel)+": "+p.path+" "+sel.Sel.Name+" compares secrets; only "+guard+" does that")
			return true
		})
	}
	return append(out, revealed(s)...)
}

// named finds names that hold secrets or what is made of them.
var named = regexp.MustCompile(`(?i)(secret|digest|password|signature|hmac|mac)$`)

// revealed finds secrets that are compared by operators or by functions of the
// strings package. That a secret.Text is never compared with == is the
// compiler's work: the type does not allow it.
func revealed(s source) []string {
	var out []string
	complain := func(n ast.Node) {
		out = append(out, s.at(n)+": compares a secret; only "+guard+" does that")
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && secretPair(n.X, n.Y) {
				complain(n)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && reveals(n.Tag) {
				complain(n)
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if ok && len(n.Args) == 2 && slices.Contains([]string{"EqualFold", "Compare", "Equal", "Contains", "HasPrefix", "HasSuffix"}, sel.Sel.Name) &&
				secretPair(n.Args[0], n.Args[1]) {
				complain(n)
			}
		}
		return true
	})
	return out
}

// secretPair reports whether one of two compared values is a secret and the
// other is not fixed: a comparison with "" or with nil tells nothing.
func secretPair(x, y ast.Expr) bool {
	return !fixed(x) && !fixed(y) && (reveals(x) || reveals(y) || isNamed(x) && isNamed(y))
}

func fixed(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return x.Name == "nil"
	}
	return false
}

func reveals(x ast.Expr) bool {
	found := false
	ast.Inspect(x, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Reveal" {
				found = true
			}
			if fun, ok := call.Fun.(*ast.Ident); ok && fun.Name == "len" {
				return false // a length is no secret
			}
		}
		return true
	})
	return found
}

func isNamed(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return named.MatchString(x.Name)
	case *ast.SelectorExpr:
		return named.MatchString(x.Sel.Name)
	case *ast.CallExpr:
		return len(x.Args) == 1 && isNamed(x.Args[0]) // string(digest)
	}
	return false
}

func TestComparisonsAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		imports, body string
		want          int
	}{
		"constant time":             {imports: "crypto/subtle", body: `_ = subtle.ConstantTimeCompare(a, b)`, want: 1},
		"a code of the store":       {body: `_, _ = store.Consume(ctx, key, digest, now)`, want: 1},
		"hmac.Equal":                {imports: "crypto/hmac", body: `_ = hmac.Equal(a, b)`, want: 1},
		"bytes.Equal":               {imports: "bytes", body: `_ = bytes.Equal(a, b)`, want: 1},
		"a revealed secret":         {body: `_ = given.Reveal() == want`, want: 1},
		"another revealed secret":   {body: `_ = want != given.Reveal()`, want: 1},
		"a switch":                  {body: `switch given.Reveal() { case want: }`, want: 1},
		"strings.EqualFold":         {imports: "strings", body: `_ = strings.EqualFold(given.Reveal(), want)`, want: 1},
		"digests":                   {body: `_ = string(row.Digest) == string(digest)`, want: 1},
		"the signature of Twilio":   {imports: "github.com/twilio/twilio-go/client", body: `_ = client.NewRequestValidator(k)`, want: 1},
		"whether there is one":      {body: `_ = given.Reveal() == ""`},
		"how long it is":            {body: `_ = len(given.Reveal()) > limit`},
		"a scheme":                  {imports: "strings", body: `_ = strings.HasPrefix(url.Reveal(), "sqlite:")`},
		"plain values":              {body: `_ = a == b`},
		"another package's Compare": {imports: "cmp", body: `_ = cmp.Compare(a, b)`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := comparisons(snippet(t, c.imports, c.body), map[string]bool{}); len(got) != c.want {
				t.Errorf("found %q, want %d", got, c.want)
			}
		})
	}
}
