package twilio

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"unicode/utf8"
)

const (
	longestForm      = 64 << 10
	longestBody      = 1600
	longestValidity  = 36000 // seconds; also what Twilio takes when none is given
	defaultValidity  = 36000
	answerCreated    = "201"
	answerDropped    = "dropped"
	answerGarbage    = "garbage"
	answerAbandoned  = "abandoned" // the caller left during a stall
	answerRedirected = "redirect"
)

var (
	number       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	alphanumeric = regexp.MustCompile(`^[A-Za-z0-9 ]{1,11}$`)
	serviceSID   = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

// The numbers that Twilio's test credentials refuse, and how.
var magic = map[string]failure{
	"+15005550001": {http.StatusBadRequest, 21211, "The number in To is not valid"},
	"+15005550002": {http.StatusBadRequest, 21612, "No route to the number in To"},
	"+15005550003": {http.StatusBadRequest, 21408, "Sending to this region is not permitted"},
	"+15005550004": {http.StatusBadRequest, 21610, "The recipient has opted out"},
	"+15005550009": {http.StatusBadRequest, 21614, "The number in To is not a mobile number"},
}

// create takes a message, or does what a fault says.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if err := r.ParseForm(); err != nil {
		writeError(w, failure{http.StatusBadRequest, 20001, "The form cannot be read"})
		return
	}
	form := r.PostForm
	call := Call{At: s.options.Now(), To: form.Get("To")}
	rec := &recorder{ResponseWriter: w}
	if !s.authorized(rec, r) {
		call.Answer = strconv.Itoa(rec.status)
		s.note(call)
		return
	}
	if fault := s.takeFault(call.To); fault != nil {
		s.misbehave(w, r, *fault, call)
		return
	}
	s.answer(w, form, call)
}

// answer is what Twilio does on a good day.
func (s *Server) answer(w http.ResponseWriter, form url.Values, call Call) {
	if problem := validate(form); problem != nil {
		call.Answer = strconv.Itoa(problem.status)
		s.note(call)
		writeError(w, *problem)
		return
	}
	m := s.accept(form)
	call.Answer, call.SID = answerCreated, m.SID
	s.note(call)
	s.mu.Lock()
	body := s.resources[m.SID].json(s.options.AccountSID)
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, body)
	s.callBack(m)
}

// accept keeps a message that validated.
func (s *Server) accept(form url.Values) Message {
	validity := defaultValidity
	if text := form.Get("ValidityPeriod"); text != "" {
		validity, _ = strconv.Atoi(text)
	}
	m := Message{
		At:                  s.options.Now(),
		SID:                 newSID(),
		To:                  form.Get("To"),
		From:                form.Get("From"),
		MessagingServiceSID: form.Get("MessagingServiceSid"),
		Body:                form.Get("Body"),
		Segments:            segments(form.Get("Body")),
		ValidityPeriod:      validity,
		StatusCallback:      form.Get("StatusCallback"),
	}
	s.keep(m)
	return m
}

// validate refuses what Twilio refuses, with its codes.
func validate(form url.Values) *failure {
	to, from, service := form.Get("To"), form.Get("From"), form.Get("MessagingServiceSid")
	bad := func(code int, message string) *failure { return &failure{http.StatusBadRequest, code, message} }
	switch {
	case to == "":
		return bad(21604, "To is missing")
	case from == "" && service == "":
		return bad(21603, "From is missing")
	case form.Get("Body") == "":
		return bad(21602, "Body is missing")
	case utf8.RuneCountInString(form.Get("Body")) > longestBody:
		return bad(21617, "Body is longer than 1600 characters")
	case !number.MatchString(to):
		return bad(21211, "The number in To is not valid: "+to)
	case from != "" && !number.MatchString(from) && !alphanumeric.MatchString(from):
		return bad(21212, "The sender in From is not valid")
	case service != "" && !serviceSID.MatchString(service):
		return bad(21701, "There is no such messaging service")
	}
	if problem := validateValidity(form.Get("ValidityPeriod")); problem != nil {
		return problem
	}
	if callback := form.Get("StatusCallback"); callback != "" {
		u, err := url.Parse(callback)
		if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return bad(21609, "StatusCallback is not a URL")
		}
	}
	if problem, ok := magic[to]; ok {
		return &problem
	}
	return nil
}

func validateValidity(text string) *failure {
	if text == "" {
		return nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 1 {
		return &failure{http.StatusBadRequest, 90014, "ValidityPeriod is not a positive integer"}
	}
	if seconds > longestValidity {
		return &failure{http.StatusBadRequest, 90007, "ValidityPeriod is longer than 36000 seconds"}
	}
	return nil
}

func newSID() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return "SM" + hex.EncodeToString(raw[:])
}

// recorder remembers the status that was written.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
