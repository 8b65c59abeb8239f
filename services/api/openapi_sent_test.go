package api_test

import (
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The half of the check that looks at requests. It reads them anew instead of
// asking package input, which is what it checks.

const jsonMedia = "application/json"

// request looks at one that succeeded.
func (d *apiDocument) request(req *http.Request, operation []string) (found []string) {
	sent, mediaType, err := readSent(req)
	if err != nil {
		return []string{"the request cannot be read: " + err.Error()}
	}
	complain := func(what string, value any, path []string) {
		if err := d.validate(d.plain(value, path), path); err != nil {
			found = append(found, fmt.Sprintf("%s: %v", what, err))
		}
	}
	parameters, _ := d.get(below(operation, "parameters")).([]any)
	for i := range parameters {
		path, declared := d.at(below(operation, "parameters", strconv.Itoa(i))...)
		name, _ := declared["name"].(string)
		value := sent[strings.TrimSuffix(name, "[]")]
		switch declared["in"] {
		case "path":
			continue
		case "header":
			value = nil
			if header := req.Header.Get(name); header != "" {
				value = header
			}
		}
		if value != nil {
			complain("the parameter "+name, value, below(path, "schema"))
		}
	}
	content := below(operation, "requestBody", "content")
	switch {
	case d.get(content) == nil:
	case d.get(below(content, mediaType)) == nil:
		found = append(found, fmt.Sprintf("the content type %q of the request is not declared", mediaType))
	default:
		complain("the request", sent, below(content, mediaType, "schema"))
	}
	return found
}

// readSent returns what a request says, in body and query together, and in
// which form.
func readSent(req *http.Request) (sent map[string]any, mediaType string, err error) {
	sent = map[string]any{}
	unfold(sent, req.URL.Query())
	mediaType, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		mediaType = jsonMedia // nothing said: only a query, or JSON
	}
	if req.GetBody == nil {
		return sent, mediaType, nil
	}
	reader, err := req.GetBody()
	if err != nil {
		return nil, "", err
	}
	raw, err := io.ReadAll(reader)
	if err != nil {
		return nil, "", err
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(text, "{"): // also where it is labelled as a form
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return nil, "", err
		}
		maps.Copy(sent, value.(map[string]any))
		return sent, jsonMedia, nil
	case mediaType == "multipart/form-data":
		form, err := multipart.NewReader(strings.NewReader(string(raw)), params["boundary"]).ReadForm(1 << 20)
		if err != nil {
			return nil, "", err
		}
		unfold(sent, form.Value)
		return sent, mediaType, nil
	}
	form, err := url.ParseQuery(text)
	unfold(sent, form)
	return sent, mediaType, err
}

// unfold gives bracketed names their structure.
func unfold(tree map[string]any, form url.Values) {
	for name, values := range form {
		plain, list := strings.CutSuffix(name, "[]")
		steps := strings.Split(strings.ReplaceAll(plain, "]", ""), "[")
		at := tree
		for _, step := range steps[:len(steps)-1] {
			next, ok := at[step].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[step] = next
			}
			at = next
		}
		var value any = values[0]
		if list {
			items := []any{}
			for _, item := range values {
				items = append(items, item)
			}
			value = items
		}
		at[steps[len(steps)-1]] = value
	}
}

var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+$`)

// plain takes from a value what the document says may be around it: a number,
// a boolean or a list of one that is sent as text, and a form's pair of quotes.
func (d *apiDocument) plain(value any, path []string) any {
	path, schema := d.at(path...)
	is := func(name string) bool {
		names, several := schema["type"].([]any)
		return schema["type"] == name || several && slices.Contains(names, any(name))
	}
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range value {
			out[name] = d.plain(inner, below(path, "properties", name))
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, item := range value {
			out[i] = d.plain(item, below(path, "items"))
		}
		return out
	case string:
		text := strings.TrimSpace(value)
		if len(text) > 1 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
			text = text[1 : len(text)-1]
		}
		switch {
		case is("array"):
			return []any{value}
		case is("integer") && wholeNumber.MatchString(text):
			number, _ := strconv.Atoi(text)
			return number
		case is("boolean") && slices.Contains([]string{"true", "1", "yes", "on"}, strings.ToLower(text)):
			return true
		case is("boolean") && slices.Contains([]string{"false", "0", "no", "off"}, strings.ToLower(text)):
			return false
		}
	}
	return value
}
