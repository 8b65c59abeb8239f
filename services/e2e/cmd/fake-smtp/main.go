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
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/services/e2e/fakes/smtp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Environ(), os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fake-smtp:", err)
		os.Exit(1) //nolint:gocritic // the signals go back with the process
	}
}

// settings come from flags, and from the environment where a flag is missing.
type settings struct {
	addr, httpAddr, user, password, cert, key, faults string
	implicit                                          bool
	closeFirst                                        int
}

func read(args, environ []string, out io.Writer) (settings, error) {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	var s settings
	var implicit, first string
	flags := flag.NewFlagSet("fake-smtp", flag.ContinueOnError)
	flags.SetOutput(out)
	add := func(into *string, name, variable, fallback, doc string) {
		if value := values[variable]; value != "" {
			fallback = value
		}
		flags.StringVar(into, name, fallback, doc+" ($"+variable+")")
	}
	add(&s.addr, "addr", "FAKE_SMTP_ADDR", "127.0.0.1:1587", "listen address for mails")
	add(&s.httpAddr, "http-addr", "FAKE_SMTP_HTTP_ADDR", "127.0.0.1:9912", "listen address of the log and the faults")
	add(&s.user, "user", "FAKE_SMTP_USER", "", "user who may send; anybody may when it is empty")
	add(&s.password, "password", "FAKE_SMTP_PASSWORD", "", "the user's password")
	add(&s.cert, "tls-cert", "FAKE_SMTP_TLS_CERT", "", "certificate file for STARTTLS and HTTPS")
	add(&s.key, "tls-key", "FAKE_SMTP_TLS_KEY", "", "its key file")
	add(&implicit, "implicit", "FAKE_SMTP_IMPLICIT", "false", "TLS from the first octet on instead of STARTTLS")
	add(&first, "close-first", "FAKE_SMTP_CLOSE_FIRST", "0", "hang up on so many connections first, in the middle of a mail")
	add(&s.faults, "faults", "FAKE_SMTP_FAULTS", "", "faults to begin with, JSON as for /_faults")
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
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
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
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
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

func serve(ctx context.Context, sink *smtpsink.Server, mails, admin net.Listener) error {
	server := &http.Server{Handler: smtp.Admin(sink), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- sink.Serve(mails) }() // both end when they are closed below
	go func() { ended <- server.Serve(admin) }()
	var first error
	waiting := 2
	select {
	case first = <-ended:
		waiting--
	case <-ctx.Done():
	}
	sink.Close()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := errors.Join(first, server.Shutdown(limited))
	for range waiting {
		if last := <-ended; !errors.Is(last, http.ErrServerClosed) {
			err = errors.Join(err, last)
		}
	}
	return err
}

// mask keeps the first character of an address, and its end.
func mask(to []string) string {
	if len(to) != 1 || len(to[0]) < 8 {
		return "•••"
	}
	return to[0][:1] + "•••••" + to[0][len(to[0])-4:]
}
