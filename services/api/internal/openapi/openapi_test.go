package openapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/openapi"
	"countersign.dev/services/api/internal/pipeline"
)

// answer does nothing: a document is made of types alone.
func answer[In, Out any]() pipeline.Handler {
	return pipeline.Handle(func(context.Context, pipeline.Call, In) (out Out, err error) { return out, nil })
}

type thingIn struct {
	Name   string      `in:"name" required:"true" doc:"What it is called."`
	Email  *string     `in:"email|profile.email" doc:"Where it lives."`
	Tags   []string    `in:"tags"`
	Secret secret.Text `in:"secret"`
	Inner  innerIn     `in:"profile" doc:"More of it."`
	Hidden string
}

type innerIn struct {
	Age *int `in:"age"`
}

type thingOut struct {
	ID    string    `json:"id"`
	Note  *string   `json:"note"`
	Once  *string   `json:"once,omitempty"`
	Lists []partOut `json:"lists"`
	Part  *partOut  `json:"part"`
	Inner partOut   `json:"inner" doc:"The part."`
}

type partOut struct {
	Count int64 `json:"count"`
}

type box[T any] struct {
	Item T `json:"item"`
}

type Error struct {
	OK bool `json:"ok"`
}

type (
	nameless struct{ ID string }
	mapped   struct {
		All map[int]string `json:"all"`
	}
	leaking struct {
		Code secret.Text `json:"code"`
	}
	manyRequired struct {
		ID string `in:"a|b" required:"true"`
	}
	twice struct {
		A string `in:"a"`
		B string `in:"b|a"`
	}
	floating struct {
		Sum float64 `in:"sum"`
	}
)

func route(method, path string, handler pipeline.Handler) pipeline.Route {
	return pipeline.Route{Method: method, Path: path, Summary: "Do it", Credential: pipeline.None, Reach: pipeline.Nobody, Handler: handler}
}

