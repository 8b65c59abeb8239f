package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/logs"
)

// errInternal is all that a caller learns of a failure that is ours.
var errInternal = fault.New(fault.Internal, "internal_error",
	"Something went wrong on our side. Try again; if it stays, give the request id to whoever runs this service.")

// Status is the HTTP status of a kind of fault. This is the only place that
// decides it.
func Status(kind fault.Kind) int {
	switch kind {
	case fault.Malformed:
		return http.StatusBadRequest
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.Unauthorized:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Unsupported:
		return http.StatusUnsupportedMediaType
	case fault.Method:
		return http.StatusMethodNotAllowed
	case fault.Misdirected:
		return http.StatusMisdirectedRequest
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Public returns what a caller may see of err: the public half of the first
// fault in its chain, or a fault that says nothing when there is none or it is
// internal. The cause is never in it.
func Public(err error) *fault.Error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || Status(f.Kind) == http.StatusInternalServerError {
		return errInternal
	}
	return &fault.Error{Kind: f.Kind, Code: f.Code, Message: f.Message, Advice: f.Advice, After: f.After}
}

// FaultHeaders sets the headers that belong to a fault whatever its body looks
// like: Retry-After in whole seconds, at least 1, on 429 and 503, and a
// WWW-Authenticate on 401 unless the handler has set a better one.
func FaultHeaders(header http.Header, f *fault.Error) {
	switch f.Kind {
	case fault.Limited, fault.Unavailable:
		seconds := int64((f.After + time.Second - 1) / time.Second)
		header.Set("Retry-After", strconv.FormatInt(max(1, seconds), 10))
	case fault.Unauthorized:
		if header.Get("WWW-Authenticate") == "" {
			header.Set("WWW-Authenticate", "Bearer")
		}
	}
}

type faultBody struct {
	Error faultDetail `json:"error"`
}

type faultDetail struct {
	Type      string   `json:"type"`
	Message   string   `json:"message"`
	Advice    []string `json:"advice,omitempty"`
	DocURLs   []string `json:"doc_urls"`
	RequestID string   `json:"request_id"`
}

// WriteFault answers a request of the API with an error: the status of its
// kind and the JSON body {"error":{"type","message","doc_urls","request_id"}}.
// Advice goes in beside the message, in a language that the request asks for.
func WriteFault(w http.ResponseWriter, r *http.Request, err error) {
	WriteFaultAs(w, r, err, func(f *fault.Error, requestID string) (int, any) {
		return Status(f.Kind), faultBody{faultDetail{
			Type: f.Code, Message: f.Message, Advice: advice(r, f), DocURLs: docURLs(r.Context(), f.Code), RequestID: requestID,
		}}
	})
}

// WriteFaultAs is WriteFault for a surface whose errors look otherwise: shape
// makes status and body of what the caller may see. The hidden half goes to the
// access line only. When the client is gone the request is logged as 499 and
// nothing is sent; when an answer has begun already, err is logged and the
// answer left as it is.
func WriteFaultAs(w http.ResponseWriter, r *http.Request, err error, shape func(f *fault.Error, requestID string) (status int, body any)) {
	ctx := r.Context()
	if err == nil {
		err = errors.New("a fault was written without an error")
	}
	Note(ctx, err)
	if rec := recorderOf(w); rec != nil && rec.status != 0 {
		return
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		noteCode(ctx, "client_gone")
		w.WriteHeader(statusGone)
		return
	}
	f := Public(err)
	forgetAnswer(w.Header())
	FaultHeaders(w.Header(), f)
	status, body := shape(f, logs.RequestID(ctx))
	WriteJSON(w, status, body)
}

func advice(r *http.Request, f *fault.Error) []string {
	if f.Advice == nil {
		return nil
	}
	return f.Advice.In(r.Header.Values("Accept-Language")...)
}

// codeOf is the code for the access line. It tells internal faults apart,
// which the caller cannot.
func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return errInternal.Code
}

func docURLs(ctx context.Context, code string) []string {
	if s := stateOf(ctx); s != nil && s.docsURL != "" {
		return []string{s.docsURL + "/docs/errors#" + code}
	}
	return []string{}
}

// forgetAnswer drops what a handler said about the answer that it then could
// not give.
func forgetAnswer(header http.Header) {
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Etag", "Last-Modified", "Location"} {
		header.Del(name)
	}
	header.Set("Cache-Control", "no-store")
}

// WriteJSON answers with a value as JSON. A value that cannot be encoded is a
// bug and answers 500 instead of half a body.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the type and nosniff keep it from being read as HTML
	if err := encoder.Encode(v); err != nil {
		status = http.StatusInternalServerError
		body.Reset()
		fmt.Fprintf(&body, `{"error":{"type":%q,"message":%q,"doc_urls":[],"request_id":%q}}`,
			errInternal.Code, errInternal.Message, w.Header().Get(requestIDHeader))
		if rec := recorderOf(w); rec != nil {
			rec.failed = fmt.Errorf("encode %T: %w", v, err)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(bytes.TrimSuffix(body.Bytes(), []byte("\n")))))
	w.WriteHeader(status)
	_, _ = w.Write(bytes.TrimSuffix(body.Bytes(), []byte("\n"))) // the client is gone, if anything
}

// WriteOAuthError answers in the form of RFC 6749 part 5.2. The description is
// for developers and is cut down to the characters that the RFC allows. A
// handler that has an error with a cause calls Note first.
func WriteOAuthError(w http.ResponseWriter, r *http.Request, status int, code, description string) {
	noteCode(r.Context(), code)
	forgetAnswer(w.Header())
	w.Header().Set("Pragma", "no-cache") // the RFC asks for it beside no-store
	if id := logs.RequestID(r.Context()); id != "" {
		w.Header().Set(requestIDHeader, id)
	}
	WriteJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{code, strings.Map(oauthText, description)})
}

func oauthText(r rune) rune {
	if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
		return -1
	}
	return r
}
