// Command sms runs the worker that sends text messages, configured by
// environment variables (docs/configuration.md).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/logs"
	"countersign.dev/pkg/run"
	"countersign.dev/services/sms"
)

func main() { os.Exit(start(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// start returns the exit code: conf.ExitCode for a wrong configuration.
func start(ctx context.Context, args, environ []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("sms", flag.ContinueOnError)
	flags.SetOutput(problems)
	check := flags.Bool("check-config", false, "check the configuration, print it without secrets, and end")
	version := flags.Bool("version", false, "print the version and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *version:
		_, _ = fmt.Fprintln(out, "countersign sms", sms.Version)
		return 0
	}
	cfg, err := conf.Load[sms.Config](environ)
	if err == nil {
		err = cfg.Standalone()
	}
	if err != nil {
		_, _ = fmt.Fprintln(problems, err)
		return conf.ExitCode
	}
	if *check {
		return code(conf.Print(out, cfg), problems)
	}
	ctx, stop := run.Signals(ctx)
	defer stop()
	service, err := sms.New(ctx, cfg, sms.Parts{Log: logs.New(problems, cfg.Log)})
	if err != nil {
		return code(err, problems)
	}
	return code(service.Run(ctx), problems)
}

func code(err error, problems io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(problems, "sms:", err)
	return 1
}
