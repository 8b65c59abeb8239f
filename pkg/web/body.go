package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"countersign.dev/pkg/fault"
)

// BodyLimit is how many bytes a request body may have where a route says
// nothing else.
const BodyLimit = 64 << 10

// LimitBody replaces r.Body by one that ends after n bytes: reading past them
// gives a fault of the kind TooLarge, as does the first read when the client
// has announced more. Other failures to read come out as faults too, see
// [BodyFault].
func LimitBody(w http.ResponseWriter, r *http.Request, n int64) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// MaxBytesReader tells the server to close the connection, but only when it
	// is handed the server's own writer.
	body := &limitedBody{ReadCloser: http.MaxBytesReader(bottom(w), r.Body, n)}
	if r.ContentLength > n {
		body.err = BodyFault(&http.MaxBytesError{Limit: n})
	}
	r.Body = body
}

type limitedBody struct {
	io.ReadCloser
	err error // sticks
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	b.err = BodyFault(err)
	return n, b.err
}

// BodyFailed returns the fault that ended a body limited by [LimitBody] before
// its end, nil when there was none. It is for parsers that hide what their
// reader said: to mime/multipart a body over its limit may look malformed.
func BodyFailed(r *http.Request) error {
	if body, ok := r.Body.(*limitedBody); ok && body.err != io.EOF { //nolint:errorlint // readers compare with ==
		return body.err
	}
	return nil
}

// BodyFault turns an error of reading a request body into a fault: too large,
// not there in time, cut short or broken in its encoding. It is for errors of
// reading only, since whatever it does not know becomes the client's mistake.
// Faults, io.EOF, the end of a context and nil are returned as they are.
func BodyFault(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok || err == io.EOF { //nolint:errorlint // readers compare with ==
		return err
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fault.Newf(fault.TooLarge, "body_too_large", "The body is larger than the %d bytes that are read here.", large.Limit).Because(err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Malformed, "body_timeout", "The body did not arrive in time.").Because(err)
	}
	return fault.New(fault.Malformed, "malformed_body", "The body ended early or is not encoded as its headers say.").Because(err)
}
