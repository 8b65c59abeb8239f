package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// forgetful is resets over a real store, and a stand-in for the rules of new
// passwords: it notes what it is asked, and each link becomes the code "code-"
// with its number.
type forgetful struct {
	*exchange.Service
	mu    sync.Mutex
	now   time.Time
	app   app.App
	asked []string
	live  map[string]string // the link by its code
	set   []string
	apart bool            // refuses every password
	meet  *sync.WaitGroup // of calls that go on together; nil for none
}

const forgotBack = "https://app.example/back?a=b"

var errWeak = fault.New(fault.Invalid, "password_too_weak", "Weak.")

func newForgetful(t *testing.T) *forgetful {
	t.Helper()
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	f := &forgetful{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), live: map[string]string{}, app: app.App{
		ID: fmt.Sprintf("app_%027d", 1), Tenant: tenant.ID{Account: "account", Org: "acme-id", Env: tenant.Default}, Org: "acme", Account: "account",
		RedirectURIs: []string{forgotBack}, Methods: []string{app.Password}, Scopes: []string{"openid"}, FirstParty: true, Active: true,
	}}
	f.Service = &exchange.Service{
		Store: ephemeral.NewMemory(f.clock), Keys: keys, Apps: f, Organizations: f, Connections: f, Resets: f, BaseURL: "https://login.example",
		Now: f.clock, Log: slog.New(slog.DiscardHandler),
	}
	return f
}

func (f *forgetful) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *forgetful) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *forgetful) AppByID(context.Context, string) (app.App, error) { return f.app, nil }

func (f *forgetful) Organization(context.Context, string, string) (tenant.Organization, error) {
	return tenant.Organization{ID: "acme-id", Domain: "acme"}, nil
}

func (f *forgetful) Connection(context.Context, tenant.ID) (tenant.Connection, error) {
	return tenant.Connection{}, nil
}

func (f *forgetful) Request(_ context.Context, c link.Caller, email, redirectURI string, mayCreate bool) (password.Asked, error) {
	f.asked = append(f.asked, fmt.Sprint(email, " ", redirectURI, " ", c.App, " ", c.Tenant.Org, " ", slices.Contains(c.Key.RedirectURIs, redirectURI), " ", mayCreate))
	n := len(f.asked)
	name := fmt.Sprintf("password-request_%d", n)
	f.live[fmt.Sprintf("code-%d", n)] = name
	return password.Asked{Issued: link.Issued{RequestID: name}}, nil
}

func (f *forgetful) Opened(_ context.Context, c link.Caller, code secret.Text) (string, error) {
	if f.meet != nil {
		f.meet.Done()
		f.meet.Wait()
	}
	name, ok := f.live[code.Reveal()]
	if !ok || c.Tenant != f.app.Tenant {
		return "", password.ErrCode
	}
	return name, nil
}

func (f *forgetful) Set(_ context.Context, c link.Caller, in password.Set) (password.Done, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.live[in.Code.Reveal()] == "" || !c.Browser():
		return password.Done{}, password.ErrCode
	case f.apart:
		return password.Done{}, errWeak
	}
	delete(f.live, in.Code.Reveal())
	f.set = append(f.set, in.Plain.Reveal())
	return password.Done{}, nil
}

