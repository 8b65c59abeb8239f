package pages

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"countersign.dev/pkg/web"
)

// frame is what a page stands in that is shown with sample data. Who writes the
// page knows nothing of it: what was written is changed on its way out, so that
// a preview cannot differ from the page.
type frame struct {
	note []byte // says so, above the page
	next string // where all forms and links of the page lead
}

type frameKey struct{}

// frameOf is nil for the pages of people.
func frameOf(r *http.Request) *frame {
	f, _ := r.Context().Value(frameKey{}).(*frame)
	return f
}

// request is what the page is written for: nobody's browser, which wants one
// language. It has no cookies of the person who looks.
func (f *frame) request(r *http.Request, lang string) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), frameKey{}, f))
	out.Header = http.Header{"Accept-Language": {lang}}
	return out
}

// noteFault hands an error to the access line, unless it is a sample.
func noteFault(r *http.Request, err error) {
	if frameOf(r) == nil {
		web.Note(r.Context(), err)
	}
}

// framedWriter has the one status of a preview, whatever the page says.
type framedWriter struct {
	http.ResponseWriter

	status int
}

func (w framedWriter) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

// around puts the frame around a page.
func (f *frame) around(page []byte) []byte {
	var out bytes.Buffer
	in := html.NewTokenizer(bytes.NewReader(page))
	for in.Next() != html.ErrorToken {
		raw := bytes.Clone(in.Raw()) // reading the token overwrites it
		token := in.Token()
		if token.Type != html.StartTagToken || !f.tame(&token) {
			out.Write(raw)
		} else if token.DataAtom != 0 {
			out.WriteString(token.String())
		}
		if token.Type == html.StartTagToken && token.DataAtom == atom.Body {
			out.Write(f.note)
		}
	}
	return out.Bytes()
}

// tame changes what would lead out of the preview, or send something, and
// reports whether it has. A field that is hidden vanishes altogether.
func (f *frame) tame(t *html.Token) bool {
	drop := func(names ...string) {
		t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool { return slices.Contains(names, a.Key) })
	}
	set := func(name, value string) {
		drop(name)
		t.Attr = append(t.Attr, html.Attribute{Key: name, Val: value})
	}
	switch t.DataAtom {
	case atom.Form:
		set("method", "get")
		set("action", f.next)
		set("novalidate", "") // nobody has to make something up
	case atom.Input, atom.Select, atom.Textarea, atom.Button:
		if slices.Contains(t.Attr, html.Attribute{Key: "type", Val: "hidden"}) {
			t.DataAtom = 0
		}
		drop("name", "form", "formaction", "formmethod") // without a name nothing is sent
	case atom.A:
		drop("download", "target")
		set("href", f.next)
	default:
		return false
	}
	return true
}

// frame makes the one of a page.
func (p *Preview) frame(page previewPage, words *previewWords) (*frame, error) {
	name := func(at int) string {
		if at < 0 || at >= len(samples) {
			return "" // all of them
		}
		return samples[at].name
	}
	f := &frame{next: p.path(page, page.lang, name(page.at+1))}
	var links []previewLink
	for _, l := range previewSpoken {
		if l.Lang != page.lang {
			links = append(links, previewLink{p.path(page, l.Lang, name(page.at)), l.Name, l.Lang})
		}
	}
	var out bytes.Buffer
	err := previewTemplates.ExecuteTemplate(&out, "preview note", map[string]any{
		"Words": words, "Name": words.Pages[name(page.at)], "All": p.path(page, "", ""), "Next": f.next,
		"Before": p.path(page, page.lang, name(page.at-1)), "Languages": links,
	})
	f.note = out.Bytes()
	return f, err
}
