package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"countersign.dev/services/api/internal/openapi"
	"countersign.dev/services/api/internal/pipeline"
)

// Everything that these tests send and get is held to the OpenAPI document:
// every answer must have a status, headers and a body that its operation
// declares, and every request that succeeded must be one that it describes.

// holdToDocument complains of what the document does not say.
func (h *house) holdToDocument(req *http.Request, r *reply) {
	h.t.Helper()
	published.once.Do(func() { published.doc, published.err = readDocument(h.service.Routes()) })
	if published.err != nil {
		h.t.Fatal(published.err)
	}
	for _, complaint := range published.doc.complaints(req, r, h.service.Routes()) {
		h.t.Errorf("%s: status %d: the OpenAPI document: %s: %s", r.what, r.status, complaint, r.raw)
	}
}

// published is the document that all houses share: their routes are the same
// but for pages, which stand in no document.
var published struct {
	once sync.Once
	doc  *apiDocument
	err  error
}

// apiDocument is an OpenAPI document that can be asked.
type apiDocument struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

const documentName = "openapi.json"

func readDocument(routes []pipeline.Route) (*apiDocument, error) {
	text, err := openapi.Document(routes, openapi.Info{Version: "test"})
	if err != nil {
		return nil, err
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &apiDocument{root: decoded.(map[string]any), compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	schemas, _ := d.get([]string{"components", "schemas"}).(map[string]any)
	for name, schema := range schemas {
		if !strings.HasSuffix(name, "Input") {
			closeObjects(schema)
		}
	}
	return d, d.compiler.AddResource(documentName, d.root)
}

// closeObjects refuses fields that an answer does not declare. Clients must not
// do so, since fields are added; but we want to hear of one that nobody sees.
func closeObjects(schema any) {
	object, ok := schema.(map[string]any)
	if !ok {
		return
	}
	properties, ok := object["properties"].(map[string]any)
	if !ok {
		return
	}
	object["additionalProperties"] = false
	for _, property := range properties {
		closeObjects(property)
	}
}

// get follows names and indexes from the root; nil is nothing.
func (d *apiDocument) get(path []string) any {
	var here any = d.root
	for _, step := range path {
		switch of := here.(type) {
		case map[string]any:
			here = of[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(of) {
				return nil
			}
			here = of[i]
		default:
			return nil
		}
	}
	return here
}

// at is get for objects, and follows references. It returns where they lead.
func (d *apiDocument) at(path ...string) ([]string, map[string]any) {
	found, _ := d.get(path).(map[string]any)
	if ref, ok := found["$ref"].(string); ok {
		return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return path, found
}

// below is a path with more steps.
func below(path []string, steps ...string) []string { return slices.Concat(path, steps) }

// validate holds a value to the schema at a path.
func (d *apiDocument) validate(value any, path []string) error {
	var pointer strings.Builder
	for _, step := range path {
		step = strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
		pointer.WriteString("/" + url.PathEscape(step))
	}
	schema, err := d.compile(documentName + "#" + pointer.String())
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *apiDocument) compile(location string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if schema := d.compiled[location]; schema != nil {
		return schema, nil
	}
	schema, err := d.compiler.Compile(location)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", location, err)
	}
	d.compiled[location] = schema
	return schema, nil
}

// template is the path of the document that a path matches, the most literal
// one if there are several.
func (d *apiDocument) template(path string) string {
	best, most := "", -1
	paths, _ := d.root["paths"].(map[string]any)
	for template := range paths {
		if literal, ok := matches(template, path); ok && literal > most {
			best, most = template, literal
		}
	}
	return best
}

// matches counts the literal steps that a path shares with a template.
func matches(template, path string) (literal int, ok bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return 0, false
	}
	for i, step := range want {
		switch {
		case step == have[i]:
			literal++
		case !strings.HasPrefix(step, "{") || have[i] == "":
			return 0, false
		}
	}
	return literal, true
}

func (d *apiDocument) complaints(req *http.Request, r *reply, routes []pipeline.Route) []string {
	path := req.URL.EscapedPath()
	operation := []string{"paths", d.template(path), strings.ToLower(req.Method)}
	if d.get(operation) == nil || req.Method != strings.ToUpper(req.Method) { // get is another method than GET
		page := slices.ContainsFunc(routes, func(route pipeline.Route) bool {
			_, same := matches(route.Path, path)
			return route.Write != nil && same && (route.Method == req.Method || route.Page && req.Method == http.MethodHead)
		})
		return d.elsewhere(req, r, page)
	}
	where, response := d.at(below(operation, "responses", strconv.Itoa(r.status))...)
	if response == nil {
		return []string{"the operation does not declare that status"}
	}
	found := d.headers(r, where)
	if err := d.answer(r, below(where, "content")); err != nil {
		found = append(found, err.Error())
	}
	if r.status < http.StatusMultipleChoices {
		found = append(found, d.request(req, operation)...)
	}
	return found
}

// elsewhere is for what stands in no document: pages, and what is not there.
func (d *apiDocument) elsewhere(req *http.Request, r *reply, page bool) (found []string) {
	if page && r.status < http.StatusBadRequest {
		return nil
	}
	if !page && r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed {
		found = append(found, "there is no such operation, so the answer must be 404 or 405")
	}
	text := r.raw
	if page {
		text = r.errorText()
	}
	if req.Method != http.MethodHead {
		shape := "Error"
		if r.body["success"] == false { // of the verification flow
			shape = "EnvelopeError"
		}
		if err := d.validateText(text, []string{"components", "schemas", shape}); err != nil {
			found = append(found, err.Error())
		}
	}
	return found
}

// headers looks for those that the answer must have.
func (d *apiDocument) headers(r *reply, where []string) (found []string) {
	declared, _ := d.get(below(where, "headers")).(map[string]any)
	for name := range declared {
		path, header := d.at(below(where, "headers", name)...)
		if n := len(r.header.Values(name)); n != 1 && header["required"] == true {
			found = append(found, fmt.Sprintf("the header %s is there %d times", name, n))
			continue
		}
		if err := d.validate(r.header.Get(name), below(path, "schema")); err != nil {
			found = append(found, fmt.Sprintf("the header %s: %v", name, err))
		}
	}
	return found
}

func (d *apiDocument) answer(r *reply, content []string) error {
	if d.get(content) == nil && r.raw == "" {
		return nil
	}
	mediaType, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if d.get(below(content, mediaType)) == nil {
		return fmt.Errorf("the content type %q is not declared", mediaType)
	}
	return d.validateText(r.raw, below(content, mediaType, "schema"))
}

func (d *apiDocument) validateText(text string, path []string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return d.validate(value, path)
}