// begin asks for a link from a new request id.
func (f *forgetful) begin(t *testing.T) (requestID, resetID secret.Text) {
	t.Helper()
	requestID, _, err := f.Generate(t.Context(), exchange.Asked{ClientID: f.app.ID, RedirectURI: forgotBack, Scope: "openid", State: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if resetID, err = f.StartReset(t.Context(), exchange.From{}, requestID, "ana@acme.test"); err != nil {
		t.Fatal(err)
	}
	return requestID, resetID
}

func (f *forgetful) open(t *testing.T, resetID secret.Text, code string) (exchange.Reset, error) {
	t.Helper()
	return f.OpenReset(t.Context(), exchange.From{}, exchange.ResetStep{ResetID: resetID, Code: secret.New(code)})
}

func (f *forgetful) opened(t *testing.T, resetID secret.Text, code string) secret.Text {
	t.Helper()
	r, err := f.open(t, resetID, code)
	if err != nil || r.ExchangeID.IsZero() {
		t.Fatalf("OpenReset = %+v, %v", r, err)
	}
	return r.ExchangeID
}

func newPassword(resetID, exchangeID secret.Text, plain string) exchange.ResetStep {
	return exchange.ResetStep{ResetID: resetID, ExchangeID: exchangeID, Plain: secret.New(plain), Confirm: secret.New(plain)}
}

func (f *forgetful) put(t *testing.T, resetID, exchangeID secret.Text, plain string) error {
	t.Helper()
	_, err := f.SetPassword(t.Context(), exchange.From{}, newPassword(resetID, exchangeID, plain))
	return err
}

func is(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The way from a request id to a new password; one that is refused uses
// nothing up, and one that is set uses up all.
func TestAForgottenPasswordIsReplaced(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	_, resetID := f.begin(t)
	if want := []string{"ana@acme.test " + forgotBack + " " + f.app.ID + " acme-id true false"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	is(t, "no code", second(f.open(t, resetID, "code-9")), exchange.ErrCode)
	f.pass(exchange.RequestLife) // the request is over, the link is not
	exchangeID := f.opened(t, resetID, "code-1")
	step := newPassword(resetID, exchangeID, "one")
	step.Confirm = secret.New("other")
	is(t, "two passwords", second(f.SetPassword(t.Context(), exchange.From{}, step)), exchange.ErrDiffer)
	f.apart = true
	back, err := f.SetPassword(t.Context(), exchange.From{}, newPassword(resetID, exchangeID, "weak"))
	is(t, "a weak password", err, errWeak)
	to, ok, err := back.Back(url.Values{"error": {"weak"}})
	if want := forgotBack + "&error=weak&iss=https%3A%2F%2Flogin.example"; !ok || err != nil || to.Reveal() != want {
		t.Errorf("back = %q, %v, %v, want %q", to.Reveal(), ok, err, want)
	}
	f.apart = false
	is(t, "a good password", f.put(t, resetID, exchangeID, "good"), nil)
	is(t, "once more", f.put(t, resetID, exchangeID, "again"), exchange.ErrReset)
	is(t, "its code once more", second(f.open(t, resetID, "code-1")), exchange.ErrReset)
	if !slices.Equal(f.set, []string{"good"}) {
		t.Errorf("set %q", f.set)
	}
}

func second(_ exchange.Reset, err error) error { return err }

// Covers R-028 for resets: what belongs to something else, and what is shown
// again.
func TestIdsOfResetsAreBound(t *testing.T) {
	t.Parallel()
	t.Run("a code of another reset", func(t *testing.T) {
		t.Parallel()
		f := newForgetful(t)
		_, ana := f.begin(t)
		_, eva := f.begin(t)
		is(t, "code", second(f.open(t, ana, "code-2")), exchange.ErrCode)
		f.opened(t, ana, "code-1") // nothing was lost
		f.opened(t, eva, "code-2")
	})
	t.Run("an exchange id of another reset ends both", func(t *testing.T) {
		t.Parallel()
		f := newForgetful(t)
		_, ana := f.begin(t)
		_, eva := f.begin(t)
		ofAna, ofEva := f.opened(t, ana, "code-1"), f.opened(t, eva, "code-2")
		is(t, "crossed", f.put(t, ana, ofEva, "x"), exchange.ErrExchange)
		is(t, "the one", f.put(t, ana, ofAna, "x"), exchange.ErrReset)
		is(t, "the other", f.put(t, eva, ofEva, "x"), exchange.ErrReset)
	})
	t.Run("another request id ends it", func(t *testing.T) {
		t.Parallel()
		f := newForgetful(t)
		requestID, ana := f.begin(t)
		other, _ := f.begin(t)
		exchangeID := f.opened(t, ana, "code-1")
		step := newPassword(ana, exchangeID, "x")
		step.RequestID = other
		is(t, "crossed", second(f.SetPassword(t.Context(), exchange.From{}, step)), exchange.ErrReset)
		step.RequestID = requestID
		is(t, "afterwards", second(f.SetPassword(t.Context(), exchange.From{}, step)), exchange.ErrReset)
	})
	t.Run("a code is taken once", func(t *testing.T) {
		t.Parallel()
		f := newForgetful(t)
		_, ana := f.begin(t)
		exchangeID := f.opened(t, ana, "code-1")
		is(t, "sent twice", second(f.open(t, ana, "code-1")), exchange.ErrCode)
		is(t, "by the first", f.put(t, ana, exchangeID, "good"), nil)
		_, eva := f.begin(t)
		exchangeID = f.opened(t, eva, "code-2")
		f.pass(time.Minute)
		is(t, "by somebody else", second(f.open(t, eva, "code-2")), exchange.ErrCode)
		is(t, "whoever was first", f.put(t, eva, exchangeID, "x"), exchange.ErrReset)
	})
	t.Run("ids of other kinds", func(t *testing.T) {
		t.Parallel()
		f := newForgetful(t)
		requestID, ana := f.begin(t)
		exchangeID := f.opened(t, ana, "code-1")
		is(t, "a request id", f.put(t, requestID, exchangeID, "x"), exchange.ErrReset)
		is(t, "a reset id", f.put(t, ana, ana, "x"), exchange.ErrExchange)
		is(t, "an exchange id", second(f.open(t, exchangeID, "code-1")), exchange.ErrReset)
		is(t, "a text", f.put(t, secret.New("x"), exchangeID, "x"), exchange.ErrReset)
	})
}

func TestResetsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(f *forgetful)
		want   error
	}{
		"too old":               {func(f *forgetful) { f.pass(exchange.ResetLife) }, exchange.ErrReset},
		"an old exchange id":    {func(f *forgetful) { f.pass(link.CodeLife) }, exchange.ErrExpired},
		"a code that was used":  {func(f *forgetful) { clear(f.live) }, exchange.ErrExchange},
		"a deactivated app":     {func(f *forgetful) { f.app.Active = false }, exchange.ErrReset},
		"a redirect URI's end":  {func(f *forgetful) { f.app.RedirectURIs = nil }, exchange.ErrReset},
		"the app's other rules": {func(f *forgetful) { f.app.Methods = []string{app.TOTP} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForgetful(t)
			_, ana := f.begin(t)
			exchangeID := f.opened(t, ana, "code-1")
			c.change(f)
			is(t, name, f.put(t, ana, exchangeID, "good"), c.want)
		})
	}
	f := newForgetful(t)
	requestID, _ := f.begin(t)
	f.app.Methods = []string{app.TOTP}
	_, err := f.StartReset(t.Context(), exchange.From{}, requestID, "ana@acme.test")
	is(t, "an app without passwords", err, exchange.ErrInactive)
	_, err = f.StartReset(t.Context(), exchange.From{}, secret.New("x"), "ana@acme.test")
	is(t, "no request", err, exchange.ErrRequest)
}

// Of many that send the same at once, one takes the code and one sets the
// password.
func TestResetsAtOnce(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	_, ana := f.begin(t)
	var mu sync.Mutex
	var got []secret.Text
	f.meet = &sync.WaitGroup{}
	f.meet.Add(racers)
	race(func() {
		if r, err := f.open(t, ana, "code-1"); err == nil {
			mu.Lock()
			got = append(got, r.ExchangeID)
			mu.Unlock()
		}
	})
	if len(got) != 1 {
		t.Fatalf("%d of many have taken one code", len(got))
	}
	race(func() { _ = f.put(t, ana, got[0], "good") })
	if len(f.set) != 1 {
		t.Errorf("%d passwords were set by one exchange id", len(f.set))
	}
}

const racers = 8

func race(do func()) {
	var all sync.WaitGroup
	for range racers {
		all.Go(do)
	}
	all.Wait()
}
