package countersign

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api"
)

// operator opens the database by the environment and hands it to do.
func (p *process) operator(ctx context.Context, do func(*api.Admin) error) error {
	// An operator's shell often holds the whole configuration; the variables
	// of the services are no mistakes here.
	cfg, err := conf.Load[api.OperatorConfig](p.environ, conf.Describe[serveConfig]())
	if err != nil {
		return err
	}
	admin, err := api.Operator(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(admin), admin.Close())
}

type migrateCommand struct{}

func (migrateCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		if err := a.Migrate(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.stdout, "The database is at this version.")
		return err
	})
}

type accountCommand struct {
	Create accountCreateCommand `cmd:"" help:"Create an account."`
}

type accountCreateCommand struct {
	Domain string `arg:"" help:"Its domain: a-z, 0-9 and dashes."`
	Name   string `help:"Its name; the domain when empty."`
}

func (c accountCreateCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		if err := a.CreateAccount(ctx, c.Domain, c.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.stdout, "Account %s created.\nNext: countersign key create %s --env sandbox\n", c.Domain, c.Domain)
		return err
	})
}

type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"Create an API key and print its secret, once."`
	Revoke keyRevokeCommand `cmd:"" help:"Revoke an API key; its tokens end at once."`
}

type keyCreateCommand struct {
	Account string   `arg:"" help:"Domain of the account."`
	Env     string   `default:"sandbox" enum:"sandbox,default" help:"Environment: sandbox, or default for production."`
	Name    string   `help:"What the key is for."`
	Scope   []string `help:"Scopes, with commas between, or 'all'; the standard ones when empty."`
}

func (c keyCreateCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		key, err := a.CreateKey(ctx, c.Account, c.Env, c.Name, c.Scope)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "COUNTERSIGN_ACCOUNT=%s\nCOUNTERSIGN_CLIENT_ID=%s\nCOUNTERSIGN_CLIENT_SECRET=%s\n",
			key.Account, key.ClientID, key.ClientSecret.Reveal())
		fmt.Fprintf(p.stderr, "Key for %s (%s) with the scopes %s. The secret is not shown again.\n", key.Account, key.Environment, strings.Join(key.Scopes, " "))
		return err
	})
}

type keyRevokeCommand struct {
	ClientID string `arg:"" help:"The key's client_id."`
}

func (c keyRevokeCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		if err := a.RevokeKey(ctx, c.ClientID); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.stdout, "Key %s revoked.\n", c.ClientID)
		return err
	})
}

type keygenCommand struct{}

func (keygenCommand) Run(p *process) error {
	for _, name := range []string{"SEAL_KEYS", "DELIVERY_KEYS", "INDEX_KEY"} {
		if _, err := fmt.Fprintf(p.stdout, "COUNTERSIGN_%s=%s\n", name, seal.NewKey().Reveal()); err != nil {
			return err
		}
	}
	return nil
}
