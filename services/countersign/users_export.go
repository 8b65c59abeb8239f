package countersign

import (
	"context"
	"errors"
	"fmt"
	"os"

	"countersign.dev/services/api"
)

type usersExportCommand struct {
	Org        string `arg:"" help:"Domain of the organization."`
	User       string `arg:"" optional:"" help:"Id or e-mail address of one user; all of them when empty."`
	Env        string `required:"" enum:"sandbox,default" help:"Environment: sandbox, or default for production."`
	WithHashes bool   `help:"With the hashes of passwords, as an import takes them. Keep that as safe as the passwords."`
	Output     string `short:"o" help:"File to write, which must not be there yet; the standard output when empty."`
}

// Run implements the command.
func (c usersExportCommand) Run(ctx context.Context, p *process) (err error) {
	cfg, err := operatorConfig[api.UsersConfig](p)
	if err != nil {
		return err
	}
	users, err := api.OpenUsers(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.Close()) }()
	out := p.stdout
	if c.Output != "" {
		file, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("open output: %w", err)
		}
		defer func() { _ = file.Close() }()
		out = file
	}
	n, err := users.Export(ctx, api.Export{Org: c.Org, Env: c.Env, User: c.User, Hashes: c.WithHashes, Output: out})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%d lines exported.\n", n)
	return nil
}
