package smtp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig/smtpsink"
)

// cell is what comes of one failure: what the worker is told, how often it
// calls, and how many mails there are when it has followed that.
type cell struct {
	told  string
	tries int
	mails int
}

func again(reason string) cell     { return cell{"again " + reason, 2, 1} }
func permanent(reason string) cell { return cell{"permanent " + reason, 1, 0} }

// twice is the one kind of cell with two mails: the first was taken and its
// answer lost.
func twice() cell { return cell{"ambiguous no_answer", 2, 2} }

var (
	verdicts = []string{"4xx", "5xx", "421", "close", "stall"}

	lost  = again("no_answer")
	fine  = cell{"sent", 1, 1}
	c421  = again("server_error:421")
	codes = map[smtpsink.Point][2]int{
		smtpsink.Connect: {450, 554}, smtpsink.Banner: {450, 554}, smtpsink.EHLO: {451, 502}, smtpsink.StartTLS: {454, 501},
		smtpsink.Auth: {454, 535}, smtpsink.MailFrom: {451, 550}, smtpsink.Rcpt: {450, 550}, smtpsink.Data: {451, 554},
		smtpsink.Dot: {452, 554}, smtpsink.Quit: {450, 554},
	}
	matrix = map[smtpsink.Point][]cell{
		smtpsink.Connect:  {again("server_error:450"), again("redirected"), c421, lost, lost},
		smtpsink.Banner:   {again("server_error:450"), again("redirected"), c421, lost, lost},
		smtpsink.EHLO:     {again("server_error:451"), again("redirected"), c421, lost, lost},
		smtpsink.StartTLS: {again("server_error:454"), again("tls"), c421, lost, lost},
		smtpsink.Auth:     {again("server_error:454"), again("credentials"), c421, lost, lost},
		smtpsink.MailFrom: {again("server_error:451"), permanent("refused:550"), c421, lost, lost},
		smtpsink.Rcpt:     {{"later 1m0s refused:450", 2, 1}, permanent("refused:550"), c421, lost, lost},
		smtpsink.Data:     {again("server_error:451"), permanent("refused:554"), c421, lost, lost},
		smtpsink.Dot:      {again("server_error:452"), permanent("refused:554"), c421, twice(), twice()},
		smtpsink.Quit:     {fine, fine, fine, fine, fine},
	}
)

// faultOf makes the misbehaviour of a cell. A server that falls silent at the
// dot has the mail.
func faultOf(p smtpsink.Point, verdict string) smtpsink.Fault {
	f := smtpsink.Fault{At: p}
	switch verdict {
	case "4xx":
		f.Code = codes[p][0]
	case "5xx":
		f.Code = codes[p][1]
	case "421":
		f.Code = 421
	case "close":
		f.Close, f.Store = true, p == smtpsink.Dot
	case "stall":
		f.Stall, f.Store = true, p == smtpsink.Dot
	}
	return f
}

// Each way in which each step of a conversation can fail has its one right
// reaction. Once the mail was taken with an answer nothing counts any more; a
// lost answer to it leads to a second mail with the same Message-ID; what was
// refused is not tried again; what is wrong with the server or our account there
// costs no mail.
//
// Covers R-075 for the SMTP provider.
func TestEachFailureHasItsOneReaction(t *testing.T) {
	t.Parallel()
	cells := 0
	for _, p := range smtpsink.Points() {
		for i, verdict := range verdicts {
			cells++
			want := matrix[p][i]
			t.Run(fmt.Sprintf("%s %s", p, verdict), func(t *testing.T) {
				t.Parallel()
				s := stage(t)
				if verdict == "stall" {
					s.provider.limit = impatientAt(p)
				}
				s.fail(t, faultOf(p, verdict))
				if got := s.follow(t); got != want.told {
					t.Errorf("the worker was told %q, want %q", got, want.told)
				}
				s.provider.Close() // says QUIT
				log := s.sink.Log()
				tries := log.Count("MAIL") // every call comes to MAIL, or ends before in a connection of its own
				if p != smtpsink.MailFrom && p != smtpsink.Rcpt && p != smtpsink.Data && p != smtpsink.Dot {
					tries = len(log.Connections)
				}
				if tries != want.tries || len(log.Mails) != want.mails {
					t.Errorf("%d tries and %d mails, want %d and %d: %+v", tries, len(log.Mails), want.tries, want.mails, log.Connections)
				}
				for _, m := range log.Mails {
					if m.MessageID != "<dlv_0123456789abcdef@countersign.test>" {
						t.Errorf("a mail has the id %s", m.MessageID)
					}
				}
			})
		}
	}
	if cells != 50 {
		t.Errorf("%d cells, not 50", cells)
	}
}

// impatientAt gives up at once at the first exchange of a kind, and never at
// any other.
func impatientAt(p smtpsink.Point) func(point) time.Duration {
	at := map[smtpsink.Point]point{
		smtpsink.Connect: atGreeting, smtpsink.Banner: atGreeting, smtpsink.EHLO: atHello, smtpsink.StartTLS: atStartTLS,
		smtpsink.Auth: atAuth, smtpsink.MailFrom: atMail, smtpsink.Rcpt: atRcpt, smtpsink.Data: atData, smtpsink.Dot: atDot,
		smtpsink.Quit: atQuit,
	}[p]
	var done atomic.Bool
	return func(here point) time.Duration {
		if here == at && done.CompareAndSwap(false, true) {
			return 50 * time.Millisecond // the answer never comes
		}
		return time.Minute
	}
}

// follow does what a worker does with a message and returns what it was told
// at first.
func (s *scene) follow(t *testing.T) string {
	t.Helper()
	first := ""
	for range 3 {
		err := s.send(t, message)
		silent(t, err)
		if first == "" {
			first = instruction(err)
		}
		if err == nil || fault.IsPermanent(err) {
			return first
		}
	}
	t.Errorf("three tries were not enough after %s", first)
	return first
}

// The first N connections end in the middle of a mail, half of them with 421:
// whoever goes on trying gets each mail through exactly once.
//
// Covers R-075 for a server that hangs up.
func TestConnectionsThatCloseAfterMail(t *testing.T) {
	t.Parallel()
	s := stage(t)
	for range 3 {
		s.fail(t, smtpsink.Fault{At: smtpsink.Rcpt, Close: true}, smtpsink.Fault{At: smtpsink.Rcpt, Code: 421})
	}
	for err := s.send(t, message); err != nil; err = s.send(t, message) {
		if told := instruction(err); !strings.HasPrefix(told, "again ") {
			t.Fatal(told)
		}
	}
	if log := s.sink.Log(); len(log.Mails) != 1 || len(log.Connections) != 7 {
		t.Errorf("%d mails on %d connections, want 1 on 7", len(log.Mails), len(log.Connections))
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.Port = 1 }) // nobody ever does there
	err := s.send(t, message)
	if told := instruction(err); told != "again unreachable" {
		t.Error(told)
	}
	silent(t, err)
}

// A server that wants a password says so only at MAIL: that is no refusal of
// one mail.
func TestSignInFirst(t *testing.T) {
	t.Parallel()
	s := stage(t, func(o *options) { o.config.User, o.config.Password = "", Config{}.Password })
	if told := instruction(s.send(t, message)); told != "again credentials" {
		t.Error(told)
	}
}
