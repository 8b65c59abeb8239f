package clients_test

import (
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	texttemplate "text/template"
	"text/template/parse"

	"countersign.dev/services/e2e/stage"
)

// The pages are shown here without the program that they belong to: every value
// in a template is replaced by what a test wants it to say, whatever it is called
// and wherever it comes from, and every branch is taken. So no field can be
// forgotten, nor a page that is added tomorrow.

// filling is the data of a page: what its fields say.
type filling struct {
	text  string
	again bool // not the first page of a document
}

// Say is what stands in a template in place of a field. Paths of our own files
// are no text of anybody's, and stay what they are.
func (f filling) Say(field string) string {
	switch {
	case field == ".Root":
		return ""
	case field == ".StylePath":
		return "/pages.css"
	case field == ".ScriptPath" && !f.again:
		return "/pages.js"
	case field == ".ScriptPath", strings.HasPrefix(field, "index .Assets "):
		return "/nothing.js" // the script ran already, for the whole document
	default:
		return f.text
	}
}

// sheet is a page of ours: once as it is, and once by a library that escapes
// nothing.
type sheet struct {
	name    string
	escaped *template.Template
	bare    *texttemplate.Template
}

func (s sheet) show(t *testing.T, f filling) string {
	t.Helper()
	var out strings.Builder
	if err := s.escaped.Execute(&out, f); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return out.String()
}

func (s sheet) showBare(t *testing.T, f filling) string {
	t.Helper()
	var out strings.Builder
	if err := s.bare.Execute(&out, f); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return out.String()
}

// sheets are all pages of our programs, and what they send as mails. Files of
// templates that begin alike make one set, such as signin.html and
// signin_steps.html; layout.html belongs to every set of its folder.
func sheets(t *testing.T) (out []sheet) {
	t.Helper()
	root := stage.Root(t)
	sets := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"node_modules", "testdata", "bin"}, entry.Name()) ||
			path == filepath.Join(root, "services/e2e")): // no program that anybody uses
			return filepath.SkipDir
		case strings.HasSuffix(path, ".html"):
			stem, _, _ := strings.Cut(strings.TrimSuffix(entry.Name(), ".html"), "_")
			set := filepath.Join(filepath.Dir(path), stem)
			sets[set] = append(sets[set], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for set, files := range sets {
		layout := filepath.Join(filepath.Dir(set), "layout")
		if set == layout {
			out = append(out, sheetsOf(t, files)...)
		} else {
			out = append(out, sheetsOf(t, files, sets[layout]...)...)
		}
	}
	return out
}

// sheetsOf are the pages of a set: what no other template of it makes use of.
func sheetsOf(t *testing.T, files []string, shared ...string) (out []sheet) {
	t.Helper()
	trees, used := parsed(t, append(slices.Clone(files), shared...)), map[string]bool{}
	for _, tree := range trees {
		tree.Root = filled(tree.Root, used)
	}
	for name := range parsed(t, shared) {
		used[name] = true // they are pages of their own
	}
	escaped, bare := template.New(""), texttemplate.New("")
	for name, tree := range trees {
		template.Must(escaped.AddParseTree(name, tree.Copy()))
		texttemplate.Must(bare.AddParseTree(name, tree.Copy()))
	}
	for name, tree := range trees {
		if !used[name] && strings.TrimSpace(tree.Root.String()) != "" {
			out = append(out, sheet{name: name, escaped: escaped.Lookup(name), bare: bare.Lookup(name)})
		}
	}
	return out
}

// parsed are the templates of files.
func parsed(t *testing.T, files []string) map[string]*parse.Tree {
	t.Helper()
	trees := map[string]*parse.Tree{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]*parse.Tree{}
		tree := parse.New(filepath.Base(file))
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(string(text), "", "", own); err != nil {
			t.Fatal(err)
		}
		for name, tree := range own {
			if trees[name] != nil {
				t.Fatalf("%s: there is another template named %s", file, name)
			}
			trees[name] = tree
		}
	}
	return trees
}

// filled puts Say in place of the fields of a template, and what is shown on
// conditions in place of the conditions. It notes which templates are used.
func filled(in *parse.ListNode, used map[string]bool) *parse.ListNode {
	out := &parse.ListNode{NodeType: parse.NodeList}
	if in == nil {
		return out
	}
	for _, n := range in.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				out.Nodes = append(out.Nodes, action("{{.Say "+strconv.Quote(n.Pipe.String())+"}}"))
			}
		case *parse.IfNode:
			out.Nodes = append(out.Nodes, filled(n.List, used), filled(n.ElseList, used))
		case *parse.RangeNode:
			out.Nodes = append(out.Nodes, filled(n.List, used), filled(n.ElseList, used))
		case *parse.WithNode:
			out.Nodes = append(out.Nodes, filled(n.List, used), filled(n.ElseList, used))
		case *parse.TemplateNode:
			used[n.Name] = true
			out.Nodes = append(out.Nodes, action("{{template "+strconv.Quote(n.Name)+" .}}"))
		default:
			out.Nodes = append(out.Nodes, n)
		}
	}
	return out
}

// action is the only node of a template.
func action(text string) parse.Node {
	trees, err := parse.Parse("", text, "", "")
	if err != nil {
		panic(err) // the texts stand above
	}
	return trees[""].Root.Nodes[0]
}

// Whatever stands in the fields of a page, it has the elements and attributes
// that it has with plain words, and no address in it runs anything.
//
// Covers R-153 (without a browser: the corpus in every field of every template).
//
func TestNoFieldOfAPageIsMarkup(t *testing.T) {
	t.Parallel()
	corpus, all := hostile(t), sheets(t)
	if len(all) < 20 {
		t.Fatalf("%d pages were found", len(all))
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			plain := filling{text: "plain"}
			want, bare := skeleton(t, s.show(t, plain)), 0
			for _, text := range corpus {
				f := filling{text: text}
				if bone := differs(skeleton(t, s.show(t, f)), want); bone != "" {
					t.Errorf("%q makes %s", text, bone)
				}
				if differs(skeleton(t, s.showBare(t, f)), want) != "" {
					bare++
				}
			}
			if strings.Contains(s.showBare(t, plain), "plain") && bare < fewest/2 {
				t.Errorf("without escaping, %d of %d texts show up as markup: the test sees too little", bare, len(corpus))
			}
		})
	}
}
