// Package twilio is a fake of Twilio's Messages API that keeps state, speaks
// the wire format and misbehaves on demand.
//
// Tests mount a [Server] on httptest; compose runs it as cmd/fake-twilio. The
// code under test talks to it through the real client library. The package
// owns the log of accepted messages, which is the truth that delivery tests
// compare with; it knows nothing of Countersign and uses the standard library
// only.
//
//	POST   /2010-04-01/Accounts/{sid}/Messages.json        send, like Twilio
//	GET    /2010-04-01/Accounts/{sid}/Messages.json        list, paged, like Twilio
//	GET    /2010-04-01/Accounts/{sid}/Messages/{id}.json   one message
//	GET    /_log        what was received, accepted and called back (JSON)
//	DELETE /_log        forget it
//	POST   /_faults     what to do wrong with the next messages, see [Faults]
//	DELETE /_faults     behave again
//	PUT    /_callbacks  how to call back from now on, see [Callbacks]
//
// The paths that start with an underscore have no password and show message
// texts: never let a fake listen where strangers reach it.
package twilio

import (
	"context"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

// Options are the settings of a fake. Empty values take the default.
type Options struct {
	AccountSID string // default [AccountSID]
	AuthToken  string // default [AuthToken]; also signs the callbacks
	Callbacks  Callbacks
	// Received is called for each call to the Messages API once its answer is
	// decided, before it is sent. May be nil.
	Received func(Call)
	// ListLag is how old a message must be to show up in the list.
	ListLag time.Duration
	Now     func() time.Time // default time.Now
	Client  *http.Client     // for callbacks; default one with 5 s timeout
}

// The credentials of a fake that was given none.
const (
	AccountSID = "AC00000000000000000000000000000000"
	AuthToken  = "00000000000000000000000000000000"
)

// Server is the fake. It is safe for concurrent use.
type Server struct {
	options Options
	mux     *http.ServeMux
	stopped context.Context // ends callbacks and stalls
	stop    context.CancelFunc

	mu        sync.Mutex
	callbacks Callbacks
	faults    Faults
	log       Log
	resources map[string]*resource // by sid
	closed    bool
	pending   int        // messages whose callbacks are on their way
	settled   *sync.Cond // pending fell to zero
}

var _ http.Handler = (*Server)(nil)

// New makes a fake. Close ends its callbacks.
func New(options Options) *Server {
	if options.AccountSID == "" {
		options.AccountSID = AccountSID
	}
	if options.AuthToken == "" {
		options.AuthToken = AuthToken
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Client == nil {
		options.Client = &http.Client{Timeout: 5 * time.Second}
	}
	s := &Server{
		options:   options,
		mux:       http.NewServeMux(),
		callbacks: options.Callbacks,
		resources: map[string]*resource{},
	}
	s.settled = sync.NewCond(&s.mu)
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.mux.HandleFunc("POST /2010-04-01/Accounts/{account}/Messages.json", s.create)
	s.mux.HandleFunc("GET /2010-04-01/Accounts/{account}/Messages.json", s.list)
	s.mux.HandleFunc("GET /2010-04-01/Accounts/{account}/Messages/{file}", s.fetch)
	s.mux.HandleFunc("GET /_log", s.showLog)
	s.mux.HandleFunc("DELETE /_log", s.clearLog)
	s.mux.HandleFunc("POST /_faults", s.addFaults)
	s.mux.HandleFunc("DELETE /_faults", s.clearFaults)
	s.mux.HandleFunc("PUT /_callbacks", s.setCallbacks)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close stops stalls and callbacks and waits for them. Messages that are
// accepted afterwards are not called back.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.Settle()
}

// authorized compares the credentials and answers 401 or 404 itself.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	if !ok || !same(user, s.options.AccountSID) || !same(password, s.options.AuthToken) {
		writeError(w, failure{http.StatusUnauthorized, 20003, "Authentication failed"})
		return false
	}
	if r.PathValue("account") != s.options.AccountSID {
		writeError(w, failure{http.StatusNotFound, 20404, "No resource at " + r.URL.Path})
		return false
	}
	return true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
