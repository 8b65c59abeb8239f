// Package countersign is the one binary: it composes the services of the
// other modules, alone or in one process, and holds the tools of an operator.
//
// `dev` runs everything on embedded parts and plays a tour; `serve` runs
// everything on configured parts; `api`, `sms` and `email` run one service each.
package countersign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/run"
	"countersign.dev/services/api"
)

// process is what the commands share.
type process struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

type commands struct {
	Dev        devCommand        `cmd:"" help:"Run everything on embedded parts, with a demo and its inbox. Nothing is sent to anybody."`
	Serve      serveCommand      `cmd:"" help:"Run all services in one process, configured by COUNTERSIGN_* variables."`
	API        apiCommand        `cmd:"" name:"api" help:"Run the api service alone."`
	SMS        smsCommand        `cmd:"" name:"sms" help:"Run the SMS worker alone; start as many as you need."`
	Email      emailCommand      `cmd:"" name:"email" help:"Run the e-mail worker alone; start as many as you need."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database to this version."`
	Account    accountCommand    `cmd:"" help:"Manage accounts."`
	Key        keyCommand        `cmd:"" help:"Manage API keys."`
	SigningKey signingKeyCommand `cmd:"" name:"signing-key" help:"Manage the keys that sign tokens."`
	Users      usersCommand      `cmd:"" help:"Move users in and out."`
	Activity   activityCommand   `cmd:"" help:"Look after the record of what happened."`
	Calibrate  calibrateCommand  `cmd:"" help:"Measure how long hashing a password takes on this machine, and suggest parameters."`
	Breach     breachCommand     `cmd:"" help:"Make and ask filters of breached passwords."`
	Keygen     keygenCommand     `cmd:"" help:"Print new random keys for the configuration."`
	DKIM       dkimCommand       `cmd:"" name:"dkim" help:"Look after the key that signs mails."`
	Certs      certsCommand      `cmd:"" help:"Make a private certificate authority and certificates for the parts of a small installation."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// Main runs one command and returns the process's exit code: 0 after success,
// 1 after a failure, 2 for wrong usage, 78 for a wrong configuration.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli, kong.Name("countersign"),
		kong.Description("Self-hosted authentication: codes, links and passwords, delivered or visibly failed."),
		kong.Writers(stdout, stderr), kong.UsageOnError(), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "countersign:", err)
		return 1
	}
	chosen, err := parser.Parse(args)
	if exit >= 0 { // --help has been printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "countersign: %v\nTry: countersign --help\n", err)
		return 2
	}
	ctx, stop := run.Signals(context.Background())
	defer stop()
	chosen.BindTo(ctx, (*context.Context)(nil))
	err = chosen.Run(&process{environ: environ, stdin: os.Stdin, stdout: stdout, stderr: stderr})
	return exitCode(err, stderr)
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		fmt.Fprintln(stderr, "countersign:", f.Message)
		if f.Cause != nil {
			fmt.Fprintln(stderr, "because:", f.Cause)
		}
		return 1
	}
	fmt.Fprintln(stderr, "countersign:", err)
	if _, ok := errors.AsType[conf.Mistakes](err); ok {
		return conf.ExitCode
	}
	if _, ok := errors.AsType[conf.Mistake](err); ok {
		return conf.ExitCode
	}
	return 1
}

type versionCommand struct{}

func (versionCommand) Run(p *process) error {
	_, err := fmt.Fprintln(p.stdout, "countersign", api.Version)
	return err
}
