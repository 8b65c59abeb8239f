// Command api runs the api service, configured by environment variables
// (docs/configuration.md).
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
	"countersign.dev/services/api"
)

func main() { os.Exit(start(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// start returns the exit code: conf.ExitCode for a wrong configuration.
func start(ctx context.Context, args, environ []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("api", flag.ContinueOnError)
	flags.SetOutput(problems)
	check := flags.Bool("check-config", false, "check the configuration, print it without secrets, and end")
	version := flags.Bool("version", false, "print the version and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *version:
		_, _ = fmt.Fprintln(out, "countersign api", api.Version)
		return 0
	}
	cfg, err := conf.Load[api.Config](environ)
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
	log := logs.New(problems, cfg.Log)
	service, err := api.New(ctx, cfg, api.Parts{Log: log})
	if err != nil {
		return code(err, problems)
	}
	g := &run.Group{Log: log, Notice: cfg.DrainNotice}
	service.Add(g)
	return code(errors.Join(g.Run(ctx), service.Close()), problems)
}

func code(err error, problems io.Writer) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(problems, "api:", err)
	return 1
}
