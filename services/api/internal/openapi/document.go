package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The parts of OpenAPI 3.1 that the document uses.

type document struct {
	OpenAPI    string                      `json:"openapi"`
	Info       info                        `json:"info"`
	Servers    []server                    `json:"servers"`
	Paths      ordered[ordered[operation]] `json:"paths"`
	Components components                  `json:"components"`
}

type info struct {
	Title       string  `json:"title"`
	Version     string  `json:"version"`
	Description string  `json:"description"`
	License     license `json:"license"`
}

type license struct {
	Name string `json:"name"`
}

type server struct {
	URL string `json:"url"`
}

type components struct {
	SecuritySchemes ordered[securityScheme] `json:"securitySchemes"`
	Parameters      ordered[parameter]      `json:"parameters"`
	Headers         ordered[header]         `json:"headers"`
	Responses       ordered[response]       `json:"responses"`
	Schemas         ordered[schema]         `json:"schemas"`
}

type securityScheme struct {
	Type         string `json:"type"`
	Scheme       string `json:"scheme"`
	BearerFormat string `json:"bearerFormat"`
	Description  string `json:"description"`
}

type operation struct {
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description,omitempty"`
	OperationID string                `json:"operationId"`
	Scope       string                `json:"x-scope,omitempty"`
	Security    []map[string][]string `json:"security"`
	Parameters  []parameter           `json:"parameters,omitempty"`
	RequestBody *requestBody          `json:"requestBody,omitempty"`
	Responses   ordered[response]     `json:"responses"`
}

type parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Style       string  `json:"style,omitempty"`
	Explode     bool    `json:"explode,omitempty"`
	Schema      *schema `json:"schema,omitempty"`
}

type requestBody struct {
	Content ordered[media] `json:"content"`
}

type media struct {
	Schema   schema            `json:"schema"`
	Encoding ordered[encoding] `json:"encoding,omitempty"`
}

// encoding says how a field of a form is written.
type encoding struct {
	Style   string `json:"style"`
	Explode bool   `json:"explode"`
}

type response struct {
	Ref         string          `json:"$ref,omitempty"`
	Description string          `json:"description,omitempty"`
	Headers     ordered[header] `json:"headers,omitempty"`
	Content     ordered[media]  `json:"content,omitempty"`
}

type header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *schema `json:"schema,omitempty"`
}

// schema is a JSON Schema. Type is one name, or a list of names that ends with
// null.
type schema struct {
	Ref         string          `json:"$ref,omitempty"`
	Type        any             `json:"type,omitempty"`
	AnyOf       []schema        `json:"anyOf,omitempty"`
	Description string          `json:"description,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	Items       *schema         `json:"items,omitempty"`
	Properties  ordered[schema] `json:"properties,omitempty"`
	Required    []string        `json:"required,omitempty"`
	Additional  any             `json:"additionalProperties,omitempty"`
}

// ordered is a JSON object whose names keep the order in which they came: a
// reader sees the routes and the fields as the code declares them.
type ordered[T any] []*entry[T]

type entry[T any] struct {
	name  string
	value T
}

func (o ordered[T]) find(name string) *T {
	for _, e := range o {
		if e.name == name {
			return &e.value
		}
	}
	return nil
}

// at returns the value of a name, adding an empty one where there is none.
func (o *ordered[T]) at(name string) *T {
	if found := o.find(name); found != nil {
		return found
	}
	added := &entry[T]{name: name}
	*o = append(*o, added)
	return &added.value
}

// MarshalJSON writes the entries in their order.
func (o ordered[T]) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, e := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		value, err := encode(e.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%q:%s", e.name, value) // names are plain ASCII
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return out.Bytes(), nil
}
