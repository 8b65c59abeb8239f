// Package program is what the fakes have in common when they run as programs:
// their flags, their signals, and an HTTP server that ends with them.
package program

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
)

// Main runs a fake until it is interrupted or asked to end, and returns the
// exit code of its process.
func Main(name string, start func(ctx context.Context, args, environ []string, out io.Writer) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := start(ctx, os.Args[1:], os.Environ(), os.Stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 1
}

// Flags are the flags of a program. What is not given is taken from the
// environment: -tls-cert of fake-smtp from FAKE_SMTP_TLS_CERT.
type Flags struct {
	set    *flag.FlagSet
	values map[string]string
}

// NewFlags makes the flags of a program. Help and complaints go to out.
func NewFlags(name string, environ []string, out io.Writer) *Flags {
	f := &Flags{set: flag.NewFlagSet(name, flag.ContinueOnError), values: map[string]string{}}
	f.set.SetOutput(out)
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		f.values[variable] = value
	}
	return f
}

// Text adds a flag with what it is when neither it nor its variable is given.
func (f *Flags) Text(into *string, name, fallback, doc string) {
	variable := strings.ToUpper(strings.ReplaceAll(f.set.Name()+"_"+name, "-", "_"))
	if value := f.values[variable]; value != "" {
		fallback = value
	}
	f.set.StringVar(into, name, fallback, doc+" ($"+variable+")")
}

// Parse reads the arguments. It returns flag.ErrHelp after it has shown help.
func (f *Flags) Parse(args []string) error { return f.set.Parse(args) }

// Certificate names the files of one; none serves plain text.
type Certificate struct{ Cert, Key string }

// Flags adds them.
func (c *Certificate) Flags(f *Flags) {
	f.Text(&c.Cert, "tls-cert", "", "certificate file for TLS")
	f.Text(&c.Key, "tls-key", "", "its key file")
}

// Serve serves HTTP until ctx ends. Then it calls release, which lets go of
// requests that are held back, and waits a little for what is being answered.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, c Certificate, release func()) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { // ends when the server is shut down below
		if c.Cert != "" {
			ended <- server.ServeTLS(listener, c.Cert, c.Key)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	release()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(limited)
	if last := <-ended; !errors.Is(last, http.ErrServerClosed) {
		err = errors.Join(err, last)
	}
	return err
}
