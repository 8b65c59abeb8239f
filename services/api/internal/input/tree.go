package input

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"strings"
	"unicode/utf8"
)

func (v *Values) addForm(form url.Values) error {
	tree, err := formTree(form)
	if err != nil {
		return err
	}
	maps.Copy(v.tree, tree)
	return nil
}

// formTree gives bracketed names their structure: profile[email]=x is a map,
// domains[]=x a list.
func formTree(form url.Values) (map[string]any, error) {
	if len(form) > maxNames {
		return nil, errTooMany
	}
	tree := map[string]any{}
	for name, values := range form {
		if !utf8.ValidString(name) {
			return nil, errMalformed
		}
		path, list, err := splitName(name)
		if err != nil {
			return nil, err
		}
		if !list && len(values) > 1 {
			return nil, errDuplicate(name)
		}
		var value any = values[0]
		if list {
			items := make([]any, len(values))
			for i, item := range values {
				items[i] = item
			}
			value = items
		}
		if err := place(tree, name, path, value); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

// splitName reads a[b][c] as its path, and a trailing [] as "list".
func splitName(name string) (path []string, list bool, err error) {
	head, rest, bracketed := strings.Cut(name, "[")
	path = []string{head}
	for bracketed {
		inner, after, closed := strings.Cut(rest, "]")
		if !closed || head == "" {
			return nil, false, errMalformed
		}
		if inner == "" {
			if after != "" {
				return nil, false, errMalformed
			}
			return path, true, nil
		}
		path = append(path, inner)
		if len(path) > maxDepth {
			return nil, false, errTooMany
		}
		if after == "" {
			return path, false, nil
		}
		if !strings.HasPrefix(after, "[") {
			return nil, false, errMalformed
		}
		rest = after[1:]
	}
	return path, false, nil
}

func place(tree map[string]any, name string, path []string, value any) error {
	for _, step := range path[:len(path)-1] {
		next, ok := tree[step]
		if !ok {
			next = map[string]any{}
			tree[step] = next
		}
		inner, ok := next.(map[string]any)
		if !ok {
			return errDuplicate(name)
		}
		tree = inner
	}
	last := path[len(path)-1]
	if _, twice := tree[last]; twice {
		return errDuplicate(name)
	}
	tree[last] = value
	return nil
}

// parseJSON reads one object and refuses what encoding/json would let pass:
// names given twice, trailing data, deep nesting, invalid UTF-8.
func parseJSON(text string) (map[string]any, error) {
	if !utf8.ValidString(text) {
		return nil, errMalformed
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	names := 0
	value, err := readValue(decoder, 0, &names)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errMalformed
	}
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, errMalformed
	}
	return tree, nil
}

func readValue(decoder *json.Decoder, depth int, names *int) (any, error) {
	if depth > maxDepth {
		return nil, errTooMany
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, errMalformed.Because(err)
	}
	switch token {
	case json.Delim('{'):
		return readObject(decoder, depth, names)
	case json.Delim('['):
		return readArray(decoder, depth, names)
	default:
		return token, nil
	}
}

func readObject(decoder *json.Decoder, depth int, names *int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, errMalformed.Because(err)
		}
		name, _ := token.(string) // the decoder lets only strings be names
		if *names++; *names > maxNames {
			return nil, errTooMany
		}
		if _, twice := object[name]; twice {
			return nil, errDuplicate(name)
		}
		if object[name], err = readValue(decoder, depth+1, names); err != nil {
			return nil, err
		}
	}
	return object, closeBracket(decoder)
}

func readArray(decoder *json.Decoder, depth int, names *int) (any, error) {
	array := []any{}
	for decoder.More() {
		if *names++; *names > maxNames {
			return nil, errTooMany
		}
		value, err := readValue(decoder, depth+1, names)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closeBracket(decoder)
}

func closeBracket(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errMalformed.Because(err)
	}
	return nil
}
