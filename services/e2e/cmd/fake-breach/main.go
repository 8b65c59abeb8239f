// Command fake-breach runs the fake of the range API that the tests use, for
// compose and for trying things out. It knows the passwords "password" and
// "lantern orchid 42 vexing", or those that are given to it over HTTP.
//
// Its log, faults and passwords are steered over HTTP; see package
// pkg/rig/rangeapi. It prints one line for each question.
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

	"countersign.dev/pkg/rig/rangeapi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Environ(), os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "fake-breach:", err)
		os.Exit(1) //nolint:gocritic // the signals go back with the process
	}
}

// known are the passwords of a fake that was given none.
var known = map[string]int{"password": 10_434_004, "lantern orchid 42 vexing": 3}

// settings come from flags, and from the environment where a flag is missing.
type settings struct{ addr, cert, key string }

func read(args, environ []string, out io.Writer) (settings, error) {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	var s settings
	flags := flag.NewFlagSet("fake-breach", flag.ContinueOnError)
	flags.SetOutput(out)
	add := func(into *string, name, variable, fallback, doc string) {
		if value := values[variable]; value != "" {
			fallback = value
		}
		flags.StringVar(into, name, fallback, doc+" ($"+variable+")")
	}
	add(&s.addr, "addr", "FAKE_BREACH_ADDR", "127.0.0.1:9913", "listen address")
	add(&s.cert, "tls-cert", "FAKE_BREACH_TLS_CERT", "", "certificate file for HTTPS")
	add(&s.key, "tls-key", "FAKE_BREACH_TLS_KEY", "", "its key file")
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
	fake := rangeapi.New(known)
	fake.Asked = func(call rangeapi.Call) {
		_, _ = fmt.Fprintf(out, "%s %s: %s\n", call.At.UTC().Format(time.RFC3339), call.URL, call.Answer)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, _ = fmt.Fprintf(out, "fake range API on %s\n", listener.Addr())
	return serve(ctx, listener, fake, s)
}

func serve(ctx context.Context, listener net.Listener, fake *rangeapi.Server, s settings) error {
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
