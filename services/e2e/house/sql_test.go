package house_test

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// SQL is made of constants, of the few words in which the engines differ, and
// of numbered placeholders; what a caller sent is an argument. The check is
// closed: it follows everything that can become a statement back to such parts
// and refuses what it does not know.

// texts says which parameters of which functions become SQL. The functions
// may use them as they are; their callers are checked.
var texts = map[string][]string{
	"stmt":   {"", "text"},
	"join":   {"condition"},
	"and":    {"column"},
	"andAny": {"column"},
	// The pool's own methods, whose callers are checked as runners.
	"ExecContext": {"", "text"}, "QueryContext": {"", "text"}, "QueryRowContext": {"", "text"}, "prepared": {"", "text"},
}

// fields become SQL too: those of a statement, of conditions, and of a source
// of lists. What they are filled with is checked, so they may be used.
var fields = []string{"text", "table", "columns"}

// runners take a statement at this place; the arguments after it are values.
var runners = map[string]int{
	"ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1,
	"Exec": 0, "Query": 0, "QueryRow": 0, "Prepare": 0,
}

// Covers R-134 (the static half: no statement is put together from input).
func TestStatementsAreMadeOfConstants(t *testing.T) {
	t.Parallel()
	constants := map[string]bool{}
	var store []source
	for _, s := range production(t) {
		if s.folder() == api+"sqlstore" {
			store = append(store, s)
			addConstants(constants, s)
		}
	}
	if len(store) == 0 {
		t.Fatal("no files of the store were found")
	}
	for _, s := range store {
		for _, found := range builtStatements(s, constants) {
			t.Error(found)
		}
	}
}

func addConstants(into map[string]bool, s source) {
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if decl, ok := n.(*ast.GenDecl); ok && decl.Tok == token.CONST {
			for _, spec := range decl.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					into[name.Name] = true
				}
			}
		}
		return true
	})
}

// builtStatements returns every place where something else becomes SQL.
func builtStatements(s source, constants map[string]bool) []string {
	var out []string
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		scope := scopeOf(fn, constants)
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			for _, text := range becomesSQL(n) {
				if !scope.fixed(text) {
					out = append(out, s.at(text)+": this becomes SQL and is made of more than constants and placeholders")
				}
			}
			if fn.Name.Name != "stmt" && statementByHand(n) {
				out = append(out, s.at(n)+": a statement is made by stmt, which is checked")
			}
			return true
		})
	}
	return out
}

// statementByHand finds statement{…}, and []statement{{…}}.
func statementByHand(n ast.Node) bool {
	lit, ok := n.(*ast.CompositeLit)
	if !ok || len(lit.Elts) == 0 {
		return false
	}
	array, ok := lit.Type.(*ast.ArrayType)
	if !ok {
		return nameOf(lit.Type) == "statement"
	}
	return nameOf(array.Elt) == "statement" && slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
		inner, ok := e.(*ast.CompositeLit)
		return ok && inner.Type == nil
	})
}

// becomesSQL returns the expressions in a node that end up as SQL.
func becomesSQL(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := nameOf(n.Fun)
		var out []ast.Expr
		for i, param := range texts[name] {
			if _, runs := runners[name]; param != "" && i < len(n.Args) && !runs {
				out = append(out, n.Args[i])
			}
		}
		// What is spread are the arguments of a prepared statement.
		spread := n.Ellipsis.IsValid() && len(n.Args) == runners[name]+1
		if at, ok := runners[name]; ok && at < len(n.Args) && !spread {
			out = append(out, n.Args[at])
		}
		return out
	case *ast.AssignStmt: // c.text += condition
		if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && slices.Contains(fields, sel.Sel.Name) {
			return n.Rhs
		}
	case *ast.CompositeLit:
		return filled(n)
	}
	return nil
}

// filled returns what a source or conditions are filled with.
func filled(lit *ast.CompositeLit) []ast.Expr {
	kind := nameOf(lit.Type)
	if kind != "source" && kind != "conditions" {
		return nil
	}
	var out []ast.Expr
	for i, e := range lit.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		switch {
		case !ok && i < 2: // a source is table, columns and the function that reads a row
			out = append(out, e)
		case ok && slices.Contains(fields, nameOf(pair.Key)):
			out = append(out, pair.Value)
		}
	}
	return out
}

// scope knows which names of one function hold nothing but fixed SQL.
type scope struct {
	constants map[string]bool
	params    []string              // become SQL, and are checked at every call
	inputs    map[string]bool       // other parameters, and what a loop goes over
	assigned  map[string][]ast.Expr // every value that a name is given
	open      map[string]bool       // names that are being looked at
}

func scopeOf(fn *ast.FuncDecl, constants map[string]bool) *scope {
	sc := &scope{
		constants: constants, params: texts[fn.Name.Name],
		inputs: map[string]bool{}, assigned: map[string][]ast.Expr{}, open: map[string]bool{},
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			for _, field := range n.Params.List {
				for _, name := range field.Names {
					sc.inputs[name.Name] = !slices.Contains(sc.params, name.Name)
				}
			}
		case *ast.RangeStmt:
			sc.inputs[nameOf(n.Key)], sc.inputs[nameOf(n.Value)] = true, true
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if len(n.Values) > i {
					sc.assigned[name.Name] = append(sc.assigned[name.Name], n.Values[i])
				}
			}
		case *ast.AssignStmt:
			sc.assign(n)
		}
		return true
	})
	return sc
}

