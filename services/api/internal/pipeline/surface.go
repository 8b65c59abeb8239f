package pipeline

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
)

// Clients of the verification flow run in pages of other origins. Such a client
// reads JSON of one shape, whatever became of its call, and never hears of an
// answer that the browser keeps from it: it waits for ever. So all paths of
// that surface answer known origins, those that are not there too.

// Surface is a part of the paths, whose clients call it from pages of other
// origins and read errors in a shape of their own.
type Surface struct {
	// Holds reports whether a path is part of it.
	Holds func(path string) bool
	// WriteFault renders what no route of a path has answered; nil means the
	// API's shape.
	WriteFault func(w http.ResponseWriter, r *http.Request, err error)
}

// OfService reports whether a path is below one of the services into which the
// contract's verification flow is cut: /verification-srv, /login-srv and the
// others that are named like them. A client whose base URL ends in a slash
// calls them with two.
func OfService(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return strings.HasSuffix(first, "-srv")
}

// surfaceMethods are those that the clients of a surface call paths by. A
// browser is told all of them, so that the client hears which one is wrong.
const surfaceMethods = "GET, POST, PUT, DELETE"

// surface is the one that holds a path, or nil.
func (p *Pipeline) surface(path string) *Surface {
	for i := range p.Surfaces {
		if p.Surfaces[i].Holds(path) {
			return &p.Surfaces[i]
		}
	}
	return nil
}

func (s *Surface) writeFault(w http.ResponseWriter, r *http.Request, err error) {
	if s == nil || s.WriteFault == nil {
		web.WriteFault(w, r, err)
		return
	}
	s.WriteFault(w, r, err)
}

// callable names the methods that a browser may try on a path.
func (p *Pipeline) callable(mux chi.Router, r *http.Request) string {
	if p.surface(r.URL.Path) != nil {
		return surfaceMethods
	}
	return Allowed(mux, r)
}

// notFound answers for paths that nobody has declared. On a surface a browser
// may ask before it calls one, and the client may read the answer.
func (p *Pipeline) notFound(mux chi.Router) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		surface := p.surface(r.URL.Path)
		if surface != nil && r.Method == http.MethodOptions {
			p.preflight(mux, w, r)
			return
		}
		p.crossOrigin(w, r, surface != nil)
		surface.writeFault(w, r, fault.New(fault.NotFound, "not_found", "there is no such path; see the API documentation"))
	}
}
