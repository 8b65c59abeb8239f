package openapi

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"countersign.dev/pkg/secret"
)

// The tags of a field that are read here, beside "in" and "json".
const (
	docTag      = "doc"      // one sentence for the reader of the document
	requiredTag = "required" // "true": a call without it is refused
)

const schemaPath = "#/components/schemas/"

var secretType = reflect.TypeFor[secret.Text]()

// builder collects what the operations refer to.
type builder struct {
	schemas   ordered[schema]
	owners    map[string]owner // what each name among the schemas stands for
	responses ordered[response]
}

// owner is a Go type in one of its roles.
type owner struct {
	role   string
	goType reflect.Type
}

func newBuilder() *builder {
	return &builder{owners: map[string]owner{errorName: {role: "shape of errors"}, oauthErrorName: {role: "shape of errors"}, envelopeName: {role: "shape of errors"}}}
}

// claim reserves a name for a type, and reports whether its schema has to be
// made.
func (b *builder) claim(name string, mine owner) (fresh bool, err error) {
	switch held, taken := b.owners[name]; {
	case !taken:
		b.owners[name] = mine
		b.schemas.at(name)
		return true, nil
	case held != mine:
		return false, fmt.Errorf("the %s %v and the %s %v would both be the schema %s: rename one", held.role, held.goType, mine.role, mine.goType, name)
	}
	return false, nil
}

// typeName turns the name of a Go type into that of a schema: userOut is User,
// list[userOut] is UserList.
func typeName(t reflect.Type) (name string) {
	for part := range strings.SplitSeq(strings.TrimRight(t.Name(), "]"), "[") {
		part = part[strings.LastIndexAny(part, "./")+1:] // arguments come with their package
		name = title(strings.TrimSuffix(part, "Out")) + name
	}
	return name
}

func title(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// output describes a type as encoding/json writes it.
func (b *builder) output(t reflect.Type) (schema, error) {
	if t.Implements(eitherType) {
		return b.either(reflect.Zero(t).Interface().(either))
	}
	switch t.Kind() {
	case reflect.String:
		return schema{Type: "string"}, nil
	case reflect.Bool:
		return schema{Type: "boolean"}, nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		return schema{Type: "integer"}, nil
	case reflect.Slice:
		items, err := b.output(t.Elem())
		return schema{Type: "array", Items: &items}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			break
		}
		values, err := b.output(t.Elem())
		return schema{Type: "object", Additional: &values}, err
	case reflect.Pointer:
		inner, err := b.output(t.Elem())
		return orNull(inner), err
	case reflect.Struct:
		if t.Name() == "" || t == secretType {
			break
		}
		return b.outputStruct(t)
	}
	return schema{}, fmt.Errorf("an answer holds a %s, which has no schema", t)
}

// either is a value that has one of several shapes; it gives one of each.
type either interface{ Either() []any }

var eitherType = reflect.TypeFor[either]()

func (b *builder) either(of either) (schema, error) {
	var out schema
	for _, shape := range of.Either() {
		one, err := b.output(reflect.TypeOf(shape))
		if err != nil {
			return schema{}, err
		}
		out.AnyOf = append(out.AnyOf, one)
	}
	return out, nil
}

func (b *builder) outputStruct(t reflect.Type) (schema, error) {
	name := typeName(t)
	ref := schema{Ref: schemaPath + name}
	fresh, err := b.claim(name, owner{"output", t})
	if err != nil || !fresh {
		return ref, err
	}
	object := schema{Type: "object"}
	for field := range t.Fields() {
		key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key == "-" {
			continue
		}
		if key == "" {
			return schema{}, fmt.Errorf("%s.%s has no json tag", t, field.Name)
		}
		fieldType := field.Type
		if options == "omitempty" || options == "omitzero" {
			if fieldType.Kind() == reflect.Pointer {
				fieldType = fieldType.Elem() // left out instead of null
			}
		} else {
			object.Required = append(object.Required, key)
		}
		value, err := b.output(fieldType)
		if err != nil {
			return schema{}, fmt.Errorf("%s: %w", field.Name, err)
		}
		value.Description = field.Tag.Get(docTag)
		*object.Properties.at(key) = value
	}
	*b.schemas.at(name) = object
	return ref, nil
}

func orNull(s schema) schema {
	if name, ok := s.Type.(string); ok {
		s.Type = []string{name, "null"}
		return s
	}
	return schema{AnyOf: []schema{s, {Type: "null"}}}
}