func (sc *scope) assign(n *ast.AssignStmt) {
	for i, left := range n.Lhs {
		if index, ok := left.(*ast.IndexExpr); ok {
			left = index.X // places[i] = c.next(value)
		}
		name, ok := left.(*ast.Ident)
		if !ok {
			continue
		}
		value := n.Rhs[0] // one call with several results
		if len(n.Rhs) == len(n.Lhs) {
			value = n.Rhs[i]
		}
		sc.assigned[name.Name] = append(sc.assigned[name.Name], value)
	}
}

// fixed reports whether an expression is made of constants, dialect words and
// generated placeholders alone.
func (sc *scope) fixed(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return sc.fixed(x.X)
	case *ast.BinaryExpr:
		return x.Op == token.ADD && sc.fixed(x.X) && sc.fixed(x.Y)
	case *ast.Ident:
		return sc.fixedName(x.Name)
	case *ast.SelectorExpr:
		return slices.Contains(fields, x.Sel.Name) || nameOf(x.X) == "dialect"
	case *ast.CallExpr:
		switch nameOf(x.Fun) {
		case "next", "page": // placeholders, and LIMIT with placeholders
			return true
		case "Join":
			return len(x.Args) == 2 && sc.fixed(x.Args[0]) && sc.fixed(x.Args[1])
		case "make":
			return true // an empty list, filled by what is assigned
		}
	}
	return false
}

func (sc *scope) fixedName(name string) bool {
	values, isAssigned := sc.assigned[name]
	switch {
	case sc.inputs[name]:
		return false
	case slices.Contains(sc.params, name):
		return true
	case !isAssigned:
		return sc.constants[name]
	case sc.open[name]:
		return true // text = text + more: the rest decides
	}
	sc.open[name] = true
	defer delete(sc.open, name)
	for _, value := range values {
		if !sc.fixed(value) {
			return false
		}
	}
	return true
}

// nameOf is the last name of an expression: Exec of tx.Exec, and source of
// source[T].
func nameOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.IndexExpr:
		return nameOf(x.X)
	}
	return ""
}

func TestBuiltStatementsAreFound(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		body string
		want int
	}{
		"Sprintf":               {body: "exec(stmt(`find`, fmt.Sprintf(`SELECT %s`, column)))", want: 1},
		"input in a text":       {body: "exec(stmt(`find`, `SELECT id FROM users WHERE email = '`+email+`'`))", want: 1},
		"input by a detour":     {body: "text := `SELECT ` + email; exec(stmt(`find`, text))", want: 1},
		"input in one branch":   {body: "text := `ASC`; if down { text = order }; exec(stmt(`find`, `ORDER BY id `+text))", want: 1},
		"input as a column":     {body: "c.and(sort, value)", want: 1},
		"input as a table":      {body: "list := source[user]{table: name, columns: columns}; list.page()", want: 1},
		"input in a source":     {body: "source[user]{`users`, name, scan}.page()", want: 1},
		"a table by hand":       {body: "list.table = name", want: 1},
		"constants of a source": {body: "list := source[user]{table: `users`, columns: columns, scan: scan}; list.page()"},
		"input in a condition":  {body: "c.join(`name = '` + name + `'`)", want: 1},
		"a condition by hand":   {body: "c.text += name", want: 1},
		"a statement by hand":   {body: "exec(statement{`find`, name, nil})", want: 1},
		"several by hand":       {body: "for _, st := range []statement{{`find`, name, nil}} { exec(st) }", want: 1},
		"a parameter":           {body: "find := func(columns string) { exec(stmt(`find`, columns)) }; find(name)", want: 1},
		"a loop":                {body: "for _, columns := range names { exec(stmt(`find`, columns)) }", want: 1},
		"straight to the store": {body: "tx.ExecContext(ctx, `DELETE FROM `+name)", want: 1},
		"arguments after it":    {body: "tx.ExecContext(ctx, `DELETE FROM `+name, args...)", want: 1},
		"a prepared statement":  {body: "kept.ExecContext(ctx, args...)"},
		"preparing input":       {body: "h.PrepareContext(ctx, `DELETE FROM `+name)", want: 1},
		"a builder":             {body: "exec(stmt(`find`, b.String()))", want: 1},
		"a replacer":            {body: "exec(stmt(`find`, strings.ReplaceAll(`SELECT $x`, `$x`, name)))", want: 1},
		"constants":             {body: "exec(stmt(`find`, `SELECT `+columns+` FROM users`, email))"},
		"a dialect word":        {body: "exec(stmt(`lock`, `SELECT id FROM users`+s.dialect.forUpdate, id))"},
		"placeholders":          {body: "m := c.next(value); c.join(`id = ` + m); exec(stmt(`find`, `SELECT id FROM users WHERE `+c.text))"},
		"a list of them":        {body: "places := make([]string, n); places[i] = c.next(v); c.join(`id IN (` + strings.Join(places, `, `) + `)`)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := builtStatements(snippet(t, "", c.body), map[string]bool{"columns": true}); len(got) != c.want {
				t.Errorf("found %q, want %d", got, c.want)
			}
		})
	}
}

// Only the store may talk to a database at all; here is what makes that and
// the check above one statement: nobody else has the packages for it.
func TestOnlyTheStoreKnowsSQL(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.short() == api+"sqlstore" || testHelper(p.short()) {
			continue
		}
		for _, path := range p.Imports {
			if strings.HasPrefix(path, "database/sql") || strings.Contains(path, "jackc/pgx") || strings.Contains(path, "sqlite") {
				t.Errorf("%s imports %s; SQL is written in %ssqlstore alone", p.short(), path, api)
			}
		}
	}
}
