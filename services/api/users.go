package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/transfer"
	"countersign.dev/services/api/internal/user"
)

// UsersConfig is what moving users in and out needs of the configuration.
type UsersConfig struct {
	OperatorConfig
	IndexKey        secret.Text `env:"INDEX_KEY,required" doc:"the key that records of the activity are chained with"`
	PasswordPeppers secret.Text `env:"PASSWORD_PEPPERS" doc:"keys that passwords are mixed with, for hashes of this product that are brought back"`
}

// Validate names every mistake that the types do not show.
func (c UsersConfig) Validate() error {
	mistakes := []error{c.OperatorConfig.Validate()}
	if !c.IndexKey.IsZero() {
		if _, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", c.IndexKey); err != nil {
			mistakes = append(mistakes, conf.Wrong("COUNTERSIGN_INDEX_KEY", "is not a key: %v", err))
		}
	}
	return errors.Join(mistakes...)
}

// Users moves users in and out. Make it with OpenUsers and close it.
type Users struct {
	store   *sqlstore.Store
	peppers password.Peppers
	outbox  *outbox.Composer
	now     func() time.Time
}

// OpenUsers opens the database for moving users.
func OpenUsers(ctx context.Context, cfg UsersConfig) (*Users, error) {
	keys, err := seal.Parse("COUNTERSIGN_SEAL_KEYS", cfg.SealKeys)
	if err != nil {
		return nil, err
	}
	index, err := seal.ParseIndex("COUNTERSIGN_INDEX_KEY", cfg.IndexKey)
	if err != nil {
		return nil, err
	}
	peppers, err := password.ParsePeppers("COUNTERSIGN_PASSWORD_PEPPERS", cfg.PasswordPeppers)
	if err != nil {
		return nil, err
	}
	store, err := openStore(ctx, Config{DatabaseURL: cfg.DatabaseURL}, keys, index)
	if err != nil {
		return nil, err
	}
	if pending, err := store.Pending(ctx); err != nil || pending {
		return nil, errors.Join(err, errMigrations, store.Close())
	}
	return &Users{store: store, peppers: peppers, outbox: &outbox.Composer{Now: time.Now}, now: time.Now}, nil
}

// Close closes the database.
func (u *Users) Close() error { return u.store.Close() }

// tenant finds an organization by its domain.
func (u *Users) tenant(ctx context.Context, org, env string) (tenant.ID, error) {
	if env != tenant.Sandbox && env != tenant.Default {
		return tenant.ID{}, fault.Newf(fault.Invalid, "invalid_parameter", "the environment is %s or %s", tenant.Sandbox, tenant.Default)
	}
	found, err := u.store.LivingOrganization(ctx, org)
	if err != nil {
		return tenant.ID{}, fmt.Errorf("find organization %s: %w", org, err)
	}
	return tenant.ID{Account: found.AccountID, Org: found.ID, Env: env}, nil
}

// FirebaseParameters are those of a Firebase project's password hashes.
type FirebaseParameters = password.Firebase

// ImportCounts are how many lines an import has read, and what became of them.
type ImportCounts = transfer.Counts

// Import is an import of users.
type Import struct {
	Org, Env string
	Format   string // csv or jsonl
	Input    io.Reader
	// Digest names the content of Input, so that an import that was stopped
	// goes on. Without one it cannot.
	Digest     string
	OnConflict string // skip, update or fail
	DryRun     bool
	Firebase   *FirebaseParameters // for hashes of Firebase
	Report     *os.File            // opened to append; gets a line of JSON for each line that failed
	Each       func(ImportCounts)  // hears of the progress; nil hears nothing
}

// Import brings users. Lines that failed are counted and are no error.
func (u *Users) Import(ctx context.Context, in Import) (ImportCounts, error) {
	t, err := u.tenant(ctx, in.Org, in.Env)
	if err != nil {
		return ImportCounts{}, err
	}
	lines, err := transfer.Open(in.Format, in.Input)
	if err != nil {
		return ImportCounts{}, err
	}
	importer := &transfer.Importer{Store: u.store, Peppers: u.peppers, Firebase: in.Firebase, Outbox: u.outbox, Now: u.now}
	digest := in.Digest
	if digest != "" {
		digest = in.Format + ":" + digest
	}
	return importer.Import(ctx, transfer.Run{
		File: transfer.File{Tenant: t, Digest: digest}, Lines: lines, Mode: transfer.Mode(in.OnConflict), DryRun: in.DryRun,
		Report: report{in.Report}, By: activity.By{Actor: activity.Operator}, Each: in.Each,
	})
}

// report is a file that is appended to.
type report struct{ *os.File }

// Keep implements transfer.Report.
func (r report) Keep(size int64) (int64, error) {
	info, err := r.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at the report: %w", err)
	}
	if info.Size() <= size {
		return info.Size(), nil
	}
	if err := r.Truncate(size); err != nil {
		return 0, fmt.Errorf("cut the report: %w", err)
	}
	return size, nil
}

// Export is an export of one organization, or of one user of it.
type Export struct {
	Org, Env string
	User     string // id or e-mail address; empty for all
	Hashes   bool   // with the hashes of passwords, in the form that an import takes
	Output   io.Writer
	Each     func(lines int64) // hears of the progress; nil hears nothing
}

// Export writes all that is kept, without secrets, as lines of JSON, and
// returns how many.
func (u *Users) Export(ctx context.Context, e Export) (int64, error) {
	t, err := u.tenant(ctx, e.Org, e.Env)
	if err != nil {
		return 0, err
	}
	scope := transfer.Scope{Tenant: t, Hashes: e.Hashes}
	if e.User != "" {
		people := &user.Service{Store: u.store, Now: u.now}
		found, err := people.Find(ctx, t, e.User)
		if err != nil {
			return 0, fmt.Errorf("find user: %w", err)
		}
		scope.UserID = found.ID
	}
	exporter := &transfer.Exporter{Source: u.store, Outbox: u.outbox, By: activity.By{Actor: activity.Operator}, Each: e.Each}
	return exporter.Export(ctx, scope, e.Output)
}
