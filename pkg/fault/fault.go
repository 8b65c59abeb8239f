// Package fault is the one error type that crosses package borders.
//
// An [Error] has two halves. The public half (kind, code, message, advice, retry
// time) may be shown to a caller; the hidden half (the cause) is only logged. An
// error that is not an *Error has no public half: the edge answers a bare 500.
//
// Rules return faults, edges translate them once: pkg/web turns a kind into an
// HTTP status, pkg/bus turns an error into ack, retry or dead letter.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the coarse class of a fault. Edges map kinds to their protocol.
type Kind int

// The kinds. Their HTTP status is decided in pkg/web alone.
const (
	Internal     Kind = iota // a bug or an unexpected failure; never shown
	Malformed                // the input cannot be parsed
	Invalid                  // the input parses, but a value is not acceptable
	Unauthorized             // no or wrong credential
	Forbidden                // the credential does not reach this far
	NotFound                 // no such thing, or none this caller may know of
	Conflict                 // the state does not allow it
	TooLarge                 // the input is over its limit
	Unsupported              // the content type is not accepted
	Method                   // the method is not allowed on this path
	Misdirected              // the request was sent to a host that this service is not
	Limited                  // a budget is spent; RetryAfter says when to return
	Unavailable              // a dependency is down; RetryAfter says when to return
)

// Error is a failure with a public and a hidden half.
type Error struct {
	Kind    Kind
	Code    string        // stable, snake_case, documented in docs/errors.md
	Message string        // what happened and what to do, for whoever made the call
	Advice  Advice        // the same for the person whom it is about; nil for none
	After   time.Duration // when to try again; zero says nothing
	Cause   error         // hidden: logged, never sent
}

// Advice says what is wrong and what to do about it, in the reader's language.
// Whoever makes it keeps secrets out: it is shown as it is.
type Advice interface {
	// In returns sentences, in the first of the languages that it speaks. They
	// are BCP 47 tags or values of Accept-Language, the most wanted first.
	In(languages ...string) []string
}

// New makes a fault without a cause.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Newf is New with a formatted message. Format only what the caller sent or
// may see.
func Newf(kind Kind, code, format string, args ...any) *Error {
	return New(kind, code, fmt.Sprintf(format, args...))
}

// Because returns a copy of e that carries the hidden cause.
func (e *Error) Because(cause error) *Error {
	out := *e
	out.Cause = cause
	return &out
}

// RetryIn returns a copy of e that tells the caller when to try again.
func (e *Error) RetryIn(after time.Duration) *Error {
	out := *e
	out.After = after
	return &out
}

// Advise returns a copy of e with advice for the person whom it is about.
func (e *Error) Advise(advice Advice) *Error {
	out := *e
	out.Advice = advice
	return &out
}

// Error joins both halves. It is for logs, never for an answer.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Code + ": " + e.Message
	}
	return e.Code + ": " + e.Message + ": " + e.Cause.Error()
}

// Unwrap gives the hidden cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Is matches faults by kind and code, so that a sentinel fault matches its
// copies that carry a cause or a retry time.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Kind == e.Kind && other.Code == e.Code
}

// KindOf returns the kind of the first fault in err's chain, Internal when
// there is none.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// The instructions of a worker's error. An error without one means: try again
// by the retry table.

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent says that no further try can help.
func Permanent(err error) error { return permanent{err} }

// IsPermanent reports whether err carries that instruction.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}

type retryAfter struct {
	error
	after time.Duration
}

func (r retryAfter) Unwrap() error { return r.error }

// RetryAfter says that the work was certainly not done and may be tried again
// after the given time.
func RetryAfter(after time.Duration, err error) error { return retryAfter{err, after} }

// RetryTime returns the time of a RetryAfter instruction.
func RetryTime(err error) (time.Duration, bool) {
	r, ok := errors.AsType[retryAfter](err)
	return r.after, ok
}

type ambiguous struct{ error }

func (a ambiguous) Unwrap() error { return a.error }

// Ambiguous says that nobody knows whether the work was done: the provider
// may have taken the message although its answer was lost.
func Ambiguous(err error) error { return ambiguous{err} }

// IsAmbiguous reports whether err carries that instruction.
func IsAmbiguous(err error) bool {
	_, ok := errors.AsType[ambiguous](err)
	return ok
}
