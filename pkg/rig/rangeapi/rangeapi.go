// Package rangeapi is a fake of the range API that tells which passwords were
// in a breach: five digits of a SHA-1 go in, the rows that begin with them come
// out. It misbehaves on demand.
//
// Tests mount a [Server] on httptest; compose runs it as
// services/e2e/cmd/fake-breach. It keeps what it was asked with all headers, so
// that tests can say what it did not learn. It knows nothing of Countersign.
//
//	GET    /range/{prefix}  rows SUFFIX:COUNT, padded with rows of count 0 where Add-Padding asks for it
//	GET    /_log            what was asked (JSON)
//	DELETE /_log            forget it
//	POST   /_faults         what to do wrong with the next questions, see [Fault] (JSON list)
//	DELETE /_faults         behave again
//	PUT    /_passwords      the passwords that were in a breach, each with its count (JSON object)
//
// The paths that start with an underscore have no password: never let a fake
// listen where strangers reach it.
package rangeapi

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Call is one question, whatever came of it.
type Call struct {
	At     time.Time   `json:"at"`
	URL    string      `json:"url"` // path and query as they came
	Header http.Header `json:"header"`
	Body   int64       `json:"body"`   // its length
	Answer string      `json:"answer"` // 200, 503, dropped, abandoned
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	// Asked is called for each question once its answer is decided. It may be
	// nil; set it before the first question.
	Asked func(Call)

	mux    *http.ServeMux
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	rows   map[string]int // by hash, in capitals
	faults []Fault
	calls  []Call
}

// New makes a fake that knows these passwords and how often each was seen.
func New(passwords map[string]int) *Server {
	s := &Server{mux: http.NewServeMux(), closed: make(chan struct{})}
	s.Know(passwords)
	s.mux.HandleFunc("GET /range/{prefix}", s.answer)
	s.mux.HandleFunc("GET /_log", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Calls())
	})
	s.mux.HandleFunc("DELETE /_log", func(w http.ResponseWriter, _ *http.Request) {
		s.Forget()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /_faults", s.takeFaults)
	s.mux.HandleFunc("DELETE /_faults", func(w http.ResponseWriter, _ *http.Request) {
		s.Behave()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("PUT /_passwords", func(w http.ResponseWriter, r *http.Request) {
		var passwords map[string]int
		if readJSON(w, r, &passwords) {
			s.Know(passwords)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends stalls.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

// Know replaces the passwords.
func (s *Server) Know(passwords map[string]int) {
	rows := map[string]int{}
	for password, count := range passwords {
		rows[digest(password)] = count
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = rows
}

func digest(password string) string {
	sum := sha1.Sum([]byte(password))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// Calls returns what was asked since the fake was made or told to forget.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call{}, s.calls...)
}

// Forget empties the log.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

var prefixShape = regexp.MustCompile(`^[0-9A-Fa-f]{5}$`)

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	call := Call{At: time.Now(), URL: r.URL.RequestURI(), Header: r.Header.Clone(), Body: r.ContentLength}
	fault := s.nextFault()
	if !s.stall(r, fault.StallMS) {
		s.note(call, "abandoned")
		panic(http.ErrAbortHandler)
	}
	switch {
	case fault.Drop:
		s.note(call, "dropped")
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case fault.Redirect != "":
		s.note(call, "redirected")
		http.Redirect(w, r, fault.Redirect, http.StatusTemporaryRedirect)
	case fault.Status != 0 || fault.Body != nil:
		status := max(fault.Status, http.StatusOK)
		s.note(call, fmt.Sprint(status))
		w.WriteHeader(status)
		if fault.Body != nil {
			_, _ = w.Write([]byte(*fault.Body))
		}
	case r.UserAgent() == "":
		s.note(call, "403")
		http.Error(w, "a user agent is required", http.StatusForbidden)
	case !prefixShape.MatchString(r.PathValue("prefix")):
		s.note(call, "400")
		http.Error(w, "The hash prefix was not in a valid format", http.StatusBadRequest)
	default:
		s.note(call, "200")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(s.body(strings.ToUpper(r.PathValue("prefix")), r.Header.Get("Add-Padding") == "true", fault.SmallLetters)))
	}
}

// body is what the API answers: the rows in order, and with padding 800 to
// 1,000 of them. Without it there is one at least, since every prefix of the
// real API has some.
func (s *Server) body(prefix string, padded, small bool) string {
	s.mu.Lock()
	var rows []string
	for hash, count := range s.rows {
		if rest, ok := strings.CutPrefix(hash, prefix); ok {
			rows = append(rows, fmt.Sprintf("%s:%d", rest, count))
		}
	}
	s.mu.Unlock()
	rows = append(rows, fmt.Sprintf("%s:1", digest("row of " + prefix)[5:]))
	if padded {
		for range 800 + rand.IntN(200) - len(rows) {
			rows = append(rows, fmt.Sprintf("%s:0", digest(fmt.Sprint("padding ", rand.Uint64()))[5:]))
		}
	}
	slices.Sort(rows)
	text := strings.Join(rows, "\r\n")
	if small {
		text = strings.ToLower(text)
	}
	return text
}

// note writes a question down and tells whoever wants to know.
func (s *Server) note(call Call, answer string) {
	call.Answer = answer
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()
	if s.Asked != nil {
		s.Asked(call)
	}
}
