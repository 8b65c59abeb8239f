package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// ours begins the import path of everything in this tree.
const ours = "countersign.dev/"

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

// root is the directory of go.work.
var root = sync.OnceValues(func() (string, error) {
	out, err := goTool(".", "env", "GOWORK")
	if err != nil {
		return "", err
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == "off" {
		return "", errors.New("the tests about the tree need the workspace: unset GOWORK")
	}
	return filepath.Dir(file), nil
})

func rootDir(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goTool runs the go command. Nothing it is asked here needs the network.
func goTool(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // so that files with C in them are listed
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}

// pkg is what `go list` says about one package of ours.
type pkg struct {
	ImportPath   string
	Name         string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Error        *struct{ Err string }
}

// short is the import path without the name of the project.
func (p pkg) short() string { return strings.TrimPrefix(p.ImportPath, ours) }

var listPackages = sync.OnceValues(func() ([]pkg, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	out, err := goTool(dir, "list", "-e", "-json=ImportPath,Name,Doc,GoFiles,Imports,TestImports,XTestImports,Error", "work")
	if err != nil {
		return nil, err
	}
	var all []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		all = append(all, p)
	}
})

func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("go list found no packages")
	}
	return all
}

// source is one parsed Go file.
type source struct {
	path string // from the root, with slashes
	text []byte
	fset *token.FileSet
	ast  *ast.File
}

// folder is the package's import path without the name of the project.
func (s source) folder() string {
	if i := strings.LastIndex(s.path, "/"); i >= 0 {
		return s.path[:i]
	}
	return ""
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// at says where a node is.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// name is what the file calls an imported package, "" when it imports it not.
func (s source) name(importPath string) string {
	for _, spec := range s.ast.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return importPath[strings.LastIndex(importPath, "/")+1:]
	}
	return ""
}

func parse(path string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		return source{}, fmt.Errorf("parse: %w", err)
	}
	return source{path: path, text: text, fset: fset, ast: file}, nil
}

var parseSources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := walk(func(path string, text []byte) error {
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		s, err := parse(path, text)
		all = append(all, s)
		return err
	})
	return all, err
})

func sources(t *testing.T) []source {
	t.Helper()
	all, err := parseSources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files were found")
	}
	return all
}

// production is every file that can end up in a program of ours. The fakes
// and the tests of the tree are none.
func production(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, s := range sources(t) {
		if !s.test() && !strings.HasPrefix(s.path, "services/e2e/") && !testHelper(s.folder()) {
			out = append(out, s)
		}
	}
	return out
}

// walk calls visit for every file of the tree, with its path from the root.
// What git ignores (programs, data of a local run) is left out.
func walk(visit func(path string, text []byte) error) error {
	dir, err := root()
	if err != nil {
		return err
	}
	skip := map[string]bool{".git": true, "bin": true, "dist": true, ".countersign": true}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if entry.IsDir() {
			if skip[name] {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".out") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the tree: %w", err)
		}
		return visit(filepath.ToSlash(name), text)
	})
}

// read returns a file of the tree.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rootDir(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// snippet parses code that a check must find, or must not.
func snippet(t *testing.T, imports, body string) source {
	t.Helper()
	var list strings.Builder
	for path := range strings.FieldsSeq(imports) {
		fmt.Fprintf(&list, "import %q\n", path)
	}
	s, err := parse("snippet.go", []byte("package snippet\n"+list.String()+"func f() {\n"+body+"\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
