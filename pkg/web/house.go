package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/logs"
)

var errMethod = fault.New(fault.Method, "method_not_allowed", "This method is not allowed here.")

// House wraps a router. Every answer that leaves it, errors and panics
// included, has a request id of ours in X-Request-Id and the security headers;
// a handler may override those (a page sets its own content policy), but not
// the id. At the end of each request one line is logged, without path or query.
func House(cfg Config) func(http.Handler) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Fail == nil {
		cfg.Fail = WriteFault
	}
	if cfg.Allow == nil {
		cfg.Allow = func(*http.Request) string { return "" }
	}
	return func(next http.Handler) http.Handler { return &house{cfg, next} }
}

type house struct {
	Config
	next http.Handler
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	s := &state{client: clientIP(r, h.TrustedProxies), docsURL: h.DocsURL, route: unmatched}
	id := rand.Text() // 128 random bits or more; what a client sent is not read
	ctx := context.WithValue(logs.WithRequestID(r.Context(), id), stateKey{}, s)
	r = r.WithContext(ctx)
	rec := &recorder{ResponseWriter: w, id: id}
	h.headers(rec.Header(), id)

	aborted := h.serve(rec, r)
	h.finish(rec, r, s, time.Since(begin))
	if aborted {
		panic(http.ErrAbortHandler) // the server cuts the connection, so that half an answer is not taken for a whole one
	}
}

// serve calls the router and turns a panic into an answer. It reports whether
// the connection has to be cut instead, because the answer had begun.
func (h *house) serve(rec *recorder, r *http.Request) (aborted bool) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			aborted = true
			return
		}
		ctx := r.Context()
		h.Log.ErrorContext(ctx, "panic in a handler", "panic", logs.Panic(value), "stack", string(debug.Stack()))
		err := fmt.Errorf("panic: %s", logs.Panic(value))
		if aborted = rec.status != 0; aborted {
			Note(ctx, err)
			return
		}
		clear(rec.Header()) // a cookie or a length of the answer that was not to be
		h.headers(rec.Header(), rec.id)
		h.fail(ctx)(rec, r, err)
	}()
	switch r.Method {
	case http.MethodTrace, "TRACK", http.MethodConnect: // they mirror or tunnel; no router gets to see them
		rec.Header().Set("Allow", cmp.Or(h.Allow(r), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"))
		h.Fail(rec, r, errMethod)
	default:
		h.next.ServeHTTP(rec, r)
	}
	return false
}

// fail is who renders a panic of this request.
func (h *house) fail(ctx context.Context) func(w http.ResponseWriter, r *http.Request, err error) {
	s := stateOf(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	return h.Fail
}

// finish writes the access line.
func (h *house) finish(rec *recorder, r *http.Request, s *state, took time.Duration) {
	s.mu.Lock()
	route, code, err := s.route, s.code, s.err
	s.mu.Unlock()
	if rec.failed != nil {
		code, err = codeOf(rec.failed), rec.failed
	}
	seen := Observation{Method: method(r.Method), Route: route, Status: rec.final(), Bytes: rec.bytes, Took: took}
	attrs := []slog.Attr{
		slog.String("method", seen.Method),
		slog.String("route", seen.Route),
		slog.Int("status", seen.Status),
		slog.Float64("ms", math.Round(took.Seconds()*1e4)/10),
		slog.Int64("bytes", seen.Bytes),
	}
	if s.client.IsValid() {
		attrs = append(attrs, slog.String("client_ip", s.client.String()))
	}
	if code != "" {
		attrs = append(attrs, slog.String("fault", code))
	}
	level := slog.LevelInfo
	if seen.Status >= 500 {
		level = slog.LevelError
		if err != nil {
			attrs = append(attrs, slog.String("cause", err.Error()))
		}
	}
	h.Log.LogAttrs(r.Context(), level, "request", attrs...)
	if h.Observe != nil {
		h.Observe(seen)
	}
}

// permissions switches every feature off that a browser would ask a page for.
var permissions = strings.Join([]string{
	"accelerometer=()", "autoplay=()", "camera=()", "display-capture=()", "encrypted-media=()", "fullscreen=()",
	"geolocation=()", "gyroscope=()", "magnetometer=()", "microphone=()", "midi=()", "payment=()",
	"picture-in-picture=()", "publickey-credentials-get=()", "screen-wake-lock=()", "usb=()", "xr-spatial-tracking=()",
}, ", ")

func (h *house) headers(header http.Header, id string) {
	header.Set(requestIDHeader, id)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", permissions)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if h.HSTS {
		header.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// method bounds what a client may put into logs and metrics.
func method(name string) string {
	known := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
	if slices.Contains(known, name) {
		return name
	}
	return "OTHER"
}
