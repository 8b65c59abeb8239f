// Command fake-twilio runs the fake of Twilio's Messages API that the tests
// use, for compose and for trying things out. It sends nothing to anybody.
//
// Its log, faults and callbacks are steered over HTTP; see package
// fakes/twilio. It prints one line for each call, with the number masked and
// without the text.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"countersign.dev/services/e2e/fakes/program"
	"countersign.dev/services/e2e/fakes/twilio"
)

const name = "fake-twilio"

func main() { os.Exit(program.Main(name, start)) }

// start serves until ctx ends.
func start(ctx context.Context, args, environ []string, out io.Writer) error {
	var addr string
	var options twilio.Options
	var certificate program.Certificate
	flags := program.NewFlags(name, environ, out)
	flags.Text(&addr, "addr", "127.0.0.1:9911", "listen address")
	flags.Text(&options.AccountSID, "account-sid", twilio.AccountSID, "account to accept")
	flags.Text(&options.AuthToken, "auth-token", twilio.AuthToken, "its token")
	certificate.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	options.Received = func(call twilio.Call) {
		_, _ = fmt.Fprintf(out, "%s to %s: %s %s\n", call.At.UTC().Format(time.RFC3339), mask(call.To), call.Answer, call.SID)
	}
	fake := twilio.New(options)
	defer fake.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, _ = fmt.Fprintf(out, "fake Twilio for account %s on %s\n", options.AccountSID, listener.Addr())
	return program.Serve(ctx, listener, fake, certificate, fake.Close)
}

// mask keeps the first three and last two characters of a number.
func mask(number string) string {
	if len(number) < 8 {
		return "•••"
	}
	return number[:3] + "•••••" + number[len(number)-2:]
}
