package input

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

// Tag names the parameter of a struct field: in:"email|profile.email" takes
// either name, in:"profile" on a struct takes the names inside it.
const Tag = "in"

// Decode fills the struct that into points to. Fields are texts, secrets,
// booleans, ints, pointers to them ("not given" is nil), lists of texts and
// structs. With strict set, a parameter that no field takes is refused.
func (v *Values) Decode(into any, strict bool) error {
	d := decoder{quoted: v.quoted, taken: map[string]bool{}}
	if err := d.fill(reflect.ValueOf(into).Elem(), v.tree, ""); err != nil {
		return err
	}
	if !strict {
		return nil
	}
	names := make([]string, 0, len(v.tree))
	for name := range v.tree {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !d.taken[name] {
			return fault.Newf(fault.Malformed, "unknown_parameter", "%s is not a parameter of this call", printable(name))
		}
	}
	return nil
}

type decoder struct {
	quoted bool
	taken  map[string]bool
}

var secretType = reflect.TypeFor[secret.Text]()

func (d *decoder) fill(target reflect.Value, tree map[string]any, prefix string) error {
	for i := range target.NumField() {
		tag := target.Type().Field(i).Tag.Get(Tag)
		if tag == "" {
			continue
		}
		field := target.Field(i)
		if field.Kind() == reflect.Struct && field.Type() != secretType {
			if err := d.fillStruct(field, tree, prefix, tag); err != nil {
				return err
			}
			continue
		}
		name, value, err := d.find(tree, prefix, tag)
		if err != nil {
			return err
		}
		if value == nil {
			continue // not given, or null
		}
		if err := d.set(field, name, value); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) fillStruct(field reflect.Value, tree map[string]any, prefix, name string) error {
	value, given := tree[name]
	d.take(prefix, name)
	if !given || value == nil {
		return nil
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return wrongType(name, "a map, such as "+name+"[name]=value")
	}
	return d.fill(field, inner, name)
}

// find looks a value up under each of its names. Two names with different
// values contradict each other.
func (d *decoder) find(tree map[string]any, prefix, tag string) (name string, value any, err error) {
	for candidate := range strings.SplitSeq(tag, "|") {
		path := strings.Split(candidate, ".")
		d.take(prefix, path[0])
		found, ok := lookup(tree, path)
		if !ok || found == nil {
			continue
		}
		shown := full(prefix, path)
		if value != nil && !reflect.DeepEqual(value, found) {
			return "", nil, fault.Newf(fault.Invalid, "invalid_parameter", "%s and %s contradict each other; send one of them", name, shown)
		}
		name, value = shown, found
	}
	return name, value, nil
}

func (d *decoder) take(prefix, name string) {
	if prefix == "" {
		d.taken[name] = true
	}
}

func lookup(tree map[string]any, path []string) (any, bool) {
	value, ok := tree[path[0]]
	if !ok || len(path) == 1 {
		return value, ok
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil, false
	}
	return lookup(inner, path[1:])
}

func full(prefix string, path []string) string {
	if prefix != "" {
		path = append([]string{prefix}, path...)
	}
	shown := path[0]
	for _, step := range path[1:] {
		shown += "[" + step + "]"
	}
	return shown
}

func (d *decoder) set(field reflect.Value, name string, value any) error {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		return d.set(field.Elem(), name, value)
	}
	switch {
	case field.Type() == secretType:
		text, ok := value.(string)
		if !ok || !utf8.ValidString(text) {
			// A code sent as a number has lost its leading zeros already.
			return fault.Newf(fault.Malformed, "malformed_parameter", "%s must be sent as text", name)
		}
		field.Set(reflect.ValueOf(secret.New(text)))
	case field.Kind() == reflect.String:
		text, err := d.text(name, value)
		if err != nil {
			return err
		}
		field.SetString(text)
	case field.Kind() == reflect.Bool:
		return d.setBool(field, name, value)
	case field.Kind() == reflect.Int:
		return d.setInt(field, name, value)
	case field.Kind() == reflect.Slice:
		return d.setList(field, name, value)
	default:
		panic("input: a field of kind " + field.Kind().String() + " cannot be decoded")
	}
	return nil
}

func (d *decoder) text(name string, value any) (string, error) {
	text, ok := value.(string)
	if !ok || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", wrongType(name, "a text")
	}
	if d.quoted && len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		text = text[1 : len(text)-1]
	}
	return text, nil
}

func (d *decoder) setBool(field reflect.Value, name string, value any) error {
	if flag, ok := value.(bool); ok {
		field.SetBool(flag)
		return nil
	}
	text, err := d.text(name, value)
	if err == nil {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "1", "yes", "on":
			field.SetBool(true)
			return nil
		case "false", "0", "no", "off":
			field.SetBool(false)
			return nil
		}
	}
	return wrongType(name, "true or false")
}

func (d *decoder) setInt(field reflect.Value, name string, value any) error {
	text := ""
	if number, ok := value.(json.Number); ok {
		text = number.String()
	} else if given, err := d.text(name, value); err == nil {
		text = strings.TrimSpace(given)
	}
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return wrongType(name, "a whole number")
	}
	field.SetInt(number)
	return nil
}

func (d *decoder) setList(field reflect.Value, name string, value any) error {
	items, ok := value.([]any)
	if !ok {
		items = []any{value} // one value without brackets is a list of one
	}
	list := make([]string, len(items))
	for i, item := range items {
		text, err := d.text(name, item)
		if err != nil {
			return wrongType(name, "a list of texts")
		}
		list[i] = text
	}
	field.Set(reflect.ValueOf(list))
	return nil
}

func wrongType(name, want string) error {
	return fault.Newf(fault.Invalid, "invalid_parameter", "%s must be %s", name, want)
}

// printable keeps a caller's own words short and harmless in an answer.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	return name[:min(len(name), 64)]
}
