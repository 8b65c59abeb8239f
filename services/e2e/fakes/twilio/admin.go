package twilio

import (
	"encoding/json"
	"net/http"
)

// showLog answers the whole log.
func (s *Server) showLog(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Log())
}

// clearLog forgets calls, messages and callbacks.
func (s *Server) clearLog(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.log = Log{}
	s.resources = map[string]*resource{}
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// addFaults queues faults.
func (s *Server) addFaults(w http.ResponseWriter, r *http.Request) {
	var faults Faults
	if !readJSON(w, r, &faults) {
		return
	}
	if err := s.addFaultsChecked(faults); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// clearFaults forgets the faults that still wait.
func (s *Server) clearFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.faults = Faults{}
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// setCallbacks replaces how messages are called back.
func (s *Server) setCallbacks(w http.ResponseWriter, r *http.Request) {
	var c Callbacks
	if !readJSON(w, r, &c) {
		return
	}
	s.SetCallbacks(c)
	w.WriteHeader(http.StatusNoContent)
}

// readJSON reads a small body and refuses names it does not know, so that a
// misspelled fault does not pass for good behaviour.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestForm))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
