package pipeline

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/app"
)

// Pages of other origins may call some paths, from a browser and never with
// its cookies. Which origins that are, apps say: the name of an origin is
// compared as it is, and one that nobody lists is not answered with any header
// . Before an app is known, as in a preflight, it is enough that some
// app lists it: such an answer says nothing that is anybody's.

// Origins tells whether pages of an origin may call.
type Origins interface {
	// OriginKnown reports whether an active app of a living organization lists
	// the origin, which is compared as a text.
	OriginKnown(ctx context.Context, origin string) (bool, error)
}

const (
	allowOrigin = "Access-Control-Allow-Origin"
	// preflightLife is how long a browser need not ask again.
	preflightLife = "600"
	// allowedHeaders are those that the contract's clients send.
	allowedHeaders = "Content-Type, Authorization, requestId, trackId, acceptlanguage, accept-language, lat, lon, captcha, bot_captcha_response"
	// maxOrigin is longer than any: scheme, a name of 253 characters, port.
	maxOrigin = 300
)

// ratePreflights is for browsers, of which many share an address.
var ratePreflights = Rate{Class: "preflights", Rate: ephemeral.Rate{Burst: 1000, Per: 5 * time.Second}}

// crossing is which pages of another origin may read an answer.
type crossing struct {
	open   bool   // it depends on the origin
	origin string // the one that may; empty for none
}

// crossOrigin lets pages of a known origin read the answer, whatever it will
// be.
func (p *Pipeline) crossOrigin(w http.ResponseWriter, r *http.Request, open bool) *crossing {
	c := &crossing{open: open}
	if origin, ok := originOf(r); open && ok && p.knows(r.Context(), origin) {
		c.origin = origin
	}
	c.write(w.Header())
	return c
}

func (c *crossing) write(header http.Header) {
	if c.open {
		header.Add("Vary", "Origin")
	}
	if c.origin != "" {
		header.Set(allowOrigin, c.origin)
	}
}

// narrow leaves the answer to pages of one app.
func (c *crossing) narrow(header http.Header, a app.App) {
	if !slices.Contains(a.Origins, c.origin) {
		c.origin = ""
		header.Del(allowOrigin)
	}
}

// originOf is the one origin that a request names; "null" names none.
func originOf(r *http.Request) (string, bool) {
	given := r.Header.Values("Origin")
	if len(given) != 1 || len(given[0]) > maxOrigin || !strings.Contains(given[0], "://") {
		return "", false
	}
	return given[0], true
}

func (p *Pipeline) knows(ctx context.Context, origin string) bool {
	if p.Origins == nil {
		return false
	}
	known, err := p.Origins.OriginKnown(ctx, origin)
	if err != nil {
		p.Log.WarnContext(ctx, "origin not looked up", "error", err)
	}
	return known && err == nil
}

// preflights answers preflights of a path.
func (p *Pipeline) preflights(mux chi.Router, path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		web.SetRoute(r.Context(), path)
		p.preflight(mux, w, r)
	}
}

// preflight answers what a browser asks before it calls a path.
func (p *Pipeline) preflight(mux chi.Router, w http.ResponseWriter, r *http.Request) {
	if err := p.limit(r.Context(), ratePreflights, Call{Source: web.ClientIP(r.Context())}); err != nil {
		p.surface(r.URL.Path).writeFault(w, r, err)
		return
	}
	if c := p.crossOrigin(w, r, true); c.origin != "" {
		w.Header().Set("Access-Control-Allow-Methods", p.callable(mux, r))
		w.Header().Set("Access-Control-Allow-Headers", allowedHeaders)
		w.Header().Set("Access-Control-Max-Age", preflightLife)
	}
	if allow := Allowed(mux, r); allow != "" {
		w.Header().Set("Allow", allow)
	}
	w.WriteHeader(http.StatusNoContent)
}

// methodNotAllowed answers for paths that take other methods. A path that
// takes preflights is one that pages of other origins may call.
func (p *Pipeline) methodNotAllowed(mux chi.Router) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.crossOrigin(w, r, mux.Match(chi.NewRouteContext(), http.MethodOptions, r.URL.EscapedPath()))
		w.Header().Set("Allow", Allowed(mux, r))
		p.surface(r.URL.Path).writeFault(w, r, fault.New(fault.Method, "method_not_allowed", "this path does not take that method; the Allow header names those it takes"))
	}
}
