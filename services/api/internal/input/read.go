// Package input gives every request body one meaning.
//
// The contract's clients send forms with bracketed names, multipart forms,
// JSON (sometimes labelled as a form) and query strings. [Read] turns each
// into the same tree, and [Values.Decode] fills a typed struct from it. What
// is ambiguous (a name given twice, in one body or in body and query) is
// refused before any handler sees it.
//
// It is called by the pipeline alone.
package input

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

// Bounds of one request's input.
const (
	maxNames = 200
	maxDepth = 16
)

// Values is the tree of a request's parameters: texts, numbers, booleans,
// lists and maps, as JSON knows them.
type Values struct {
	tree   map[string]any
	quoted bool // came from a form, where one pair of quotes around a value is tolerated
}

// Buffer reads the body into memory, where [Read] finds it again, and returns
// it: a digest of it tells one request from another. The pipeline has bounded
// its size.
func Buffer(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, web.BodyFault(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return raw, nil
}

// Texts returns the top-level parameters that are plain texts, as they came.
func (v *Values) Texts() map[string]string {
	texts := make(map[string]string, len(v.tree))
	for name, value := range v.tree {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// What can be wrong with a body as a whole.
var (
	errUnsupported = fault.New(fault.Unsupported, "unsupported_media_type", "the content type is not accepted; send application/x-www-form-urlencoded, multipart/form-data or application/json")
	errMalformed   = fault.New(fault.Malformed, "malformed_body", "the body cannot be parsed as what its content type says")
	errTooMany     = fault.New(fault.Malformed, "malformed_body", "the request has too many or too deeply nested parameters")
)

func errDuplicate(name string) error {
	return fault.Newf(fault.Malformed, "duplicate_parameter", "%s is given more than once; send it once, in the body or in the query", printable(name))
}

// Read reads the query and, where there is one, the body of r, whose size the
// pipeline has bounded.
func Read(r *http.Request) (*Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errMalformed.Because(err)
	}
	values := &Values{tree: map[string]any{}, quoted: true}
	if err := values.addForm(query); err != nil {
		return nil, err
	}
	if r.Body == nil || r.Body == http.NoBody {
		return values, nil
	}
	body, quoted, err := readBody(r)
	if err != nil {
		return nil, err
	}
	for name, value := range body {
		if _, twice := values.tree[name]; twice {
			return nil, errDuplicate(name)
		}
		values.tree[name] = value
	}
	values.quoted = quoted
	return values, nil
}

// readBody returns the body's tree and whether it is a form.
func readBody(r *http.Request) (map[string]any, bool, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return nil, false, errUnsupported
	}
	switch mediaType {
	case "multipart/form-data":
		form, err := readMultipart(r.Body, params["boundary"])
		if err != nil {
			return nil, false, err
		}
		tree, err := formTree(form)
		return tree, true, err
	case "application/x-www-form-urlencoded", "application/json", "":
	default:
		return nil, false, errUnsupported
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false, web.BodyFault(err)
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "":
		return nil, true, nil
	case mediaType == "application/json" || strings.HasPrefix(text, "{"):
		// curl -d '{...}' labels JSON as a form.
		tree, err := parseJSON(text)
		return tree, false, err
	case mediaType == "":
		return nil, false, errUnsupported
	}
	form, err := url.ParseQuery(text)
	if err != nil {
		return nil, false, errMalformed.Because(err)
	}
	tree, err := formTree(form)
	return tree, true, err
}

func readMultipart(body io.Reader, boundary string) (url.Values, error) {
	if boundary == "" {
		return nil, errMalformed
	}
	form := url.Values{}
	reader := multipart.NewReader(body, boundary)
	for range maxNames + 1 {
		part, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it is an end before the closing boundary
			return form, nil
		}
		if err != nil {
			return nil, web.BodyFault(err)
		}
		if part.FormName() == "" || part.FileName() != "" {
			return nil, fault.New(fault.Malformed, "malformed_body", "the form must hold named fields and no files")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, web.BodyFault(err)
		}
		form.Add(part.FormName(), string(value))
	}
	return nil, errTooMany
}
