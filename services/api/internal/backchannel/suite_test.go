package backchannel_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
	"countersign.dev/services/api/internal/user"
)

func TestMain(m *testing.M) { rig.Main(m) }

const issuer = "https://id.test"

// world is a database with somebody who signs in to an app that listens.
type world struct {
	t        *testing.T
	store    *sqlstore.Store
	sessions *session.Service
	users    *user.Service
	grants   *grant.Service
	tokens   *token.Service
	teller   *backchannel.Service
	now      atomic.Int64
	tenant   tenant.ID
	user     user.User
	app      app.App

	mu     sync.Mutex
	status int // what the app answers
	heard  []*http.Request
	tried  []backchannel.Outcome
}

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
	w := &world{t: t, status: http.StatusOK}
	w.now.Store(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	keys, err := seal.Parse("keys", seal.NewKey())
	w.must(err)
	index, err := seal.ParseIndex("index", seal.NewKey())
	w.must(err)
	w.store, err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, Keys: keys, Index: index})
	w.must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.must(w.store.Migrate(t.Context()))
	w.sessions = &session.Service{Store: w.store, Outbox: &outbox.Composer{Now: w.clock}, Relay: w, Now: w.clock}
	w.users = &user.Service{Store: w.store, Now: w.clock}
	w.grants = &grant.Service{Store: w.store, Keys: keys, Now: w.clock}
	w.tokens = &token.Service{Store: w.store, Keys: keys, Issuer: issuer, Now: w.clock}
	w.must(w.tokens.Prepare(t.Context()))
	w.teller = w.another()
	w.furnish()
	return w
}

// another is one more process that tells apps.
func (w *world) another() *backchannel.Service {
	return &backchannel.Service{
		Store: w.store, Tokens: w.tokens, Poster: backchannel.NewClient(), Near: true, Now: w.clock,
		Observe: func(_ context.Context, _ backchannel.Notice, o backchannel.Outcome, _ error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.tried = append(w.tried, o)
		},
	}
}

func (w *world) furnish() {
	ctx := w.t.Context()
	account := tenant.Account{ID: "acc", Domain: "acme", Name: "Acme", CreatedAt: w.clock()}
	w.must(w.store.CreateAccount(ctx, account))
	org, err := (&tenant.Service{Store: w.store, Now: w.clock}).CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Shop"})
	w.must(err)
	w.tenant = tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}
	email := "ana@acme.test"
	w.user, err = w.users.Create(ctx, w.tenant, user.Change{Email: &email})
	w.must(err)
	rp := httptest.NewServer(http.HandlerFunc(w.listen))
	w.t.Cleanup(rp.Close)
	w.app = w.register(rp.URL + "/logout?of=us")
}

// listen is the app.
func (w *world) listen(rw http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, r)
	rw.Header().Set("Location", "/elsewhere") // of a redirect
	rw.WriteHeader(w.status)
}

func (w *world) answers(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

func (w *world) register(uri string, change ...func(*app.App)) app.App {
	w.t.Helper()
	a := app.App{
		ID: app.NewID(), Tenant: w.tenant, Name: "Shop", Type: app.Public, SecretDigest: []byte{}, RedirectURIs: []string{"https://app.test/cb"},
		BackchannelURI: uri, Methods: app.Methods(), Scopes: app.DefaultScopes(), FirstParty: true, Profile: app.Standard, IDTokenAlg: app.ES256,
		Active: true, CreatedAt: w.clock(), UpdatedAt: w.clock(),
	}
	for _, c := range change {
		c(&a)
	}
	told := (&outbox.Composer{Now: w.clock}).Event(activity.Record{Tenant: w.tenant, Action: event.TypeAppCreated, By: activity.By{Actor: activity.Operator}})
	made, err := w.store.CreateApp(w.t.Context(), a, told)
	w.must(err)
	return made
}

// signsIn begins a session, in which the apps are granted something.
func (w *world) signsIn(apps ...app.App) session.Session {
	w.t.Helper()
	_, of, err := w.sessions.Begin(w.t.Context(), session.New{
		Tenant: w.tenant, UserID: w.user.ID, AMR: []string{grant.Password}, Source: netip.MustParseAddr("192.0.2.77"),
	})
	w.must(err)
	for _, a := range apps {
		_, err := w.grants.NewCode(w.t.Context(), grant.New{
			Tenant: w.tenant, UserID: w.user.ID, ClientID: a.ID, SessionID: of.ID, RedirectURI: "https://app.test/cb",
			Scope: []string{grant.OpenID, grant.Offline}, AMR: []string{grant.Password},
		})
		w.must(err)
	}
	return of
}

// tells lets the clock go on and returns what the app hears then.
func (w *world) tells(after time.Duration) []*http.Request {
	w.t.Helper()
	w.now.Add(after.Milliseconds())
	w.must(w.teller.Tell(w.t.Context()))
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := w.heard
	w.heard = nil
	return heard
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
