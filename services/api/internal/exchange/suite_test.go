package exchange_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// world is the verification flow over the store and the rules of logins, which
// are real, and over stand-ins for all that proves something: what is tested
// here are the stages. It has two organizations, acme with two apps and other
// with one, whose people are in standins_test.go.
type world struct {
	*exchange.Service
	store *ephemeral.Memory

	mu          sync.Mutex
	now         time.Time
	apps        []app.App
	orgs        map[string]tenant.Organization // by domain
	connections map[string]tenant.Connection   // by id of the organization
	users       []*someone
	sent        int // messages
	compared    int // proofs
	sprayed     bool
	grants      []grant.New
	revoked     int
	// compares is where those who compare a proof wait for each other; nil is
	// nowhere.
	compares *crowd
}

// crowd is so many goroutines that wait for each other, once.
type crowd struct {
	arrived atomic.Int32
	size    int32
	all     chan struct{}
}

func newCrowd(size int32) *crowd { return &crowd{size: size, all: make(chan struct{})} }

func (c *crowd) wait() {
	if c == nil {
		return
	}
	switch n := c.arrived.Add(1); {
	case n == c.size:
		close(c.all)
	case n < c.size:
		<-c.all
	}
}

// crowded is the store, of which many have read the same before one changes it.
type crowded struct {
	*ephemeral.Memory
	changes *crowd
}

func (c crowded) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	c.changes.wait()
	return c.Memory.Swap(ctx, key, old, next, ttl)
}

// tester is a test, of this package or of package rapid.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

const callback = "https://app.example/cb?a=b"

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func newWorld(t tester) *world {
	t.Helper()
	w := &world{now: time.Date(2030, 1, 2, 3, 4, 5, 678900, time.UTC), orgs: map[string]tenant.Organization{}, connections: map[string]tenant.Connection{}}
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatalf("%v", err)
	}
	index, err := seal.ParseIndex("index", seal.NewKey())
	if err != nil {
		t.Fatalf("%v", err)
	}
	w.store = ephemeral.NewMemory(w.clock)
	logins := &login.Service{Factors: factors{w}, Passwords: passwords{w: w}, Waiting: w.store, Now: w.clock}
	w.Service = &exchange.Service{
		Store: w.store, Keys: keys, Index: index, Apps: w, Organizations: w, Connections: w, Users: users{w}, Passwords: passwords{w, logins}, Factors: factors{w},
		Mails: mails{w}, Logins: logins, Grants: grants{w}, Live: grants{w}, Breaker: w, Notices: w, BaseURL: "https://login.example.com", Now: w.clock,
		Log: slog.New(slog.DiscardHandler),
	}
	w.organization("acme", true)
	w.organization("other", false)
	for i, a := range []struct {
		org     string
		methods []string
	}{{"acme", app.Methods()}, {"acme", []string{app.Password, app.TOTP}}, {"other", app.Methods()}} {
		w.apps = append(w.apps, app.App{
			ID: fmt.Sprintf("app_%027d", i), Tenant: tenantOf(a.org), Org: a.org, Account: "account", Name: "App", Type: app.Public, RedirectURIs: []string{callback},
			Methods: a.methods, Scopes: []string{"openid", "email"}, FirstParty: true, Active: true,
		})
	}
	w.populate(t)
	return w
}

func tenantOf(org string) tenant.ID {
	return tenant.ID{Account: "account", Org: org + "-id", Env: tenant.Default}
}

func (w *world) organization(domain string, passwordless bool) {
	t := tenantOf(domain)
	w.orgs[domain] = tenant.Organization{ID: t.Org, AccountID: t.Account, Domain: domain, Name: domain}
	w.connections[t.Org] = tenant.Connection{Tenant: t, Active: true, Passwordless: passwordless}
}

// AppByID stands in for the rules of apps.
func (w *world) AppByID(_ context.Context, clientID string) (app.App, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.IndexFunc(w.apps, func(a app.App) bool { return a.ID == clientID }); i >= 0 {
		return w.apps[i], nil
	}
	return app.App{}, app.ErrNotFound
}

