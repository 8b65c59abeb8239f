package api

import (
	"context"
	"strings"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// OperatorConfig is what the tools of an operator need of the configuration.
type OperatorConfig struct {
	DatabaseURL secret.Text `env:"DATABASE_URL,required" doc:"postgres://... or sqlite:PATH"`
	SealKeys    secret.Text `env:"SEAL_KEYS,required" doc:"keys for secrets in the database"`
	InsecureDev bool        `env:"INSECURE_DEV" doc:"allows plain text to loopback addresses"`
}

// Validate names every mistake that the types do not show.
func (c OperatorConfig) Validate() error {
	if strings.HasPrefix(c.DatabaseURL.Reveal(), "sqlite:") {
		return nil
	}
	return conf.PlainText("COUNTERSIGN_DATABASE_URL", c.DatabaseURL.Reveal(), c.InsecureDev)
}

// Operator opens the database for the tools of an operator. Close it.
func Operator(ctx context.Context, cfg OperatorConfig) (*Admin, error) {
	keys, err := seal.Parse("COUNTERSIGN_SEAL_KEYS", cfg.SealKeys)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, Config{DatabaseURL: cfg.DatabaseURL}, keys, nil)
	if err != nil {
		return nil, err
	}
	return &Admin{
		tenants: &tenant.Service{Store: store, Now: time.Now}, keys: &apikey.Service{Store: store, Now: time.Now}, store: store,
		tokens: &token.Service{Store: store, Keys: keys, Now: time.Now},
	}, nil
}

// Migrate brings the database to this version.
func (a *Admin) Migrate(ctx context.Context) error { return a.store.Migrate(ctx) }

// Close closes the database.
func (a *Admin) Close() error { return a.store.Close() }