// describe returns the document, decoded.
func describe(t *testing.T, routes ...pipeline.Route) map[string]any {
	t.Helper()
	text, err := openapi.Document(routes, openapi.Info{Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// pick follows names, and returns what is there as JSON.
func pick(t *testing.T, doc map[string]any, path ...string) string {
	t.Helper()
	var here any = doc
	for _, name := range path {
		object, _ := here.(map[string]any)
		here = object[name]
	}
	text, err := json.Marshal(here)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestInputsAreDescribedByAllTheirNames(t *testing.T) {
	t.Parallel()
	doc := describe(t, route(http.MethodPost, "/things", answer[thingIn, thingOut]()))
	want := `{"properties":{` +
		`"email":{"description":"Where it lives.","type":["string","null"]},` +
		`"name":{"description":"What it is called.","type":"string"},` +
		`"profile":{"description":"More of it.","properties":{` +
		`"age":{"type":["integer","null"]},` +
		`"email":{"description":"Another name of ` + "`email`" + `.","type":["string","null"]}},"type":["object","null"]},` +
		`"secret":{"type":"string"},` +
		`"tags":{"items":{"type":"string"},"type":"array"}},` +
		`"required":["name"],"type":"object"}`
	if got := pick(t, doc, "components", "schemas", "ThingInput"); got != want {
		t.Errorf("the input is\n%s, want\n%s", got, want)
	}
	content := `{"$ref":"#/components/schemas/ThingInput"}`
	for _, mediaType := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data"} {
		if got := pick(t, doc, "paths", "/things", "post", "requestBody", "content", mediaType, "schema"); got != content {
			t.Errorf("%s is described by %s, want %s", mediaType, got, content)
		}
	}
	strict := route(http.MethodPost, "/things", answer[thingIn, thingOut]())
	strict.Strict = true
	if got := pick(t, describe(t, strict), "components", "schemas", "ThingInput", "additionalProperties"); got != "false" {
		t.Errorf("a strict route lets additional parameters be %s", got)
	}
}

func TestQueriesAreDescribedByTheSameStruct(t *testing.T) {
	t.Parallel()
	doc := describe(t, route(http.MethodGet, "/things", answer[thingIn, thingOut]()))
	got := pick(t, doc, "paths", "/things", "get", "parameters")
	for _, want := range []string{
		`{"description":"What it is called.","in":"query","name":"name","required":true,"schema":{"type":"string"}}`,
		`{"in":"query","name":"tags[]","schema":{"items":{"type":"string"},"type":"array"}}`,
		`"name":"profile","schema"`, `"style":"deepObject"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the query is %s, want %s in it", got, want)
		}
	}
	if body := pick(t, doc, "paths", "/things", "get", "requestBody"); body != "null" {
		t.Errorf("a GET has the body %s", body)
	}
}

func TestOutputsAreDescribedAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	doc := describe(t, route(http.MethodPost, "/things", answer[pipeline.Nothing, box[thingOut]]()))
	for name, want := range map[string]string{
		"ThingBox": `{"properties":{"item":{"$ref":"#/components/schemas/Thing"}},"required":["item"],"type":"object"}`,
		"Thing": `{"properties":{"id":{"type":"string"},` +
			`"inner":{"$ref":"#/components/schemas/Part","description":"The part."},` +
			`"lists":{"items":{"$ref":"#/components/schemas/Part"},"type":"array"},` +
			`"note":{"type":["string","null"]},"once":{"type":"string"},` +
			`"part":{"anyOf":[{"$ref":"#/components/schemas/Part"},{"type":"null"}]}},` +
			`"required":["id","note","lists","part","inner"],"type":"object"}`,
		"Part": `{"properties":{"count":{"type":"integer"}},"required":["count"],"type":"object"}`,
	} {
		if got := pick(t, doc, "components", "schemas", name); got != want {
			t.Errorf("%s is\n%s, want\n%s", name, got, want)
		}
	}
}

// A route's declarations decide what its operation says.
func TestOperationsSayWhatTheirRoutesDeclare(t *testing.T) {
	t.Parallel()
	made := route(http.MethodPost, "/api/v2/org/{org}/api-keys/{user}", answer[pipeline.Nothing, thingOut]())
	made.Credential, made.Scope, made.Reach = pipeline.APIKey, "things:write", pipeline.Organization
	made.Idempotent, made.Success, made.Faults = true, http.StatusCreated, []int{http.StatusConflict, http.StatusBadRequest}
	token := route(http.MethodPost, "/oauth/token", answer[thingIn, thingOut]())
	token.WriteFault, token.Faults = func(http.ResponseWriter, *http.Request, error) {}, []int{http.StatusUnauthorized}
	page := route(http.MethodGet, "/page", answer[pipeline.Nothing, map[string]string]())
	page.Write = func(http.ResponseWriter, *http.Request, int, any) {}
	doc := describe(t, made, token, page)

	operation := []string{"paths", "/api/v2/org/{org}/api-keys/{user}", "post"}
	for field, want := range map[string]string{
		"x-scope": `"things:write"`, "security": `[{"bearer":["things:write"]}]`, "tags": `["api-keys"]`,
		"description": `"Needs the scope ` + "`things:write`" + `."`, "operationId": `"postApiV2OrgByOrgApiKeysByUser"`,
	} {
		if got := pick(t, doc, append(operation, field)...); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	if got := pick(t, doc, append(operation, "parameters")...); strings.Count(got, `"in":"path"`) != 2 || !strings.Contains(got, "IdempotencyKey") {
		t.Errorf("the parameters are %s", got)
	}
	for path, want := range map[string]string{
		operation[1]:   "201 400 401 403 404 409 413 415 422 429 500 503",
		"/oauth/token": "200 400 401 413 415 422 429 500 503",
	} {
		var responses map[string]any
		if err := json.Unmarshal([]byte(pick(t, doc, "paths", path, "post", "responses")), &responses); err != nil {
			t.Fatal(err)
		}
		for status := range strings.FieldsSeq(want) {
			if responses[status] == nil {
				t.Errorf("%s does not declare %s", path, status)
			}
		}
		if len(responses) != len(strings.Fields(want)) {
			t.Errorf("%s declares %d answers, want %s", path, len(responses), want)
		}
	}
	for status, want := range map[string]string{"401": "OAuthUnauthorized", "429": "TooManyRequests", "500": "InternalServerError"} {
		if got := pick(t, doc, "paths", "/oauth/token", "post", "responses", status, "$ref"); got != `"#/components/responses/`+want+`"` {
			t.Errorf("%s of a token path is %s, want %s", status, got, want)
		}
	}
	if got := pick(t, doc, "paths", "/page"); got != "null" {
		t.Errorf("a page stands in the document: %s", got)
	}
}

// The same routes give the same text, in the order of the table.
func TestTheOrderIsThatOfTheTable(t *testing.T) {
	t.Parallel()
	routes := []pipeline.Route{
		route(http.MethodPost, "/zebra", answer[thingIn, thingOut]()), route(http.MethodPut, "/ant", answer[thingIn, box[thingOut]]()),
		route(http.MethodGet, "/zebra", answer[thingIn, thingOut]()),
	}
	first, err := openapi.Document(routes, openapi.Info{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if again, err := openapi.Document(routes, openapi.Info{}); err != nil || string(again) != string(first) {
			t.Fatalf("another text, or %v", err)
		}
	}
	at := -1
	for _, name := range []string{`"/zebra": {`, `"post": {`, `"get": {`, `"/ant": {`, `"ThingInput": {`, `"name": {`, `"email": {`, `"tags": {`} {
		next := strings.Index(string(first)[at+1:], name)
		if next < 0 {
			t.Fatalf("%s does not come in its order", name)
		}
		at += next + 1
	}
}

func TestWhatCannotBeDescribedIsRefused(t *testing.T) {
	t.Parallel()
	type partOut struct { // another one
		Other bool `json:"other"`
	}
	post := func(path string, handlers ...pipeline.Handler) (routes []pipeline.Route) {
		for _, handler := range handlers {
			routes = append(routes, route(http.MethodPost, path, handler))
		}
		return routes
	}
	odd := post("/things", answer[pipeline.Nothing, partOut]())
	odd[0].Faults = []int{http.StatusTeapot}
	both := post("/things", answer[thingIn, partOut](), answer[thingIn, partOut]())
	both[1].Strict = true
	for name, c := range map[string]struct {
		routes []pipeline.Route
		why    string
	}{
		"two types of one name":           {post("/things", answer[pipeline.Nothing, thingOut](), answer[pipeline.Nothing, partOut]()), "would both be the schema Part"},
		"one type twice":                  {post("/things", answer[pipeline.Nothing, thingOut](), answer[pipeline.Nothing, thingOut]()), ""},
		"a type called like the errors":   {post("/things", answer[pipeline.Nothing, Error]()), "would both be the schema Error"},
		"one input, strict and not":       {both, "would both be the schema ThingInput"},
		"a parameter without words":       {post("/things/{thing}", answer[pipeline.Nothing, partOut]()), "{thing}"},
		"a status without words":          {odd, "status 418"},
		"a field without a name":          {post("/things", answer[pipeline.Nothing, nameless]()), "has no json tag"},
		"a map":                           {post("/things", answer[pipeline.Nothing, mapped]()), "map[int]string"},
		"a secret in an answer":           {post("/things", answer[pipeline.Nothing, leaking]()), "secret.Text"},
		"one of several names required":   {post("/things", answer[manyRequired, partOut]()), "cannot be required"},
		"a parameter that is there twice": {post("/things", answer[twice, partOut]()), "declared twice"},
		"a parameter of another type":     {post("/things", answer[floating, partOut]()), "float64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := openapi.Document(c.routes, openapi.Info{})
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("got %v, want %q", err, c.why)
			}
		})
	}
}
