package web

import "net/http"

const (
	requestIDHeader = "X-Request-Id"

	// statusGone is logged when the client went away before it was answered.
	statusGone = 499
)

// recorder passes an answer on and remembers what the access line tells of it.
type recorder struct {
	http.ResponseWriter
	id     string
	status int // 0 until the answer has begun
	bytes  int64
	failed error // an answer that could not be encoded
}

// WriteHeader keeps the request id ours whatever a handler did to the headers.
func (w *recorder) WriteHeader(status int) {
	final := status >= 200 || status == http.StatusSwitchingProtocols
	if final && w.status == 0 {
		w.status = status
		w.Header().Set(requestIDHeader, w.id)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(body []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(body)
	w.bytes += int64(n)
	return n, err
}

// FlushError is what http.ResponseController looks for.
func (w *recorder) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is for code that still asks for an http.Flusher.
func (w *recorder) Flush() { _ = w.FlushError() }

// Unwrap leads http.ResponseController to deadlines and hijacking.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// final is the status that the server sends: 200 for a handler that wrote
// nothing at all.
func (w *recorder) final() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// recorderOf finds the recorder under whatever middleware put on top of it.
func recorderOf(w http.ResponseWriter) *recorder {
	for w != nil {
		if rec, ok := w.(*recorder); ok {
			return rec
		}
		w = unwrap(w)
	}
	return nil
}

// bottom returns the writer of the server itself.
func bottom(w http.ResponseWriter) http.ResponseWriter {
	for {
		inner := unwrap(w)
		if inner == nil {
			return w
		}
		w = inner
	}
}

func unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}
