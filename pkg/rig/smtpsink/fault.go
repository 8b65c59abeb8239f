package smtpsink

import (
	"errors"
	"fmt"
	"slices"
)

// Point is a moment of a conversation at which the sink can misbehave.
type Point string

// The points, in the order of a conversation.
const (
	Connect  Point = "connect" // taken, not greeted; a code is said and the connection closed
	Banner   Point = "banner"  // the greeting; after a code the client may say QUIT
	EHLO     Point = "ehlo"
	StartTLS Point = "starttls"
	Auth     Point = "auth"
	MailFrom Point = "mail" // MAIL FROM
	Rcpt     Point = "rcpt"
	Data     Point = "data" // the command; the content is there at Dot
	Dot      Point = "dot"
	Quit     Point = "quit"
)

// Points are all of them.
var points = []Point{Connect, Banner, EHLO, StartTLS, Auth, MailFrom, Rcpt, Data, Dot, Quit}

// Points returns all points, in the order of a conversation.
func Points() []Point { return slices.Clone(points) }

// Fault is one misbehaviour. At most one of Code, Close and Stall is set;
// without any of them the conversation goes on as usual after the delay.
type Fault struct {
	At Point `json:"at"`
	// Code is answered instead. After 421 the sink hangs up.
	Code int `json:"code,omitempty"`
	// Close hangs up without an answer.
	Close bool `json:"close,omitempty"`
	// Stall says nothing until the client hangs up or the sink ends.
	Stall bool `json:"stall,omitempty"`
	// DelayMS waits so many milliseconds first.
	DelayMS int `json:"delay_ms,omitempty"`
	// Hold waits until it is closed first. In a test's own process only.
	Hold <-chan struct{} `json:"-"`
	// Store keeps the mail before anything else happens, at Dot only.
	Store bool `json:"store,omitempty"`
	// Inject is sent in one piece with the usual answer, as somebody on the
	// way would add it.
	Inject string `json:"inject,omitempty"`
	// To narrows it to mails for one address, from Rcpt on.
	To string `json:"to,omitempty"`
	// Times repeats the fault; 0 means once.
	Times int `json:"times,omitempty"`
}

func (f Fault) validate() error {
	kinds := 0
	for _, set := range []bool{f.Code != 0, f.Close, f.Stall} {
		if set {
			kinds++
		}
	}
	switch {
	case !slices.Contains(points, f.At):
		return fmt.Errorf("at is one of %v", points)
	case kinds > 1:
		return errors.New("only one of code, close and stall fits in one fault")
	case kinds == 0 && f.DelayMS == 0 && f.Hold == nil && f.Inject == "":
		return errors.New("a fault needs code, close, stall, delay_ms or inject")
	case f.Code != 0 && (f.Code < 200 || f.Code > 599):
		return fmt.Errorf("%d is no reply code", f.Code)
	case f.DelayMS < 0 || f.Times < 0:
		return errors.New("delay_ms and times are not negative")
	case f.Store && f.At != Dot:
		return errors.New("there is something to store at dot only")
	case f.To != "" && !slices.Contains([]Point{Rcpt, Data, Dot}, f.At):
		return errors.New("nobody knows whom a mail is for before rcpt")
	}
	return nil
}

// Fail adds faults behind those that still wait. It adds all or none.
func (s *Server) Fail(faults ...Fault) error {
	for _, f := range faults {
		if err := f.validate(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		for range max(f.Times, 1) {
			s.faults = append(s.faults, f)
		}
	}
	return nil
}

// Behave forgets the faults that still wait.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the first fault that waits for a point.
func (s *Server) fault(at Point, to []string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.At == at && (f.To == "" || slices.Contains(to, f.To)) })
	if i < 0 {
		return Fault{}, false
	}
	f := s.faults[i]
	s.faults = slices.Delete(s.faults, i, i+1)
	return f, true
}
