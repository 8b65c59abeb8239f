package session_test

import (
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

func TestMain(m *testing.M) { rig.Main(m) }

// world is two processes on one database, with somebody who signs in and an
// API key that stands for an app. Its clock goes when it is told to.
type world struct {
	t        *testing.T
	one, two *session.Service
	grants   *grant.Service
	stores   [2]*sqlstore.Store
	now      atomic.Int64
	tenant   tenant.ID
	org      tenant.Organization
	user     user.User
	key      apikey.Key
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
	index, err := seal.ParseIndex("index", seal.NewKey())
	w.must(err)
	for i := range w.stores {
		w.stores[i], err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, Keys: keys, Index: index})
		w.must(err)
		t.Cleanup(func() { _ = w.stores[i].Close() })
	}
	w.must(w.stores[0].Migrate(t.Context()))
	w.one = &session.Service{Store: w.stores[0], Outbox: &outbox.Composer{Now: w.clock}, Relay: w, Now: w.clock}
	w.two = &session.Service{Store: w.stores[1], Outbox: &outbox.Composer{Now: w.clock}, Relay: w, Now: w.clock}
	w.grants = &grant.Service{Store: w.stores[0], Keys: keys, Now: w.clock}
	w.furnish()
	return w
}

// Wake implements outbox.Waker: nobody publishes here.
func (w *world) Wake() {}

// closed is why a session ends that its user ends from elsewhere.
func closed() session.Cause {
	return session.Cause{Why: session.Closed, By: activity.By{Actor: activity.User}}
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
	org, err := (&tenant.Service{Store: s, Now: w.clock}).CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Shop"})
	w.must(err)
	w.org, w.tenant = org, tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}
	w.user = w.newUser("ana@acme.test")
	w.key = apikey.Key{
		ID: id.UUID(), AccountID: account.ID, AccountDomain: "acme", Env: tenant.Sandbox, Name: "server", Scopes: []string{},
		Organizations: []string{}, SecretDigest: apikey.Digest(id.Token()), CreatedAt: now,
	}
	w.must(s.CreateKey(ctx, w.key))
}

func (w *world) newUser(email string) user.User {
	w.t.Helper()
	u, err := (&user.Service{Store: w.stores[0], Now: w.clock}).Create(w.t.Context(), w.tenant, user.Change{Email: &email})
	w.must(err)
	return u
}

// activate changes whether the user is active.
func (w *world) activate(active bool) {
	w.t.Helper()
	_, err := (&user.Service{Store: w.stores[0], Now: w.clock}).Update(w.t.Context(), w.tenant, w.user.ID, nil, user.Change{Active: &active})
	w.must(err)
}

// begin signs the user in with a password.
func (w *world) begin() (secret.Text, session.Session) {
	w.t.Helper()
	token, of, err := w.one.Begin(w.t.Context(), session.New{
		Tenant: w.tenant, UserID: w.user.ID, AMR: []string{grant.Password}, Source: netip.MustParseAddr("192.0.2.77"),
	})
	w.must(err)
	return token, of
}

// grant is a live one that came of a session.
func (w *world) grant(sessionID string, scope ...string) grant.Session {
	w.t.Helper()
	code, err := w.grants.NewCode(w.t.Context(), grant.New{
		Tenant: w.tenant, UserID: w.user.ID, ClientID: w.key.ID, SessionID: sessionID, Scope: append(scope, grant.OpenID), AMR: []string{grant.Password},
	})
	w.must(err)
	got, err := w.grants.Redeem(w.t.Context(), code, grant.Binding{ClientID: w.key.ID, MayOmitURI: true})
	w.must(err)
	return got
}

// good checks that a token is one of a session, in both processes.
func (w *world) good(what string, token secret.Text) session.Session {
	w.t.Helper()
	var found session.Session
	for _, s := range []*session.Service{w.one, w.two} {
		of, err := s.Find(w.t.Context(), w.tenant, token)
		if err != nil {
			w.t.Errorf("%s: %v", what, err)
		}
		in, err := s.FindIn(w.t.Context(), session.Realm(w.org.Domain, w.tenant.Env), token)
		if err != nil || in.ID != of.ID || in.User.ID != w.user.ID || in.Org != w.org.Domain {
			w.t.Errorf("%s: in its realm %+v, %v", what, in, err)
		}
		found = of
	}
	return found
}

// dead checks that a token is worth nothing in either process.
func (w *world) dead(what string, token secret.Text) {
	w.t.Helper()
	for _, s := range []*session.Service{w.one, w.two} {
		if _, err := s.Find(w.t.Context(), w.tenant, token); err != session.ErrNone { //nolint:errorlint // it says no more, whatever the reason
			w.t.Errorf("%s: %v, want ErrNone", what, err)
		}
		if _, err := s.FindIn(w.t.Context(), session.Realm(w.org.Domain, w.tenant.Env), token); err != session.ErrNone { //nolint:errorlint // as above
			w.t.Errorf("%s: in its realm %v, want ErrNone", what, err)
		}
	}
}

// lives checks whether a grant is good.
func (w *world) lives(what string, g grant.Session, want bool) {
	w.t.Helper()
	if _, err := w.grants.Live(w.t.Context(), g.Grant.ID); (err == nil) != want {
		w.t.Errorf("%s: the grant: %v, want good: %v", what, err, want)
	}
}
