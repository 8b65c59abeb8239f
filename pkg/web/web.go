// Package web is the house that every HTTP surface lives in.
//
// It owns what no handler may forget: the listener and its limits, the request
// id, the security headers, the client's address, recovery from panics, the
// access line, and the one table that turns a kind of fault into a status.
// Edges wrap their router in [House], serve it with [Serve], return faults and
// render them with [WriteFault] (or, where a surface has a form of its own,
// with [Public], [Status] and [FaultHeaders]). It knows no route and no rule.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Config is what the house needs to know.
type Config struct {
	// Log gets the access lines. It is a logger of pkg/logs, which adds the
	// request id; nil discards the lines.
	Log *slog.Logger
	// TrustedProxies are the networks whose X-Forwarded-For is believed. None
	// by default: the client is whoever opened the connection.
	TrustedProxies []netip.Prefix
	// HSTS adds Strict-Transport-Security. Set it wherever the public URL is
	// https; a browser that saw it never comes back over plain HTTP.
	HSTS bool
	// DocsURL is the public base URL under which /docs/errors is served,
	// without a slash at its end. Empty leaves doc_urls of faults empty.
	DocsURL string
	// Fail renders the faults of the house itself: a panic, a TRACE. Nil means
	// WriteFault.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
	// Allow names the methods that the path of a request takes, for the header
	// beside a 405 of the house itself. Nil, and the empty text for a path
	// that nobody knows, name every method that the house lets through.
	Allow func(r *http.Request) string
	// Observe is called at the end of every request, for metrics. Nil is none.
	Observe func(Observation)
}

// Observation is what is counted of a request. Method and route are bounded.
type Observation struct {
	Method string // a known method, or OTHER
	Route  string // the pattern of the route, or "unmatched"
	Status int    // 499 when the client went away before the answer
	Bytes  int64  // of the body
	Took   time.Duration
}

// unmatched is the route of a request that no handler claimed.
const unmatched = "unmatched"

// state is what the house learns about a request on its way. The mutex is for
// handlers that are run in a goroutine of their own.
type state struct {
	client  netip.Addr
	docsURL string

	mu    sync.Mutex
	route string
	code  string
	err   error
	fail  func(w http.ResponseWriter, r *http.Request, err error)
}

type stateKey struct{}

func stateOf(ctx context.Context) *state {
	s, _ := ctx.Value(stateKey{}).(*state)
	return s
}

// SetRoute tells the access line and the metrics which route the request
// matched. The pattern is the declared one, never the path: paths and queries
// hold addresses and codes.
func SetRoute(ctx context.Context, pattern string) {
	if s := stateOf(ctx); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.route = pattern
	}
}

// SetFail says who renders what the house itself refuses from here on, which
// is a panic, in place of [Config.Fail]: a person who looks at a page gets one.
func SetFail(ctx context.Context, fail func(w http.ResponseWriter, r *http.Request, err error)) {
	if s := stateOf(ctx); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail = fail
	}
}

// Note hands an error to the access line, which shows the code of a fault and,
// for a status of 500 or more, the whole error. The writers of this package
// call it; a surface with a writer of its own calls it as well.
func Note(ctx context.Context, err error) {
	if s := stateOf(ctx); s != nil && err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.code, s.err = codeOf(err), err
	}
}

// noteCode is Note for a writer that knows no more than the code; it leaves
// the error that may have been noted before.
func noteCode(ctx context.Context, code string) {
	if s := stateOf(ctx); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.code = code
	}
}

// ClientIP returns the address of the client as far as it can be believed, for
// limits and for the audit trail. It is the zero Addr outside of [House] and on
// a unix socket.
func ClientIP(ctx context.Context) netip.Addr {
	if s := stateOf(ctx); s != nil {
		return s.client
	}
	return netip.Addr{}
}
