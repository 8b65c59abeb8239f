package pages

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"path/filepath"
	"strings"
	"sync"

	"countersign.dev/services/api/internal/pipeline"
)

// Docs is the documentation that the service carries: the API's document at
// /docs/openapi.json, a page that shows it at /docs, and the error codes at
// /docs/errors, where the answers of faults link to. Everything comes from the
// program itself; the content policy of the pages refuses what does not.
type Docs struct {
	parts    *docsParts
	document func() (file, error)
}

// docsParts are the same for every service of a program.
type docsParts struct {
	page, errors file
	assets       []asset
}

type asset struct {
	name, path string // the path is below /docs
	file       file
}

// docsPolicy lets the pages load their own assets and the document, and run no
// inline script or style. Pictures in the style sheet are data.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; object-src 'none'; frame-ancestors 'none'"

var (
	//go:embed assets/*.gz assets/*.txt assets/docs.* assets/LICENSE assets/NOTICE
	assetFiles embed.FS
	//go:embed docs.html
	docsHTML string
	//go:embed errors.html
	errorsHTML string
	// The rows of docs/errors.md, which lies outside of this module; a test
	// compares them.
	//go:embed errors.json
	errorsJSON []byte
)

// docsPages are the pages of docs.html and errors.html.
var docsPages = template.Must(template.Must(template.New("docs").Funcs(template.FuncMap{"parts": parts}).Parse(docsHTML)).New("errors").Parse(errorsHTML))

const (
	textHTML  = "text/html; charset=utf-8"
	textCSS   = "text/css; charset=utf-8"
	textJS    = "text/javascript; charset=utf-8"
	textPlain = "text/plain; charset=utf-8"
)

// stored are the files below /docs/assets, where their names hold a digest of
// what is there: browsers keep them, as they do the files of all pages. What ends
// in .gz is stored compressed and served without that ending.
var stored = []struct{ name, mediaType string }{
	{"docs.css", textCSS},
	{"docs.js", textJS},
	{"swagger-ui.css.gz", textCSS},
	{"swagger-ui-bundle.js.gz", textJS},
	{"swagger-ui-bundle.js.LICENSE.txt", textPlain},
	{"LICENSE", textPlain},
	{"NOTICE", textPlain},
}

// NewDocs prepares the pages of a document, which is JSON. It is made when it is
// first asked for, and once: few who start a service read it.
func NewDocs(document func() ([]byte, error)) (*Docs, error) {
	parts, err := prepared()
	if err != nil {
		return nil, err
	}
	return &Docs{parts: parts, document: sync.OnceValues(func() (file, error) {
		plain, err := document()
		if err != nil {
			return file{}, fmt.Errorf("describe the API: %w", err)
		}
		return file{"application/json; charset=utf-8", compress(plain), ""}, nil
	})}, nil
}

var prepared = sync.OnceValues(func() (*docsParts, error) {
	d := &docsParts{}
	for _, s := range stored {
		raw, err := assetFiles.ReadFile("assets/" + s.name)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		name, compressed := strings.CutSuffix(s.name, ".gz")
		ending := filepath.Ext(name)
		path := hashed(strings.TrimSuffix(name, ending), ending, raw)
		if !compressed {
			raw = compress(raw)
		}
		d.assets = append(d.assets, asset{name, path, file{s.mediaType, raw, ""}})
	}
	var codes []errorCode
	if err := json.Unmarshal(errorsJSON, &codes); err != nil {
		return nil, fmt.Errorf("read the error codes: %w", err)
	}
	var err error
	if d.page, err = d.render("docs", nil); err != nil {
		return nil, err
	}
	d.errors, err = d.render("errors", codes)
	return d, err
})

// render makes a page. Its links to assets are relative to /docs/, for which a
// browser takes a page there, and one at /docs says so.
func (d *docsParts) render(name string, codes []errorCode) (file, error) {
	paths := map[string]string{}
	for _, a := range d.assets {
		paths[a.name] = strings.TrimPrefix(a.path, "/")
	}
	var page bytes.Buffer
	if err := docsPages.ExecuteTemplate(&page, name, map[string]any{"Assets": paths, "Codes": codes}); err != nil {
		return file{}, fmt.Errorf("render the documentation: %w", err)
	}
	return file{textHTML, compress(page.Bytes()), docsPolicy}, nil
}

// Routes is the table of these pages.
func (d *Docs) Routes() []pipeline.Route {
	document := file{}.route("/docs/openapi.json", "Get the OpenAPI document of the API")
	document.Handler = pipeline.Handle(func(context.Context, pipeline.Call, pipeline.Nothing) (file, error) { return d.document() })
	routes := []pipeline.Route{
		d.parts.page.route("/docs", "Show the documentation of the API"), document,
		d.parts.errors.route("/docs/errors", "Explain the codes of errors"),
	}
	for _, a := range d.parts.assets {
		route := a.file.route("/docs"+a.path, "Get a part of the documentation")
		route.CacheFor = aYear
		routes = append(routes, route)
	}
	return routes
}

// errorCode is one row of the list of errors.
type errorCode struct {
	Code    string `json:"code"`
	Status  string `json:"status"`
	Meaning string `json:"meaning"`
	Remedy  string `json:"remedy"`
}

// part is a piece of a sentence; code is what stood in backticks.
type part struct {
	Text string
	Code bool
}

func parts(text string) []part {
	var out []part
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			out = append(out, part{Text: piece, Code: i%2 == 1})
		}
	}
	return out
}
