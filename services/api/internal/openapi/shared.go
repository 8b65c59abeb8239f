package openapi

import (
	"fmt"
	"net/http"
	"strings"

	"countersign.dev/services/api/internal/pipeline"
)

// What many operations refer to.

const (
	bearer         = "bearer"
	userBearer     = "user"
	idempotencyKey = "IdempotencyKey"
	requestID      = "X-Request-Id"
	retryAfter     = "Retry-After"
	challengeName  = "WWW-Authenticate"
	headerPath     = "#/components/headers/"
	errorName      = "Error"
	oauthErrorName = "OAuthError"
	envelopeName   = "EnvelopeError"
)

// meanings says what a status of a fault tells the caller.
var meanings = map[int]string{
	http.StatusBadRequest:            "The request cannot be parsed, or has a parameter that the call does not take. Nothing was done.",
	http.StatusUnauthorized:          "The credential is missing, expired or wrong.",
	http.StatusForbidden:             "The credential does not reach this far, or the state of the user forbids it.",
	http.StatusNotFound:              "There is no such thing, or none that this caller may know of.",
	http.StatusConflict:              "The state does not allow it.",
	http.StatusRequestEntityTooLarge: "The body is larger than this call reads.",
	http.StatusUnsupportedMediaType:  "The content type is not accepted.",
	http.StatusExpectationFailed:     "A value is missing; the message names the parameter.",
	http.StatusUnprocessableEntity:   "A value is missing or not acceptable; the message names the parameter.",
	http.StatusTooManyRequests:       "A limit is reached; `Retry-After` says when to come back.",
	http.StatusInternalServerError:   "A fault of ours. Give the request id to whoever runs the service.",
	http.StatusServiceUnavailable:    "Something that the call needs is down. Nothing was done, or it was undone; `Retry-After` says when to try again.",
}

// fault returns the reference to the answer of a status, which it makes where
// it is needed first. Token paths answer in the form of RFC 6749, but for what
// that has no words for: limits, outages and our own faults.
func (b *builder) fault(route pipeline.Route, status int) (response, error) {
	meaning, ok := meanings[status]
	if !ok {
		return response{}, fmt.Errorf("the status %d has no description", status)
	}
	name, shape := strings.ReplaceAll(http.StatusText(status), " ", ""), errorName
	waits := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if route.WriteFault != nil && !waits && status != http.StatusInternalServerError {
		name, shape = "OAuth"+name, oauthErrorName
	}
	if route.Envelope {
		name, shape = "Envelope"+strings.ReplaceAll(http.StatusText(status), " ", ""), envelopeName
	}
	ref := response{Ref: "#/components/responses/" + name}
	if b.responses.find(name) != nil {
		return ref, nil
	}
	made := response{Description: meaning}
	*made.Headers.at(requestID) = header{Ref: headerPath + requestID}
	if waits {
		*made.Headers.at(retryAfter) = header{Ref: headerPath + retryAfter}
	}
	if status == http.StatusUnauthorized {
		*made.Headers.at(challengeName) = header{Ref: headerPath + challengeName}
	}
	*made.Content.at(jsonType) = media{Schema: schema{Ref: schemaPath + shape}}
	*b.responses.at(name) = made
	return ref, nil
}

func (b *builder) components() components {
	c := components{Responses: b.responses, Schemas: b.schemas}
	*c.SecuritySchemes.at(bearer) = securityScheme{
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "An access token of an API key, from `POST /api/v2/oauth/token`. What it may do is the key's scopes.",
	}
	*c.SecuritySchemes.at(userBearer) = securityScheme{
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "An access token of a user, which an app gets for a code. What it may do is what the app asked for.",
	}
	*c.Parameters.at(idempotencyKey) = parameter{
		Name: pipeline.IdempotencyHeader, In: "header",
		Description: "Makes a repeat safe: for a day, the same key with the same request gets the first answer again, and nothing is done twice. The same key with another request is refused. A random UUID is a good one.",
		Schema:      &schema{Type: "string", Pattern: "^[!-~]{1,128}$"},
	}
	text := &schema{Type: "string"}
	*c.Headers.at(requestID) = header{Description: "The id by which the log knows this request.", Required: true, Schema: text}
	*c.Headers.at(retryAfter) = header{
		Description: "Seconds to wait before the next try, at least 1.", Required: true, Schema: &schema{Type: "string", Pattern: "^[1-9][0-9]*$"},
	}
	*c.Headers.at(challengeName) = header{Description: "The kind of credential that is asked for.", Required: true, Schema: text}
	*c.Schemas.at(errorName) = errorSchema()
	*c.Schemas.at(oauthErrorName) = oauthErrorSchema()
	*c.Schemas.at(envelopeName) = envelopeSchema()
	return c
}

func errorSchema() schema {
	detail := schema{Type: "object", Required: []string{"type", "message", "doc_urls", "request_id"}}
	*detail.Properties.at("type") = schema{Type: "string", Description: "Stable code; the page of errors lists them."}
	*detail.Properties.at("message") = schema{Type: "string", Description: "For people; it may change."}
	*detail.Properties.at("advice") = schema{Type: "array", Items: &schema{Type: "string"}, Description: "Sentences for the person whom it is about, where there are any: what is wrong and what to do. In a language of `Accept-Language` that we speak (en, de, fr), or else in that of the user or the organization."}
	*detail.Properties.at("doc_urls") = schema{Type: "array", Items: &schema{Type: "string"}, Description: "Where the code is explained."}
	*detail.Properties.at("request_id") = schema{Type: "string"}
	whole := schema{Type: "object", Required: []string{"error"}}
	*whole.Properties.at("error") = detail
	return whole
}

func oauthErrorSchema() schema {
	whole := schema{Type: "object", Required: []string{"error"}}
	*whole.Properties.at("error") = schema{Type: "string", Description: "Code of RFC 6749, 5.2."}
	*whole.Properties.at("error_description") = schema{Type: "string", Description: "For people; it may change."}
	return whole
}

func envelopeSchema() schema {
	whole := schema{Type: "object", Required: []string{"success", "status", "code", "error", "error_description", "type", "request_id"}}
	*whole.Properties.at("success") = schema{Type: "boolean", Description: "Always false."}
	*whole.Properties.at("status") = schema{Type: "integer", Description: "The status of the answer once more: the contract's clients do not look at the other."}
	*whole.Properties.at("code") = schema{Type: "string", Description: "Code of the contract."}
	*whole.Properties.at("error") = schema{Type: "string", Description: "For people; it may change."}
	*whole.Properties.at("error_description") = schema{Type: "string", Description: "The same."}
	*whole.Properties.at("type") = schema{Type: "string", Description: "Stable code, finer than that of the contract; the page of errors lists them."}
	*whole.Properties.at("request_id") = schema{Type: "string", Description: "The id by which the log knows this request."}
	return whole
}
