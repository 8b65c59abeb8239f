package twilio

import (
	"slices"
	"time"
)

// Log is everything a fake saw since it started or was cleared.
type Log struct {
	Calls     []Call     `json:"calls"`
	Messages  []Message  `json:"messages"`
	Callbacks []Callback `json:"callbacks"`
	Looks     []Look     `json:"looks"`
}

// Call is one request to send a message, whatever came of it.
type Call struct {
	At     time.Time `json:"at"`
	To     string    `json:"to"`
	Answer string    `json:"answer"` // e.g. 201, 429, dropped, garbage
	// SID is set when the message was accepted, even if the answer hid that.
	SID string `json:"sid,omitempty"`
}

// Message is one accepted message: the real Twilio would have sent it.
type Message struct {
	At                  time.Time `json:"at"`
	SID                 string    `json:"sid"`
	To                  string    `json:"to"`
	From                string    `json:"from,omitempty"`
	MessagingServiceSID string    `json:"messaging_service_sid,omitempty"`
	Body                string    `json:"body"`
	Segments            int       `json:"segments"`
	ValidityPeriod      int       `json:"validity_period"` // seconds
	StatusCallback      string    `json:"status_callback,omitempty"`
}

// Callback is one status callback and how it was answered.
type Callback struct {
	At     time.Time `json:"at"`
	SID    string    `json:"sid"`
	Status string    `json:"status"` // the message's, e.g. delivered
	URL    string    `json:"url"`
	Answer int       `json:"answer"` // HTTP status, 0 when there was none
}

// Look is one request for the list of messages.
type Look struct {
	At     time.Time `json:"at"`
	To     string    `json:"to"`     // the number it was narrowed to
	Answer string    `json:"answer"` // e.g. 200, 503, dropped
}

// Log returns a copy of the log.
func (s *Server) Log() Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Log{
		Calls:     append([]Call{}, s.log.Calls...),
		Messages:  append([]Message{}, s.log.Messages...),
		Callbacks: append([]Callback{}, s.log.Callbacks...),
		Looks:     append([]Look{}, s.log.Looks...),
	}
}

// To returns the accepted messages to one number, oldest first.
func (l Log) To(number string) []Message {
	return slices.DeleteFunc(slices.Clone(l.Messages), func(m Message) bool { return m.To != number })
}

// Message returns an accepted message by its SID.
func (s *Server) Message(sid string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.resources[sid]
	if !ok {
		return Message{}, false
	}
	return r.message, true
}

// note writes a call down and tells whoever wants to know.
func (s *Server) note(call Call) {
	s.mu.Lock()
	s.log.Calls = append(s.log.Calls, call)
	s.mu.Unlock()
	if s.options.Received != nil {
		s.options.Received(call)
	}
}

// keep writes an accepted message down.
func (s *Server) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Messages = append(s.log.Messages, m)
	s.resources[m.SID] = &resource{message: m, status: "queued", updated: m.At}
}
