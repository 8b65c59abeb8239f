package run

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"countersign.dev/pkg/conf"
)

// Program is what the main of a service does: read the configuration, run, and
// end with one exit code. C is the configuration.
type Program[C Standalone] struct {
	Name, Version string
	// Run works until ctx ends, which a signal does. The log goes to problems.
	Run func(ctx context.Context, cfg C, problems io.Writer) error
}

// Standalone is a configuration that says what a process of its own needs.
type Standalone interface{ Standalone() error }

// Start returns the exit code: 2 for wrong usage, conf.ExitCode for a wrong
// configuration, 1 when the program ended with an error.
func (p Program[C]) Start(ctx context.Context, args, environ []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	flags.SetOutput(problems)
	check := flags.Bool("check-config", false, "check the configuration, print it without secrets, and end")
	version := flags.Bool("version", false, "print the version and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *version:
		fmt.Fprintln(out, "countersign", p.Name, p.Version)
		return 0
	}
	cfg, err := conf.Load[C](environ)
	if err == nil {
		err = cfg.Standalone()
	}
	if err != nil {
		fmt.Fprintln(problems, err)
		return conf.ExitCode
	}
	if *check {
		return p.code(conf.Print(out, cfg), problems)
	}
	ctx, stop := Signals(ctx)
	defer stop()
	return p.code(p.Run(ctx, cfg, problems), problems)
}

func (p Program[C]) code(err error, problems io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(problems, "%s: %v\n", p.Name, err)
	return 1
}
