package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
	"countersign.dev/services/api/internal/user"
)

func TestMain(m *testing.M) { rig.Main(m) }

// noon is when every test begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// onBoth runs a test on each engine, with a migrated, empty database.
func onBoth(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newBench(t, sqlite(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newBench(t, rig.Postgres(t)))
	})
}

func sqlite(t *testing.T) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
}

// bench is a store with what a test needs to fill it.
type bench struct {
	*sqlstore.Store
	t     *testing.T
	dsn   string
	keys  *seal.Keyring
	index *seal.Index
}

func keyring(t *testing.T) *seal.Keyring {
	t.Helper()
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func index(t *testing.T) *seal.Index {
	t.Helper()
	index, err := seal.ParseIndex("index", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func open(t *testing.T, cfg sqlstore.Config) *sqlstore.Store {
	t.Helper()
	if cfg.Keys == nil {
		cfg.Keys = keyring(t)
	}
	if cfg.Index == nil {
		cfg.Index = index(t)
	}
	s, err := sqlstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newBench(t *testing.T, dsn string) *bench {
	t.Helper()
	b := &bench{t: t, dsn: dsn, keys: keyring(t), index: index(t)}
	b.Store = open(t, sqlstore.Config{DSN: dsn, Keys: b.keys, Index: b.index})
	b.must(b.Migrate(t.Context()))
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// isErr checks an error and, where it is a fault, that its cause stays hidden.
func (b *bench) isErr(err error, want *fault.Error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Fatalf("err = %v, want %v", err, want)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Message != want.Message {
		b.t.Errorf("message = %q, want %q", f.Message, want.Message)
	}
}

func (b *bench) account() tenant.Account {
	b.t.Helper()
	a := tenant.Account{ID: id.UUID(), Domain: "acme-" + id.UUID(), Name: "Acme", CreatedAt: noon}
	b.must(b.CreateAccount(b.t.Context(), a))
	return a
}

func newOrganization(account string, domain string) (tenant.Organization, []tenant.Connection) {
	o := tenant.Organization{
		ID: id.UUID(), AccountID: account, Domain: domain, Name: "Acme " + domain, EmailDomains: []string{"acme.example", "acme.test"},
		Color: "#102030", Locale: "de-CH", LogoURL: "https://cdn.example/logo.png", RedirectURIs: []string{"https://app.example/cb"}, CreatedAt: noon, UpdatedAt: noon,
	}
	var connections []tenant.Connection
	for _, env := range []string{tenant.Sandbox, tenant.Default} {
		connections = append(connections, tenant.Connection{
			ID: id.UUID(), Tenant: tenant.ID{Account: account, Org: o.ID, Env: env}, Delivery: tenant.DeliverWorker, Countries: []string{},
			SMSPerHour: 200, SMSPerDay: 1000, App: totp.Default(), CreatedAt: noon, UpdatedAt: noon,
		})
	}
	return o, connections
}

func (b *bench) organization(account string) tenant.Organization {
	b.t.Helper()
	o, connections := newOrganization(account, "org-"+id.UUID())
	b.must(b.CreateOrganization(b.t.Context(), o, connections))
	return o
}

// tenant makes an account with an organization and returns its sandbox.
func (b *bench) tenant() tenant.ID {
	b.t.Helper()
	account := b.account()
	return tenant.ID{Account: account.ID, Org: b.organization(account.ID).ID, Env: tenant.Sandbox}
}

func newUser(of tenant.ID, address string) user.User {
	nickname, city := "Ana", "Zürich"
	return user.User{
		ID: id.UUID(), Tenant: of, Email: user.Address{Written: "A." + address, Canonical: "a." + address},
		EmailVerified: true, Phone: "+41791234567", Active: true, Profile: user.Profile{Nickname: &nickname},
		Address: &user.Postal{Locality: &city}, CreatedAt: noon, UpdatedAt: noon,
	}
}

func (b *bench) user(of tenant.ID) user.User {
	b.t.Helper()
	u := newUser(of, id.UUID()+"@example.com")
	b.must(b.CreateUser(b.t.Context(), u))
	return u
}

// strangers are tenants that differ from one in a single place, each with
// rows of its own where it is a real one.
func (b *bench) strangers(of tenant.ID) map[string]tenant.ID {
	b.t.Helper()
	other := b.tenant()
	return map[string]tenant.ID{
		"another environment":  {Account: of.Account, Org: of.Org, Env: tenant.Default},
		"another organization": {Account: of.Account, Org: b.organization(of.Account).ID, Env: of.Env},
		"another account":      {Account: other.Account, Org: of.Org, Env: of.Env},
		"another tenant":       other,
		"no tenant at all":     {},
	}
}

// count returns how many rows a table has.
func (b *bench) count(table string) int {
	b.t.Helper()
	var n int
	b.must(b.DB().QueryRowContext(b.t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

// first asks for the first page.
func first(per int) listing.Page { return listing.Of(1, per) }

// together runs fn n times at the same moment and returns the errors.
func together(t *testing.T, n int, fn func(ctx context.Context, i int) error) []error {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = fn(t.Context(), i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// tally counts successes and fails the test on errors other than allowed.
func tally(t *testing.T, errs []error, allowed *fault.Error) (ok int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			ok++
		case allowed == nil || !errors.Is(err, allowed):
			t.Error(err)
		}
	}
	return ok
}

func ids[T any](items []T, of func(T) string) string {
	var out []string
	for _, item := range items {
		out = append(out, of(item))
	}
	return fmt.Sprint(out)
}
