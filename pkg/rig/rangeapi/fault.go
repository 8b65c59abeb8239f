package rangeapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Fault is one misbehaviour. Without any of Status, Body, Drop and Redirect the
// question is answered as usual, after the stall.
type Fault struct {
	// Status answers with it, with Body if there is one; Body alone with 200.
	Status int     `json:"status,omitempty"`
	Body   *string `json:"body,omitempty"`
	// Drop closes the connection without an answer.
	Drop bool `json:"drop,omitempty"`
	// Redirect answers 307 to this location.
	Redirect string `json:"redirect,omitempty"`
	// StallMS waits so many milliseconds before it goes on.
	StallMS int `json:"stall_ms,omitempty"`
	// SmallLetters answers as usual, with a to f for A to F.
	SmallLetters bool `json:"small_letters,omitempty"`
	// Times repeats the fault; 0 means once.
	Times int `json:"times,omitempty"`
}

func (f Fault) validate() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is no HTTP status", f.Status)
	case f.StallMS < 0 || f.Times < 0:
		return fmt.Errorf("stall_ms and times are not negative")
	case f == (Fault{Times: f.Times}):
		return fmt.Errorf("a fault needs status, body, drop, redirect, stall_ms or small_letters")
	}
	return nil
}

// Fail adds faults behind those that still wait. It panics on a fault that
// makes no sense: that is a mistake in a test.
func (s *Server) Fail(faults ...Fault) {
	if err := s.add(faults); err != nil {
		panic("rangeapi: " + err.Error())
	}
}

// Behave forgets the faults that still wait.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) add(faults []Fault) error {
	for _, f := range faults {
		if err := f.validate(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
	return nil
}

// nextFault returns the fault for a question; the zero one is none.
func (s *Server) nextFault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return Fault{}
	}
	f := &s.faults[0]
	out := *f
	if f.Times--; f.Times <= 0 {
		s.faults = s.faults[1:]
	}
	return out
}

func (s *Server) takeFaults(w http.ResponseWriter, r *http.Request) {
	var faults []Fault
	if !readJSON(w, r, &faults) {
		return
	}
	if err := s.add(faults); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
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
	case <-s.closed:
	}
	return false
}

// readJSON reads a small body and refuses names it does not know, so that a
// misspelled fault does not pass for good behaviour.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
