package guard_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func TestMain(m *testing.M) { rig.Main(m) }

// right is everybody's password.
var (
	right = secret.New("ein langes Passwort")
	wrong = secret.New("ein anderes Passwort")
)

// cheap is for tests about anything but the cost of a hash.
var cheap = password.Parameters{Memory: 64, Passes: 1, Threads: 1}

// gate is the guard of passwords over a real store, a real pool and real
// hashes, at a time of the test's own.
type gate struct {
	guard.Passwords
	tb     testing.TB
	hasher *password.Hasher
	store  *sqlstore.Store
	where  tenant.ID
	phc    string
	people atomic.Int64

	mu  sync.Mutex
	now time.Time

	// How often the parts were called.
	counted, settled, evaluated atomic.Int64
	compared                    sync.Map // outcome -> *atomic.Int64
}

// settings of a gate; the zero value is a SQLite file, memory, and a pool wide
// enough for all.
type settings struct {
	dsn     string
	short   guard.Sources
	pool    hashing.Config
	cost    password.Parameters
	peppers password.Peppers
}

var engines = []string{"sqlite", "postgres"}

// database is an empty one.
func database(tb testing.TB, engine string) string {
	tb.Helper()
	if engine == "postgres" {
		return rig.Postgres(tb)
	}
	return "sqlite:" + filepath.Join(tb.TempDir(), "x.db")
}

func open(tb testing.TB, s settings) *gate {
	tb.Helper()
	g := &gate{tb: tb, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	if s.dsn == "" {
		s.dsn = database(tb, "sqlite")
	}
	if s.short == nil {
		s.short = ephemeral.NewMemory(g.clock)
	}
	if s.pool.Slots == 0 {
		s.pool = hashing.Config{Slots: 2, PerSlot: 64, Wait: time.Minute}
	}
	if s.cost == (password.Parameters{}) {
		s.cost = cheap
	}
	keys, err := seal.Parse("keys", seal.NewKey())
	g.must(err)
	index, err := seal.ParseIndex("index", seal.NewKey())
	g.must(err)
	g.store, err = sqlstore.Open(context.Background(), sqlstore.Config{DSN: s.dsn, Keys: keys})
	g.must(err)
	tb.Cleanup(func() { _ = g.store.Close() })
	g.must(g.store.Migrate(context.Background()))
	pool := hashing.New(s.pool)
	g.hasher = password.NewHasher(pool, s.cost, s.peppers)
	g.Passwords = guard.Passwords{
		Store: counting{g.store, g}, Sources: s.short, Hasher: evaluations{g.hasher, g}, Turns: pool, Index: index,
		Policy: guard.DefaultPasswordPolicy(), Now: g.clock, Observe: g.observe,
	}
	g.settle()
	return g
}

// settle makes a tenant to have users in.
func (g *gate) settle() {
	g.tb.Helper()
	ctx := context.Background()
	tenants := &tenant.Service{Store: g.store, Now: g.clock}
	account, err := tenants.CreateAccount(ctx, "acme", "")
	g.must(err)
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Acme"})
	g.must(err)
	g.where = tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Default}
	g.phc, err = g.hasher.Hash(ctx, org.ID, right)
	g.must(err)
}

func (g *gate) must(err error) {
	g.tb.Helper()
	if err != nil {
		g.tb.Fatal(err)
	}
}

func (g *gate) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func (g *gate) observe(class string, outcome ephemeral.Outcome) {
	n, _ := g.compared.LoadOrStore(class+" "+string(outcome), new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

func (g *gate) seen(what string) int64 {
	n, ok := g.compared.Load(what)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// known is a new user; nobody is an address without one.
func (g *gate) known() guard.Whose {
	g.tb.Helper()
	email := fmt.Sprintf("user%d@acme.test", g.people.Add(1))
	u, err := (&user.Service{Store: g.store, Now: g.clock}).Create(context.Background(), g.where, user.Change{Email: &email})
	g.must(err)
	return guard.Whose{Tenant: g.where, UserID: u.ID, Canonical: u.Email.Canonical}
}

func (g *gate) nobody() guard.Whose {
	return guard.Whose{Tenant: g.where, Canonical: fmt.Sprintf("nobody%d@acme.test", g.people.Add(1))}
}

// tries guesses once.
func (g *gate) tries(w guard.Whose, typed secret.Text, stored string) (guard.Compared, error) {
	g.tb.Helper()
	return g.Password(context.Background(), w, typed, stored)
}

// fails guesses wrong n times, and each is compared.
func (g *gate) fails(w guard.Whose, n int) {
	g.tb.Helper()
	for range n {
		if got, err := g.tries(w, wrong, g.phc); err != nil || got.OK {
			g.tb.Fatalf("%+v, %v", got, err)
		}
	}
}

// counting counts the calls of the store.
type counting struct {
	guard.PasswordStore
	g *gate
}

func (c counting) CountPassword(ctx context.Context, b guard.PasswordBudget, p guard.PasswordPolicy, now time.Time) (guard.PasswordCount, error) {
	c.g.counted.Add(1)
	return c.PasswordStore.CountPassword(ctx, b, p, now)
}

func (c counting) SettlePassword(ctx context.Context, b guard.PasswordBudget, ok bool) error {
	c.g.settled.Add(1)
	return c.PasswordStore.SettlePassword(ctx, b, ok)
}

// evaluations counts evaluations.
type evaluations struct {
	guard.Hasher
	g *gate
}

func (c evaluations) Tags(typed secret.Text, stored string) (want, got []byte, err error) {
	c.g.evaluated.Add(1)
	return c.Hasher.Tags(typed, stored)
}
