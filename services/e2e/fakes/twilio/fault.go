package twilio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Faults say what to do wrong. Next applies to the next messages in order,
// whoever they are for; ForTo to the next messages to one number, and first;
// List to the next requests for the list of messages.
type Faults struct {
	Next  []Fault            `json:"next,omitempty"`
	ForTo map[string][]Fault `json:"for_to,omitempty"`
	List  []Fault            `json:"list,omitempty"`
}

// Fault is one misbehaviour. Set one of Status, Drop, Garbage and Redirect;
// without any of them the message is answered as usual after the stall.
type Fault struct {
	// Status answers with this HTTP status and an error in Twilio's format.
	Status     int    `json:"status,omitempty"`
	Code       int    `json:"code,omitempty"`        // Twilio's own error code; default 20000 + status
	RetryAfter int    `json:"retry_after,omitempty"` // seconds, header Retry-After
	Body       string `json:"body,omitempty"`        // instead of the error, as text/html
	// Drop closes the connection without an answer, "before" or "after" the
	// message was accepted.
	Drop string `json:"drop,omitempty"`
	// StallMS waits so many milliseconds before it goes on. A caller that
	// leaves in the meantime has sent nothing, unless Store is set.
	StallMS int `json:"stall_ms,omitempty"`
	// Garbage accepts the message and answers 201 with half a JSON document.
	Garbage bool `json:"garbage,omitempty"`
	// Redirect answers 307 to this location.
	Redirect string `json:"redirect,omitempty"`
	// Store accepts the message at once, whatever the answer will say.
	Store bool `json:"store,omitempty"`
	// Times repeats the fault; 0 means once.
	Times int `json:"times,omitempty"`
}

func (f Fault) validate() error {
	kinds := 0
	for _, set := range []bool{f.Status != 0, f.Drop != "", f.Garbage, f.Redirect != ""} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return fmt.Errorf("only one of status, drop, garbage and redirect fits in one fault")
	case kinds == 0 && f.StallMS <= 0:
		return fmt.Errorf("a fault needs status, drop, garbage, redirect or stall_ms")
	case f.Drop != "" && f.Drop != "before" && f.Drop != "after":
		return fmt.Errorf("drop is before or after")
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is no HTTP status", f.Status)
	case f.StallMS < 0 || f.Times < 0 || f.RetryAfter < 0:
		return fmt.Errorf("stall_ms, times and retry_after are not negative")
	}
	return nil
}

// Fail adds faults behind those that still wait. It panics on a fault that
// makes no sense: that is a mistake in a test.
func (s *Server) Fail(faults Faults) {
	if err := s.addFaultsChecked(faults); err != nil {
		panic("twilio: " + err.Error())
	}
}

func (s *Server) addFaultsChecked(faults Faults) error {
	for _, list := range append([][]Fault{faults.Next, faults.List}, lists(faults.ForTo)...) {
		for _, f := range list {
			if err := f.validate(); err != nil {
				return err
			}
		}
	}
	for _, f := range faults.List {
		if f.Store {
			return errors.New("a list stores nothing")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.Next = append(s.faults.Next, repeat(faults.Next)...)
	s.faults.List = append(s.faults.List, repeat(faults.List)...)
	for to, list := range faults.ForTo {
		if s.faults.ForTo == nil {
			s.faults.ForTo = map[string][]Fault{}
		}
		s.faults.ForTo[to] = append(s.faults.ForTo[to], repeat(list)...)
	}
	return nil
}

func lists(m map[string][]Fault) (out [][]Fault) {
	for _, list := range m {
		out = append(out, list)
	}
	return out
}

func repeat(faults []Fault) (out []Fault) {
	for _, f := range faults {
		for range max(f.Times, 1) {
			out = append(out, f)
		}
	}
	return out
}

// takeFault removes and returns the fault for a message, nil for none.
func (s *Server) takeFault(to string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.faults.ForTo[to]; len(list) > 0 {
		s.faults.ForTo[to] = list[1:]
		return &list[0]
	}
	if list := s.faults.Next; len(list) > 0 {
		s.faults.Next = list[1:]
		return &list[0]
	}
	return nil
}

// misbehave plays one fault.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault, call Call) {
	if f.Store && validate(r.PostForm) == nil {
		m := s.accept(r.PostForm)
		call.SID = m.SID
		defer s.callBack(m) // after whatever happens below, a panic included
	}
	if !s.stall(r, f.StallMS) {
		call.Answer = answerAbandoned
		s.note(call)
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.Drop != "" || f.Garbage:
		s.lose(w, r, f, call)
	case f.Redirect != "":
		call.Answer = answerRedirected
		s.note(call)
		http.Redirect(w, r, f.Redirect, http.StatusTemporaryRedirect)
	case f.Status != 0:
		call.Answer = strconv.Itoa(f.Status)
		s.note(call)
		writeFault(w, f)
	case call.SID != "": // stored before a stall that the caller sat out
		call.Answer = answerCreated
		s.note(call)
		s.mu.Lock()
		body := s.resources[call.SID].json(s.options.AccountSID)
		s.mu.Unlock()
		writeJSON(w, http.StatusCreated, body)
	default:
		s.answer(w, r.PostForm, call)
	}
}

// lose takes a message and keeps its answer from the caller.
func (s *Server) lose(w http.ResponseWriter, r *http.Request, f Fault, call Call) {
	if f.Drop != "before" && call.SID == "" && validate(r.PostForm) == nil {
		m := s.accept(r.PostForm)
		call.SID = m.SID
		defer s.callBack(m)
	}
	if f.Garbage {
		call.Answer = answerGarbage
		s.note(call)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid": "SM`)
		return
	}
	call.Answer = answerDropped
	s.note(call)
	panic(http.ErrAbortHandler) // closes the connection without an answer
}

// stall waits. It reports false when the caller left or the fake is closing.
func (s *Server) stall(r *http.Request, ms int) bool {
	if ms <= 0 {
		return true
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.stopped.Done():
	}
	return false
}

func writeFault(w http.ResponseWriter, f Fault) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	if f.Body != "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return
	}
	code := f.Code
	if code == 0 {
		code = 20000 + f.Status
	}
	writeError(w, failure{f.Status, code, "The fake was told to answer this way"})
}
