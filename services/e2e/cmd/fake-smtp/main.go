// Command fake-smtp runs the fake mail server that the tests use, for compose
// and for trying things out. It sends nothing to anybody.
//
// Its log and faults are at an HTTP address of their own; see package
// fakes/smtp. It prints one line for each mail it takes, with the address
// masked and without the content.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/fakes/program"
	"countersign.dev/services/e2e/fakes/smtp"
)

const name = "fake-smtp"

func main() { os.Exit(program.Main(name, start)) }

// settings come from flags, and from the environment where a flag is missing.
type settings struct {
	addr, httpAddr, user, password, faults string
	certificate                            program.Certificate
	implicit                               bool
	closeFirst                             int
}

func read(args, environ []string, out io.Writer) (settings, error) {
	var s settings
	var implicit, first string
	flags := program.NewFlags(name, environ, out)
	flags.Text(&s.addr, "addr", "127.0.0.1:1587", "listen address for mails")
	flags.Text(&s.httpAddr, "http-addr", "127.0.0.1:9912", "listen address of the log and the faults")
	flags.Text(&s.user, "user", "", "user who may send; anybody may when it is empty")
	flags.Text(&s.password, "password", "", "the user's password")
	s.certificate.Flags(flags)
	flags.Text(&implicit, "implicit", "false", "TLS from the first octet on instead of STARTTLS")
	flags.Text(&first, "close-first", "0", "hang up on so many connections first, in the middle of a mail")
	flags.Text(&s.faults, "faults", "", "faults to begin with, JSON as for /_faults")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	_, err := fmt.Sscan(implicit+" "+first, &s.implicit, &s.closeFirst)
	return s, err
}

// open makes the sink of the settings.
func open(s settings, out io.Writer) (*smtpsink.Server, *tls.Config, error) {
	options := smtpsink.Options{User: s.user, Password: s.password, Implicit: s.implicit, SMTPUTF8: true, Stored: func(m smtpsink.Mail) {
		_, _ = fmt.Fprintf(out, "%s to %s: taken %s\n", m.At.UTC().Format(time.RFC3339), mask(m.To), m.MessageID)
	}}
	if c := s.certificate; c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate: %w", err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	sink := smtpsink.New(options)
	var faults smtp.Faults
	if s.faults != "" {
		if err := json.Unmarshal([]byte(s.faults), &faults); err != nil {
			return nil, nil, fmt.Errorf("faults: %w", err)
		}
	}
	if err := sink.Fail(append(smtp.CloseFirst(s.closeFirst), faults.Faults...)...); err != nil {
		return nil, nil, fmt.Errorf("faults: %w", err)
	}
	return sink, options.TLS, nil
}

// start serves until ctx ends.
func start(ctx context.Context, args, environ []string, out io.Writer) error {
	s, err := read(args, environ, out)
	if err != nil {
		return err
	}
	sink, settings, err := open(s, out)
	if err != nil {
		return err
	}
	defer sink.Close()
	mails, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	admin, err := new(net.ListenConfig).Listen(ctx, "tcp", s.httpAddr)
	if err != nil {
		_ = mails.Close()
		return fmt.Errorf("listen: %w", err)
	}
	if settings != nil {
		admin = tls.NewListener(admin, settings.Clone())
	}
	_, _ = fmt.Fprintf(out, "fake mail server on %s, its log on %s\n", mails.Addr(), admin.Addr())
	return serve(ctx, sink, mails, admin)
}

// serve ends both servers when one of them fails or ctx ends.
func serve(ctx context.Context, sink *smtpsink.Server, mails, admin net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- sink.Serve(mails) }() // ends when it is closed below
	go func() { ended <- program.Serve(ctx, admin, smtp.Admin(sink), program.Certificate{}, sink.Close) }()
	first := <-ended
	stop()
	sink.Close()
	return errors.Join(first, <-ended)
}

// mask keeps the first character of an address, and its end.
func mask(to []string) string {
	if len(to) != 1 || len(to[0]) < 8 {
		return "•••"
	}
	return to[0][:1] + "•••••" + to[0][len(to[0])-4:]
}
