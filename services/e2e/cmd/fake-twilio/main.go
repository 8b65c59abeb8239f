// Command fake-twilio runs the fake of Twilio's Messages API that the tests
// use, for compose and for trying things out. It sends nothing to anybody.
//
// Its log, faults and callbacks are steered over HTTP; see package
// fakes/twilio. It prints one line for each call, with the number masked and
// without the text.
package main

import (
	"context"
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

	"countersign.dev/services/e2e/fakes/twilio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Environ(), os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fake-twilio:", err)
		os.Exit(1) //nolint:gocritic // the signals go back with the process
	}
}

// settings come from flags, and from the environment where a flag is missing.
type settings struct{ addr, account, token, cert, key string }

func read(args, environ []string, out io.Writer) (settings, error) {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	var s settings
	flags := flag.NewFlagSet("fake-twilio", flag.ContinueOnError)
	flags.SetOutput(out)
	add := func(into *string, name, variable, fallback, doc string) {
		if value := values[variable]; value != "" {
			fallback = value
		}
		flags.StringVar(into, name, fallback, doc+" ($"+variable+")")
	}
	add(&s.addr, "addr", "FAKE_TWILIO_ADDR", "127.0.0.1:9911", "listen address")
	add(&s.account, "account-sid", "FAKE_TWILIO_ACCOUNT_SID", twilio.AccountSID, "account to accept")
	add(&s.token, "auth-token", "FAKE_TWILIO_AUTH_TOKEN", twilio.AuthToken, "its token")
	add(&s.cert, "tls-cert", "FAKE_TWILIO_TLS_CERT", "", "certificate file for HTTPS")
	add(&s.key, "tls-key", "FAKE_TWILIO_TLS_KEY", "", "its key file")
	return s, flags.Parse(args)
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
	fake := twilio.New(twilio.Options{AccountSID: s.account, AuthToken: s.token, Received: func(call twilio.Call) {
		_, _ = fmt.Fprintf(out, "%s to %s: %s %s\n", call.At.UTC().Format(time.RFC3339), mask(call.To), call.Answer, call.SID)
	}})
	defer fake.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, _ = fmt.Fprintf(out, "fake Twilio for account %s on %s\n", s.account, listener.Addr())
	return serve(ctx, listener, fake, s)
}

func serve(ctx context.Context, listener net.Listener, fake *twilio.Server, s settings) error {
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { // ends when the server is shut down below
		if s.cert != "" {
			ended <- server.ServeTLS(listener, s.cert, s.key)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	fake.Close() // stalls would hold the shutdown up
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(limited)
	if last := <-ended; !errors.Is(last, http.ErrServerClosed) {
		err = errors.Join(err, last)
	}
	return err
}

// mask keeps the first three and last two characters of a number.
func mask(number string) string {
	if len(number) < 8 {
		return "•••"
	}
	return number[:3] + "•••••" + number[len(number)-2:]
}