// Organization stands in for the rules of tenants, Connection too.
func (w *world) Organization(_ context.Context, _, domain string) (tenant.Organization, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if org, ok := w.orgs[domain]; ok {
		return org, nil
	}
	return tenant.Organization{}, tenant.ErrNotFound
}

func (w *world) Connection(_ context.Context, t tenant.ID) (tenant.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connections[t.Org], nil
}

// Sprayed stands in for the breaker.
func (w *world) Sprayed(context.Context, tenant.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sprayed {
		return errSprayed
	}
	return nil
}

// Tell stands in for notices.
func (w *world) Tell(context.Context, notice.About, string, string) error { return nil }

// Below are the steps of a login as an app takes them.

// from is where all of them come from.
var from = exchange.From{TraceID: "trace"}

// generate asks for a request id of an app.
func (w *world) generate(t testing.TB, appNo int) secret.Text {
	t.Helper()
	requestID, _, err := w.Generate(t.Context(), w.asks(appNo))
	if err != nil {
		t.Fatalf("Generate = %v", err)
	}
	return requestID
}

func (w *world) asks(appNo int) exchange.Asked {
	return exchange.Asked{ClientID: w.apps[appNo].ID, RedirectURI: callback, Scope: "openid email", ResponseMode: "query", State: "state"}
}

func named(address string) exchange.Who { return exchange.Who{Address: address} }

// start starts a method for a user.
func (w *world) start(t testing.TB, requestID secret.Text, u exchange.Usage, m exchange.Method, address string) exchange.Step {
	t.Helper()
	step, err := w.Initiate(t.Context(), from, exchange.Initiation{RequestID: requestID, Usage: u, Method: m, Who: named(address)})
	if err != nil {
		t.Fatalf("Initiate %s, %s = %v", u, m, err)
	}
	return step
}

// prove sends the right proof for a step.
func (w *world) prove(t testing.TB, step exchange.Step, m exchange.Method, address string) exchange.Step {
	t.Helper()
	proven, err := w.Verify(t.Context(), from, exchange.Verification{ExchangeID: step.ExchangeID, Method: m, Code: secret.New(w.rightFor(address, m))})
	if err != nil {
		t.Fatalf("Verify %s = %v", m, err)
	}
	return proven
}

// first is a login after its first proof.
func (w *world) first(t testing.TB, requestID secret.Text, m exchange.Method, address string) exchange.Step {
	t.Helper()
	return w.prove(t, w.start(t, requestID, exchange.Initial, m, address), m, address)
}

func (w *world) second(t testing.TB, requestID secret.Text, m exchange.Method, address string) exchange.Step {
	t.Helper()
	return w.prove(t, w.start(t, requestID, exchange.MultiFactor, m, address), m, address)
}

// answers are what an app reads of the address that its browser was led to.
func answers(t tester, redirect secret.Text) url.Values {
	t.Helper()
	to, err := url.Parse(redirect.Reveal())
	if err != nil || !strings.HasPrefix(redirect.Reveal(), callback) {
		t.Fatalf("the browser is led elsewhere: %v", err)
	}
	return to.Query()
}

// made is how many codes were made.
func (w *world) made() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.grants) - w.revoked
}

// userOf finds a person of acme.
func (w *world) userOf(address string) *someone {
	return w.find(tenantOf("acme"), user.Key{Canonical: address})
}

func (w *world) rightFor(address string, m exchange.Method) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.find(tenantOf("acme"), user.Key{Canonical: address}).right(m)
}

// wrongCode has the shape of a right one of a method.
func wrongCode(m exchange.Method) string {
	switch m {
	case exchange.Password:
		return "wrong"
	case exchange.BackupCode:
		return "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
	case exchange.TOTP, exchange.SMS, exchange.Email:
	}
	return "999999"
}

// codeOf reads a code as the rules of factors do.
func codeOf(ctx context.Context, text string) factor.Code {
	code, _ := (&factor.Service{}).ReadCode(ctx, from.Source, secret.New(text))
	return code
}

// together calls f from many goroutines at once.
func together(t *testing.T, n int, f func(ctx context.Context, i int) error) []error {
	t.Helper()
	errs, begin := make([]error, n), make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-begin
			errs[i] = f(t.Context(), i)
		})
	}
	close(begin)
	running.Wait()
	return errs
}
