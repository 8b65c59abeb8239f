package openapi

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
)

const jsonType = "application/json"

// bodyTypes are the forms in which a body is taken; the first is what tools
// propose.
var bodyTypes = []string{jsonType, "application/x-www-form-urlencoded", "multipart/form-data"}

// pathParameters says what stands in the places of paths.
var pathParameters = map[string]string{
	"org":      "Domain of the organization.",
	"user":     "Id or e-mail address of the user.",
	"factor":   "Id of the second factor.",
	"app":      "`client_id` of the app.",
	"session":  "Id of the session, the `sid` of its tokens.",
	"template": "Id of the template.",
	"key":      "`client_id` of the API key.",
	"delivery": "Id of the delivery.",
	"locale":   "Language tag, such as en or de-AT.",
	"domain":   "E-mail domain that the organization claims.",
	"issuer":   "Domain of an organization or account, as it ends the `iss` of a token.",

	"organization": "Domain of the organization that the app is one of.",
	"client":       "`client_id` of the app.",
	"state":        "Any text: clients put the state of their login here.",
	"request_id":   "Request id of the login.",
	"track_id":     "Id of the login that goes on, as the last step told it.",
	"status_id":    "Status id of a method that was started.",
	"method":       "TOTP, SMS, EMAIL, PASSWORD or BACKUPCODE, in any case.",
	"medium":       "Id of what the method is used with, as the user's own list has it.",
	"app_org":      "Domain of the organization that the app is one of.",
	"app_id":       "`client_id` of the app.",
}

var placeholder = regexp.MustCompile(`\{([^}]*)\}`)

func (b *builder) operation(route pipeline.Route) (op operation, err error) {
	in, out := route.Handler.Types()
	op = operation{
		Tags: []string{tag(route.Path)}, Summary: route.Summary, Description: describe(route), OperationID: operationID(route),
		Scope: route.Scope, Security: []map[string][]string{},
	}
	if route.Credential == pipeline.Optional {
		op.Security = append(op.Security, map[string][]string{}, map[string][]string{bearer: {}})
	}
	if scheme := schemes[route.Credential]; scheme != "" {
		scopes := []string{}
		if route.Scope != "" {
			scopes = append(scopes, route.Scope)
		}
		op.Security = append(op.Security, map[string][]string{scheme: scopes})
	}
	if op.Parameters, err = parameters(route, in); err != nil {
		return op, err
	}
	if route.Method != http.MethodGet && takesInput(in) {
		if op.RequestBody, err = b.body(route, in); err != nil {
			return op, err
		}
	}
	op.Responses, err = b.answers(route, in, out)
	return op, err
}

// schemes are the security schemes of credentials that a route always asks for.
var schemes = map[pipeline.Credential]string{pipeline.APIKey: bearer, pipeline.UserToken: userBearer}

// tag groups operations by the noun of their path.
func tag(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/api/v2"), "/org/{org}")
	noun, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return noun
}

// operationID is made of method and path, so that it is unique and stays.
func operationID(route pipeline.Route) string {
	id := strings.ToLower(route.Method)
	for step := range strings.SplitSeq(strings.Trim(route.Path, "/"), "/") {
		if name := placeholder.FindStringSubmatch(step); name != nil {
			step = "by-" + name[1]
		}
		for word := range strings.SplitSeq(step, "-") {
			id += title(word)
		}
	}
	return id
}

func describe(route pipeline.Route) string {
	var said []string
	if route.Scope != "" {
		said = append(said, "Needs the scope `"+route.Scope+"`.")
	}
	if route.Strict {
		said = append(said, "Parameters that it does not know are refused.")
	}
	if route.BodyOnly && route.InQuery != "" {
		said = append(said, "Parameters in the query are refused, but for `"+route.InQuery+"`.")
	} else if route.BodyOnly {
		said = append(said, "Parameters in the query are refused.")
	}
	return strings.Join(said, " ")
}

func takesInput(in reflect.Type) bool { return in.NumField() > 0 }

func parameters(route pipeline.Route, in reflect.Type) ([]parameter, error) {
	var out []parameter
	for _, match := range placeholder.FindAllStringSubmatch(route.Path, -1) {
		meaning, ok := pathParameters[match[1]]
		if !ok {
			return nil, fmt.Errorf("the parameter {%s} of the path has no description", match[1])
		}
		out = append(out, parameter{Name: match[1], In: "path", Description: meaning, Required: true, Schema: &schema{Type: "string"}})
	}
	if route.Idempotent {
		out = append(out, parameter{Ref: "#/components/parameters/" + idempotencyKey})
	}
	if route.Method != http.MethodGet {
		return out, nil
	}
	query, err := queryParameters(in)
	return append(out, query...), err
}

// body describes the three forms of a body by one schema.
func (b *builder) body(route pipeline.Route, in reflect.Type) (*requestBody, error) {
	name := title(strings.TrimSuffix(in.Name(), "In")) + "Input"
	role := "input"
	if route.Strict {
		role = "strict input"
	}
	fresh, err := b.claim(name, owner{role, in})
	if err != nil {
		return nil, err
	}
	if fresh {
		object, err := inputObject(in, route.Strict)
		if err != nil {
			return nil, err
		}
		*b.schemas.at(name) = object
	}
	body := &requestBody{}
	for _, mediaType := range bodyTypes {
		content := media{Schema: schema{Ref: schemaPath + name}}
		for _, property := range b.schemas.at(name).Properties {
			if mediaType != jsonType && property.value.isType("object") {
				*content.Encoding.at(property.name) = encoding{Style: "deepObject", Explode: true}
			}
		}
		*body.Content.at(mediaType) = content
	}
	return body, nil
}

var maybeType = reflect.TypeFor[pipeline.Maybe]()

func (b *builder) answers(route pipeline.Route, in, out reflect.Type) (answers ordered[response], err error) {
	answer, err := b.output(out)
	if err != nil {
		return nil, err
	}
	success := route.Success
	if success == 0 {
		success = http.StatusOK
	}
	done := response{Description: http.StatusText(success)}
	*done.Headers.at(requestID) = header{Ref: headerPath + requestID}
	*done.Content.at(jsonType) = media{Schema: answer}
	*answers.at(strconv.Itoa(success)) = done
	if out.Implements(maybeType) {
		none := response{Description: http.StatusText(http.StatusNoContent)}
		*none.Headers.at(requestID) = header{Ref: headerPath + requestID}
		*answers.at(strconv.Itoa(http.StatusNoContent)) = none
	}
	if route.AnswersToo {
		left := response{Description: "The browser that has sent a form goes back to the app."}
		*left.Headers.at(requestID) = header{Ref: headerPath + requestID}
		*answers.at(strconv.Itoa(http.StatusFound)) = left
	}
	for _, status := range faultStatuses(route, in) {
		ref, err := b.fault(route, status)
		if err != nil {
			return nil, err
		}
		*answers.at(strconv.Itoa(status)) = ref
	}
	return answers, nil
}

// faultStatuses are those that the route declares, and those that the pipeline
// may answer in its stead. It reads a body whatever the method.
func faultStatuses(route pipeline.Route, in reflect.Type) []int {
	statuses := append([]int{
		http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}, route.Faults...)
	if route.Credential != pipeline.None {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden)
	}
	if route.Reach == pipeline.Organization || route.Reach == pipeline.Remembered || route.Reach == pipeline.Named {
		statuses = append(statuses, http.StatusNotFound)
	}
	if (takesInput(in) || route.Idempotent) && !route.Envelope { // which says 400 for all that is wrong with parameters
		statuses = append(statuses, http.StatusUnprocessableEntity)
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}
