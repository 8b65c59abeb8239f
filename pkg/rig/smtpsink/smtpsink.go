// Package smtpsink is a mail server for tests: it keeps what it accepts, sends
// nothing to anybody, and misbehaves on demand at any point of a conversation.
//
// The tests of the SMTP provider mount a [Server] in their process; compose
// runs it as services/e2e/cmd/fake-smtp. It stands in for an outside party and
// must not share a bug with us: it reads the protocol by hand, as strictly as
// RFC 5321 allows, with the standard library only and nothing of ours.
//
// Its log shows whole mails: never let a sink listen where strangers reach it.
package smtpsink

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// Options are the settings of a sink. The zero value is a server without TLS
// and without passwords.
type Options struct {
	// TLS has the certificate. With it the server offers STARTTLS, and takes
	// no mail before that.
	TLS *tls.Config
	// Implicit speaks TLS from the first octet on instead.
	Implicit bool
	// NoStartTLS hides STARTTLS, as one who strips it from the conversation does.
	NoStartTLS bool
	// User and Password must be given by AUTH before any mail, when set.
	User, Password string
	// SMTPUTF8 offers that extension.
	SMTPUTF8 bool
	// Hello is the name of the server, "sink.test" when empty.
	Hello string
	// Reached is called whenever a conversation comes to a point, before
	// anything is answered. It may be nil.
	Reached func(At)
	// Stored is called for each mail that was accepted. It may be nil.
	Stored func(Mail)
	Now    func() time.Time // default time.Now
}

// At is one point that one connection came to.
type At struct {
	Connection int
	Point      Point
}

// Server is the sink. It is safe for concurrent use.
type Server struct {
	options Options
	stopped context.Context // ends stalls
	stop    context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	open      map[net.Conn]struct{}
	faults    []Fault
	log       Log
	count     int // connections since the start, those of a cleared log as well
	closed    bool
}

// New makes a sink. Close ends its conversations.
func New(options Options) *Server {
	if options.Hello == "" {
		options.Hello = "sink.test"
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Server{options: options, listeners: map[net.Listener]struct{}{}, open: map[net.Conn]struct{}{}}
	s.stopped, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve takes connections until the listener or the sink is closed. It closes
// the listener and returns nil when that was the sink's own doing.
func (s *Server) Serve(listener net.Listener) error {
	defer func() { _ = listener.Close() }()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.listeners[listener] = struct{}{}
	s.mu.Unlock()
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		case !s.take(conn):
			_ = conn.Close()
			return nil
		}
	}
}

// take starts one conversation, unless the sink is closed.
func (s *Server) take(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.count++
	s.open[conn] = struct{}{}
	s.log.Connections = append(s.log.Connections, Connection{Number: s.count, Commands: []string{}})
	c := &session{Server: s, conn: conn, number: s.count}
	s.running.Go(func() {
		c.run()
		_ = conn.Close()
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
	})
	return true
}

// Close hangs up on everybody and waits for the end of all conversations.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for listener := range s.listeners {
		_ = listener.Close()
	}
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.stop()
	s.running.Wait()
}

// HangUp closes the connections that are open, as a server does that is tired
// of waiting, and goes on with new ones.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// Open is how many connections there are now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
