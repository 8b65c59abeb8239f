package countersign

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api"
)

// operator opens the database by the environment and hands it to do.
func (p *process) operator(ctx context.Context, do func(*api.Admin) error) error {
	cfg, err := operatorConfig[api.OperatorConfig](p)
	if err != nil {
		return err
	}
	return withAdmin(ctx, cfg, do)
}

// operatorConfig reads what a tool needs. An operator's shell often holds the
// whole configuration; the variables of the services are no mistakes here.
func operatorConfig[T any](p *process) (T, error) {
	return conf.Load[T](p.environ, conf.Describe[serveConfig]())
}

func withAdmin(ctx context.Context, cfg api.OperatorConfig, do func(*api.Admin) error) error {
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

type signingKeyCommand struct {
	Rotate signingKeyRotateCommand `cmd:"" help:"Add the next keys that sign tokens; the old ones go on verifying for 25 hours."`
	List   signingKeyListCommand   `cmd:"" help:"List the keys that sign and verify tokens, newest first of each algorithm."`
}

type signingKeyRotateCommand struct {
	Alg   string        `enum:",ES256,RS256" default:"" help:"The algorithm whose key is replaced; both are unless one is named."`
	After time.Duration `default:"2m" help:"When it begins to sign. Until then it is published, so that every replica and every client's cache knows it."`
}

func (c signingKeyRotateCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		algorithms := api.SigningAlgorithms()
		if c.Alg != "" {
			algorithms = []string{c.Alg}
		}
		added, err := a.RotateSigningKeys(ctx, c.After, algorithms...)
		for _, key := range added {
			fmt.Fprintf(p.stdout, "Signing key %s for %s added; it signs from %s on.\n", key.ID, key.Algorithm, instant(key.StartsAt))
		}
		return err
	})
}

type signingKeyListCommand struct{}

func (signingKeyListCommand) Run(ctx context.Context, p *process) error {
	return p.operator(ctx, func(a *api.Admin) error {
		keys, err := a.SigningKeys(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "KEY\tALGORITHM\tSTATE\tSIGNS FROM\tVERIFIES UNTIL")
		for _, key := range keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Algorithm, key.State, instant(key.StartsAt), instant(key.LeavesAt))
		}
		return table.Flush()
	})
}

// instant is a time for people; there may be none.
func instant(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
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
