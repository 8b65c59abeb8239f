// Package openapi makes the OpenAPI 3.1 document of the API from the route
// table and the Go types of its handlers. Only the few texts that hold for
// every route are written by hand.
//
// The wiring calls it once, at the start; the pages serve the result,
// docs/api/openapi.json is a copy of it, and the tests of the api hold every
// request and every answer of theirs to it. It knows routes and types, never a
// request.
//
// The schemas come from a small reflector of our own instead of the registry
// of huma. That one reads json tags alone, where our inputs have the tag "in"
// with several names and paths for one value; it lets every list be null,
// where ours never are, and no pointer to a struct, where some of ours are. To
// correct its schemas would take more code than making them.
package openapi

import (
	_ "embed"
	"fmt"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
)

// Info is what the document says of the service.
type Info struct {
	Version string
}

//go:embed about.md
var about string

// Document returns the OpenAPI document of these routes as indented JSON, in
// the order of the table. Routes with a Write of their own render pages and
// stand in no document. It is an error when two types would have one name, when
// a type cannot be described, and when a path has a parameter that this
// package has no words for.
func Document(routes []pipeline.Route, from Info) ([]byte, error) {
	doc := document{
		OpenAPI: "3.1.0",
		Info: info{
			Title: "Countersign", Version: from.Version, Description: strings.TrimSpace(about),
			License: license{Name: "Apache-2.0"},
		},
		Servers: []server{{URL: "/"}},
	}
	b := newBuilder()
	for _, route := range routes {
		if route.Write != nil && !route.AnswersToo {
			continue
		}
		op, err := b.operation(route)
		if err != nil {
			return nil, fmt.Errorf("describe %s %s: %w", route.Method, route.Path, err)
		}
		*doc.Paths.at(route.Path).at(strings.ToLower(route.Method)) = op
	}
	doc.Components = b.components()
	return encode(doc)
}
