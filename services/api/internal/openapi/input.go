package openapi

import (
	"fmt"
	"reflect"
	"strings"

	"countersign.dev/services/api/internal/input"
)

// inputObject describes the parameters of a struct as package input decodes
// them: every name of every alternative, each where its dots put it.
func inputObject(t reflect.Type, strict bool) (schema, error) {
	object := schema{Type: "object"}
	if strict {
		object.Additional = false
	}
	return object, fillObject(&object, t)
}

func fillObject(object *schema, t reflect.Type) error {
	for field := range t.Fields() {
		names := field.Tag.Get(input.Tag)
		if names == "" {
			continue
		}
		if field.Type.Kind() == reflect.Struct && field.Type != secretType {
			nested := inner(object, names)
			nested.Description = field.Tag.Get(docTag)
			if err := fillObject(nested, field.Type); err != nil {
				return err
			}
			continue
		}
		if err := fillField(object, field, strings.Split(names, "|")); err != nil {
			return fmt.Errorf("%s.%s: %w", t, field.Name, err)
		}
	}
	return nil
}

// fillField adds a value under each of its names.
func fillField(object *schema, field reflect.StructField, names []string) error {
	value, err := inputValue(field.Type)
	if err != nil {
		return err
	}
	for i, name := range names {
		path := strings.Split(name, ".")
		place := object
		for _, step := range path[:len(path)-1] {
			place = inner(place, step)
		}
		last := path[len(path)-1]
		if place.Properties.find(last) != nil {
			return fmt.Errorf("the parameter %s is declared twice", name)
		}
		named := value
		named.Description = field.Tag.Get(docTag)
		if i > 0 {
			named.Description = "Another name of `" + names[0] + "`."
		}
		*place.Properties.at(last) = named
	}
	if field.Tag.Get(requiredTag) == "true" {
		if len(names) > 1 {
			return fmt.Errorf("a parameter with several names cannot be required")
		}
		object.Required = append(object.Required, names[0])
	}
	return nil
}

// inner is the object of that name inside another. A client may send back what
// it got, where such an object can be null.
func inner(object *schema, name string) *schema {
	found := object.Properties.at(name)
	found.Type = []string{"object", "null"}
	return found
}

// inputValue describes one value. What is a pointer may be left out, and null
// leaves it out as well.
func inputValue(t reflect.Type) (schema, error) {
	if t.Kind() == reflect.Pointer {
		value, err := inputValue(t.Elem())
		return orNull(value), err
	}
	switch {
	case t == secretType || t.Kind() == reflect.String:
		return schema{Type: "string"}, nil
	case t.Kind() == reflect.Bool:
		return schema{Type: "boolean"}, nil
	case t.Kind() == reflect.Int:
		return schema{Type: "integer"}, nil
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return schema{Type: "array", Items: &schema{Type: "string"}}, nil
	}
	return schema{}, fmt.Errorf("a parameter of type %s has no schema", t)
}

// isType reports whether a schema is of a type, nullable or not.
func (s schema) isType(name string) bool {
	switch of := s.Type.(type) {
	case string:
		return of == name
	case []string:
		return of[0] == name
	}
	return false
}

// queryParameters describes the same parameters where they stand in a query.
func queryParameters(t reflect.Type) ([]parameter, error) {
	object, err := inputObject(t, false)
	if err != nil {
		return nil, err
	}
	var out []parameter
	for _, property := range object.Properties {
		value := property.value
		p := parameter{Name: property.name, In: "query", Description: value.Description, Schema: &value}
		switch {
		case value.isType("array"):
			p.Name += "[]"
		case value.isType("object"):
			p.Style, p.Explode = "deepObject", true
		}
		value.Description = ""
		for _, name := range object.Required {
			p.Required = p.Required || name == property.name
		}
		out = append(out, p)
	}
	return out, nil
}
