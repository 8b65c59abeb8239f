// Package smtp is the fake mail server of compose: the sink that the provider's
// own tests use (pkg/rig/smtpsink), with a side to look at and steer it over
// HTTP.
//
//	GET    /_log     what was said and accepted (JSON), see [smtpsink.Log]
//	DELETE /_log     forget it
//	POST   /_faults  what to do wrong next (JSON), see [Faults]
//	DELETE /_faults  behave again
//
// The paths have no password and show whole mails: never let a fake listen
// where strangers reach it.
package smtp

import (
	"encoding/json"
	"net/http"

	"countersign.dev/pkg/rig/smtpsink"
)

// Faults say what to do wrong, in this order where several are for one point.
type Faults struct {
	Faults []smtpsink.Fault `json:"faults"`
}

// CloseFirst makes the first n connections end in the middle of their first
// mail, every other one with 421.
func CloseFirst(n int) []smtpsink.Fault {
	var out []smtpsink.Fault
	for i := range n {
		if i%2 == 0 {
			out = append(out, smtpsink.Fault{At: smtpsink.Rcpt, Close: true})
		} else {
			out = append(out, smtpsink.Fault{At: smtpsink.Rcpt, Code: 421})
		}
	}
	return out
}

// longestBody of a request.
const longestBody = 64 << 10

// Admin is the HTTP side of a sink.
func Admin(sink *smtpsink.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_log", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(sink.Log())
	})
	mux.HandleFunc("DELETE /_log", func(w http.ResponseWriter, _ *http.Request) {
		sink.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /_faults", func(w http.ResponseWriter, r *http.Request) {
		var faults Faults
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestBody))
		decoder.DisallowUnknownFields() // a misspelled fault must not pass for good behaviour
		if err := decoder.Decode(&faults); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := sink.Fail(faults.Faults...); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /_faults", func(w http.ResponseWriter, _ *http.Request) {
		sink.Behave()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}
