// Command fake-breach runs the fake of the range API that the tests use, for
// compose and for trying things out. It knows the passwords "password" and
// "lantern orchid 42 vexing", or those that are given to it over HTTP.
//
// Its log, faults and passwords are steered over HTTP; see package
// pkg/rig/rangeapi. It prints one line for each question.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"countersign.dev/pkg/rig/rangeapi"
	"countersign.dev/services/e2e/fakes/program"
)

const name = "fake-breach"

func main() { os.Exit(program.Main(name, start)) }

// known are the passwords of a fake that was given none.
var known = map[string]int{"password": 10_434_004, "lantern orchid 42 vexing": 3}

// start serves until ctx ends.
func start(ctx context.Context, args, environ []string, out io.Writer) error {
	var addr string
	var certificate program.Certificate
	flags := program.NewFlags(name, environ, out)
	flags.Text(&addr, "addr", "127.0.0.1:9913", "listen address")
	certificate.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	fake := rangeapi.New(known)
	fake.Asked = func(call rangeapi.Call) {
		_, _ = fmt.Fprintf(out, "%s %s: %s\n", call.At.UTC().Format(time.RFC3339), call.URL, call.Answer)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, _ = fmt.Fprintf(out, "fake range API on %s\n", listener.Addr())
	return program.Serve(ctx, listener, fake, certificate, fake.Close)
}
