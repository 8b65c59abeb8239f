package grant_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func TestMain(m *testing.M) { rig.Main(m) }

// world is two processes on one database, with somebody who logs in and two
// API keys that may ask for it. Its clock goes when it is told to.
type world struct {
	t      *testing.T
	one    *grant.Service
	two    *grant.Service
	stores [2]*sqlstore.Store
	now    atomic.Int64
	tenant tenant.ID
	org    tenant.Organization
	user   user.User
	key    apikey.Key
	other  apikey.Key
	mu     sync.Mutex
	heard  []grant.Reuse
}

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, rig.Postgres(t)))
	})
}

func newWorld(t *testing.T, dsn string) *world {
	t.Helper()
	w := &world{t: t}
	w.now.Store(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	keys, err := seal.Parse("keys", seal.NewKey())
	w.must(err)
	for i := range w.stores {
		w.stores[i], err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, Keys: keys})
		w.must(err)
		t.Cleanup(func() { _ = w.stores[i].Close() })
	}
	w.must(w.stores[0].Migrate(t.Context()))
	w.one = &grant.Service{Store: w.stores[0], Keys: keys, Now: w.clock, Alarm: w.alarm}
	w.two = &grant.Service{Store: w.stores[1], Keys: keys, Now: w.clock, Alarm: w.alarm}
	w.furnish()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time { return time.UnixMilli(w.now.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.now.Add(d.Milliseconds()) }

func (w *world) furnish() {
	w.t.Helper()
	ctx, s, now := w.t.Context(), w.stores[0], w.clock()
	account := tenant.Account{ID: id.UUID(), Domain: "acme", Name: "Acme", CreatedAt: now}
	w.must(s.CreateAccount(ctx, account))
	tenants := &tenant.Service{Store: s, Now: w.clock}
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Shop"})
	w.must(err)
	w.org, w.tenant = org, tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}
	w.user = w.newUser("ana@acme.test")
	for _, key := range []*apikey.Key{&w.key, &w.other} {
		*key = apikey.Key{
			ID: id.UUID(), AccountID: account.ID, AccountDomain: "acme", Env: tenant.Sandbox, Name: "server", Scopes: []string{},
			Organizations: []string{}, SecretDigest: apikey.Digest(id.Token()), CreatedAt: now,
		}
		w.must(s.CreateKey(ctx, *key))
	}
}

func (w *world) newUser(email string) user.User {
	w.t.Helper()
	u, err := (&user.Service{Store: w.stores[0], Now: w.clock}).Create(w.t.Context(), w.tenant, user.Change{Email: &email})
	w.must(err)
	return u
}

// login is what was proven of the user, for the first key.
func (w *world) login() grant.New {
	return grant.New{
		Tenant: w.tenant, UserID: w.user.ID, ClientID: w.key.ID, Scope: []string{grant.OpenID, grant.Email, grant.Profile},
		AMR: []string{grant.Password}, AuthTime: w.clock().Add(-time.Second),
	}
}

// code is a new one of a login.
func (w *world) code(n grant.New) secret.Text {
	w.t.Helper()
	code, err := w.one.NewCode(w.t.Context(), n)
	w.must(err)
	return code
}

// bound is what the first key says beside a code.
func (w *world) bound() grant.Binding { return grant.Binding{ClientID: w.key.ID, MayOmitURI: true} }

// session is one that has just begun.
func (w *world) session() grant.Session {
	w.t.Helper()
	s, err := w.one.Redeem(w.t.Context(), w.code(w.login()), w.bound())
	w.must(err)
	return s
}

// next is the session after a refresh.
func (w *world) next(raw secret.Text) grant.Session {
	w.t.Helper()
	s, err := w.two.Refresh(w.t.Context(), raw, w.key.ID)
	w.must(err)
	return s
}

// refused checks that an answer is the one that says nothing.
func (w *world) refused(what string, err error) {
	w.t.Helper()
	if f, ok := err.(*fault.Error); !ok || f.Code != grant.ErrInvalid.Code || f.Message != grant.ErrInvalid.Message || f.Kind != grant.ErrInvalid.Kind { //nolint:errorlint // wrapped, a caller would read something else
		w.t.Errorf("%s: %v, want invalid_grant", what, err)
	}
}

// dead checks that nothing of a session is good any more, in either process.
func (w *world) dead(what string, s grant.Session) {
	w.t.Helper()
	for _, service := range []*grant.Service{w.one, w.two} {
		_, err := service.Live(w.t.Context(), s.Grant.ID)
		w.refused(what+": its grant", err)
		_, err = service.Refresh(w.t.Context(), s.Refresh, s.ClientID)
		w.refused(what+": its refresh token", err)
	}
}

func (w *world) alarm(_ context.Context, r grant.Reuse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, r)
}

func (w *world) alarms() []grant.Reuse {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard
}
