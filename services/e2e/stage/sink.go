package stage

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig/smtpsink"
)

// Sink is a mail server in the test's own process: what it wrote down survives
// every kill. It counts what it took, with a signal for each mail.
type Sink struct {
	*smtpsink.Server
	// Settings make an email worker send through it.
	Settings []string

	mu   sync.Mutex
	more chan struct{}
	sum  int
	to   map[string]int // by address
}

// NewSink starts one that lives until the test ends.
func NewSink(tb testing.TB) *Sink {
	tb.Helper()
	s := &Sink{more: make(chan struct{}), to: map[string]int{}}
	s.Server = smtpsink.New(smtpsink.Options{Stored: s.stored})
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s.Settings = []string{
		"COUNTERSIGN_EMAIL_PROVIDER=smtp", "COUNTERSIGN_SMTP_HOST=127.0.0.1", "COUNTERSIGN_SMTP_PORT=" + port,
		"COUNTERSIGN_SMTP_TLS=none", "COUNTERSIGN_SMTP_FROM=no-reply@acme.test",
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(listener); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() { s.Close(); serving.Wait() })
	return s
}

func (s *Sink) stored(m smtpsink.Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum++
	for _, address := range m.To {
		s.to[address]++
	}
	close(s.more)
	s.more = make(chan struct{})
}

// Taken is how many mails it took.
func (s *Sink) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sum
}

// TakenFor is how many mails it took for an address.
func (s *Sink) TakenFor(address string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to[address]
}

// Await returns when done holds, which is asked at each mail.
func (s *Sink) Await(tb testing.TB, within time.Duration, what string, done func() bool) {
	tb.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		s.mu.Lock()
		more := s.more
		s.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-more:
		case <-limit.C:
			tb.Fatalf("not within %v: %s; %d mails were taken", within, what, s.Taken())
		}
	}
}

// Mail returns the n-th mail to an address, as soon as it is there.
func (s *Sink) Mail(tb testing.TB, address string, n int) smtpsink.Mail {
	tb.Helper()
	s.Await(tb, untilWithin, fmt.Sprintf("mail %d to %s", n, address), func() bool { return s.TakenFor(address) >= n })
	return s.Log().To(address)[n-1]
}

// linkPath is what the address of every link holds.
const linkPath = "/magic-link/verify/"

// Link returns the link of a mail, from its plain text; empty when it has none.
func Link(text string) string {
	for word := range strings.FieldsSeq(text) {
		if strings.Contains(word, linkPath) {
			return word
		}
	}
	return ""
}
