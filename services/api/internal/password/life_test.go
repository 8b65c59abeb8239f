package password_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

var (
	right = secret.New("ein langes Passwort")
	wrong = secret.New("ein anderes Passwort")
)

const (
	aDay = 24 * time.Hour
	ana  = "ana@acme.test"
)

// silence is a relay that nobody wakes.
type silence struct{}

func (silence) Wake() {}

// desk is the rules of passwords over the real parts, at a time of the test's
// own, with one user.
type desk struct {
	password.Service
	t           *testing.T
	store       *sqlstore.Store
	connections *password.Connections
	caller      link.Caller
	user        user.User
	now         time.Time
	hashes      *atomic.Int64
	texts       *statements
}

// statements counts what the guard asks of the store.
type statements struct {
	*sqlstore.Store
	n int
}

func (s *statements) CountPassword(ctx context.Context, b guard.PasswordBudget, p guard.PasswordPolicy, now time.Time) (guard.PasswordCount, error) {
	s.n++
	return s.Store.CountPassword(ctx, b, p, now)
}

func (s *statements) SettlePassword(ctx context.Context, b guard.PasswordBudget, right bool) error {
	s.n++
	return s.Store.SettlePassword(ctx, b, right)
}

func (s *statements) Password(ctx context.Context, t tenant.ID, userID string) (password.Password, error) {
	s.n++
	return s.Store.Password(ctx, t, userID)
}

func (s *statements) PasswordConnection(ctx context.Context, t tenant.ID) (password.Connection, error) {
	s.n++
	return s.Store.PasswordConnection(ctx, t)
}

func (s *statements) ReplaceHash(ctx context.Context, p password.Password, hash string, now time.Time) error {
	s.n++
	return s.Store.ReplaceHash(ctx, p, hash, now)
}

func (s *statements) PutPasswordCode(ctx context.Context, c link.Code) error {
	s.n++
	return s.Store.PutPasswordCode(ctx, c)
}

func newDesk(t *testing.T, life password.LifeChange) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	keys, err := seal.Parse("keys", seal.NewKey())
	d.must(err)
	index, err := seal.ParseIndex("index", seal.NewKey())
	d.must(err)
	d.store, err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Keys: keys, Index: index})
	d.must(err)
	t.Cleanup(func() { _ = d.store.Close() })
	d.must(d.store.Migrate(t.Context()))
	d.texts = &statements{Store: d.store}
	composer := &outbox.Composer{Keys: keys, Host: "login.example", Now: d.clock}
	d.connections = &password.Connections{Store: d.store, Outbox: composer, Relay: silence{}, Now: d.clock, Log: slog.New(slog.DiscardHandler)}
	d.Service = password.Service{
		Store: d.texts, Users: &user.Service{Store: d.store, Now: d.clock}, Outbox: composer, Relay: silence{}, Index: index, Now: d.clock, Log: slog.New(slog.DiscardHandler),
		Notices: &notice.Service{Outbox: composer, Store: d.store, Relay: silence{}, Now: d.clock},
		Logins: &login.Service{
			Factors: &factor.Service{Store: d.store, Now: d.clock}, Passwords: d.store, Grants: &grant.Service{Store: d.store, Keys: keys, Now: d.clock},
			Waiting: ephemeral.NewMemory(d.clock), Now: d.clock,
		},
	}
	d.peppered()
	d.settle(life)
	return d
}

// peppered hashes with these peppers from now on.
func (d *desk) peppered(keys ...secret.Text) {
	d.t.Helper()
	d.Hasher = password.NewHasher(free{}, cheap, nil)
	if len(keys) > 0 {
		d.Hasher = password.NewHasher(free{}, cheap, parsePeppers(d.t, keys...))
	}
	d.hashes = d.Hasher.Count()
	d.Guard = &guard.Passwords{
		Store: d.texts, Sources: ephemeral.NewMemory(d.clock), Hasher: d.Hasher, Turns: free{}, Index: d.Index, Policy: guard.DefaultPasswordPolicy(), Now: d.clock,
	}
}

// settle makes a tenant with a user and a password.
func (d *desk) settle(life password.LifeChange) {
	d.t.Helper()
	ctx := d.t.Context()
	tenants := &tenant.Service{Store: d.store, Now: d.clock}
	account, err := tenants.CreateAccount(ctx, "acme", "")
	d.must(err)
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Acme"})
	d.must(err)
	of := tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Default}
	d.caller = link.Caller{Key: apikey.Key{ID: id.UUID(), AccountID: account.ID, Env: of.Env}, Tenant: of, Org: org}
	_, err = d.connections.Create(ctx, of, d.caller.By, password.Change{})
	d.must(err)
	d.lives(life)
	address := ana
	d.user, err = (&user.Service{Store: d.store, Now: d.clock}).Create(ctx, of, user.Change{Email: &address})
	d.must(err)
	phc, err := d.Hasher.Hash(ctx, of.Org, right)
	d.must(err)
	_, err = d.store.CreatePassword(ctx, password.Password{Tenant: of, UserID: d.user.ID, Number: 1, Hash: phc, ChangedAt: d.now},
		func(user.User, bool) ([]outbox.Entry, error) { return nil, nil })
	d.must(err)
}

func (d *desk) lives(life password.LifeChange) {
	d.t.Helper()
	d.caller.By.Actor = "user"
	_, err := d.connections.Update(d.t.Context(), d.caller.Tenant, d.caller.By, password.Change{Life: life})
	d.must(err)
}

// enrolls gives the user a phone as second factor.
func (d *desk) enrolls() {
	d.t.Helper()
	active := true
	_, err := (&tenant.Connections{Store: d.store, Now: d.clock}).Update(d.t.Context(), d.caller.Tenant, tenant.ConnectionChange{Active: &active})
	d.must(err)
	f := factor.Factor{
		ID: id.UUID(), Tenant: d.user.Tenant, UserID: d.user.ID, Method: factor.SMS, Phone: "+41791111111", Mode: factor.First, CreatedAt: d.now, ExpiresAt: d.now.Add(time.Hour),
	}
	d.must(d.store.PutWaiting(d.t.Context(), f, nil))
	d.must(d.store.Confirm(d.t.Context(), factor.Confirmation{Factor: f, At: d.now}))
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) clock() time.Time { return d.now }

// tries challenges and returns how many hashes and statements that took.
func (d *desk) tries(typed secret.Text) (v password.Verdict, hashes int64, texts int) {
	d.t.Helper()
	before, asked := d.hashes.Load(), d.texts.n
	v, err := d.Challenge(d.t.Context(), d.caller, ana, typed, netip.Addr{})
	d.must(err)
	return v, d.hashes.Load() - before, d.texts.n - asked
}

// proves ends a login by its second factor.
func (d *desk) proves(v password.Verdict) (login.Completed, error) {
	d.t.Helper()
	done, waited, err := d.Logins.Continue(d.t.Context(), v.RequestID, d.caller.Tenant, d.user.ID, d.caller.Key.ID, grant.SMS)
	if err == nil && !waited {
		d.t.Error("no login waits")
	}
	return done, err
}

// A wrong password costs the same hashes and statements, and gets the same
// answer, whether the right one is good, has expired or has lapsed.
// Covers R-058 for the work of a wrong password.
func TestAWrongPasswordTellsNothingOfTheExpiry(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{TTL: new(90 * aDay), Grace: new(aDay)})
	for at, when := range map[string]time.Duration{"while it is good": 0, "when it has expired": 90 * aDay, "after the grace": 91 * aDay} {
		d.now = d.user.CreatedAt.Add(when)
		v, hashes, texts := d.tries(wrong)
		v.RequestID = ""
		if !reflect.DeepEqual(v, password.Verdict{UserID: v.UserID}) || hashes != 1 || texts != 4 {
			t.Errorf("%s: %+v for %d hashes and %d statements", at, v, hashes, texts)
		}
		d.tries(right)
	}
}

// A password expires at the millisecond, lapses at the millisecond, and both
// also while its login waits for the second factor. Nothing of that gets a code.
// Covers R-058 for the moment of expiry, and for logins that wait.
func TestAPasswordMayExpireWhileItsLoginWaits(t *testing.T) {
	t.Parallel()
	const ttl, grace = 90 * aDay, 5 * time.Minute
	for name, c := range map[string]struct {
		begins, ends            time.Duration
		factor                  bool
		code, mustRenew, lapsed bool
	}{
		"just before":                     {begins: ttl - 1, ends: ttl - 1, code: true},
		"just after":                      {begins: ttl, ends: ttl, mustRenew: true},
		"just before the end of grace":    {begins: ttl + grace - 1, ends: ttl + grace - 1, mustRenew: true},
		"just after the end of grace":     {begins: ttl + grace, ends: ttl + grace, lapsed: true},
		"before, with a factor":           {factor: true, begins: ttl - time.Minute, ends: ttl - 1, code: true},
		"the factor comes after":          {factor: true, begins: ttl - time.Minute, ends: ttl, mustRenew: true},
		"the factor comes in the grace":   {factor: true, begins: ttl, ends: ttl + time.Minute, mustRenew: true},
		"the factor comes after grace":    {factor: true, begins: ttl - time.Minute, ends: ttl + grace, lapsed: true},
		"lapsed before the factor is due": {begins: ttl + grace, ends: ttl + grace, lapsed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, password.LifeChange{TTL: new(ttl), Grace: new(grace)})
			if c.factor || name == "lapsed before the factor is due" {
				d.enrolls()
			}
			set := d.now
			d.now = set.Add(c.begins)
			v, _, _ := d.tries(right)
			done, renew := v.Completed, v.Renew
			if c.factor {
				if !v.MFARequired || !v.Renew.IsZero() || !v.Code.IsZero() || !v.Expired().IsZero() {
					t.Fatalf("the first half came to %+v", v)
				}
				d.now = set.Add(c.ends)
				var err error
				done, err = d.proves(v)
				d.must(err)
				if done.MustChange {
					renew, err = d.Renew(t.Context(), d.user, done.Login)
					d.must(err)
				}
			}
			if !v.Valid || done.Code.IsZero() == c.code || done.MustChange != c.mustRenew || done.Lapsed != c.lapsed || renew.IsZero() == c.mustRenew {
				t.Errorf("it came to %+v", done)
			}
			if want := set.Add(ttl); c.code && !done.Expired().IsZero() || !c.code && !done.Expired().Equal(want) {
				t.Errorf("expired %v, want %v", done.Expired(), want)
			}
		})
	}
}

// A password that an administrator has forced is good for nothing in a login
// that began before.
func TestAForcedPasswordEndsLoginsThatWait(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{})
	d.enrolls()
	v, _, _ := d.tries(right)
	_, err := d.Force(t.Context(), d.caller, ana)
	d.must(err)
	if done, err := d.proves(v); !errors.Is(err, login.ErrStale) || !done.Code.IsZero() {
		t.Errorf("a login from before came to %+v, %v", done, err)
	}
	again, _, _ := d.tries(right)
	if done, err := d.proves(again); err != nil || !done.MustChange {
		t.Errorf("a login after it came to %+v, %v", done, err)
	}
}

// An older pepper is replaced at the first right login after its period, and by
// nothing else; what has the first pepper is left alone. A wrong password never
// makes a hash.
// Covers R-055 for logins: what is hashed anew, and when.
func TestALoginRenewsAnOldPepper(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{})
	one, two := seal.NewKey(), seal.NewKey()
	stored := func() password.Password {
		t.Helper()
		p, err := d.store.Password(t.Context(), d.caller.Tenant, d.user.ID)
		d.must(err)
		return p
	}
	for _, step := range []struct {
		what    string
		peppers []secret.Text
		pass    time.Duration
		typed   secret.Text
		hashes  int64
	}{
		{"no pepper, and none to have", nil, 400 * aDay, right, 1},
		{"no pepper, and a wrong password", []secret.Text{one}, 0, wrong, 1},
		{"no pepper", []secret.Text{one}, 0, right, 2},
		{"the first pepper", []secret.Text{one}, 400 * aDay, right, 1},
		{"an old pepper of 400 days, and a wrong password", []secret.Text{two, one}, 0, wrong, 1},
		{"an old pepper of 400 days", []secret.Text{two, one}, 0, right, 2},
		{"an old pepper, too early", []secret.Text{one, two}, aDay - time.Millisecond, right, 1},
		{"an old pepper of a day", []secret.Text{one, two}, time.Millisecond, right, 2},
	} {
		d.now = d.now.Add(step.pass)
		d.peppered(step.peppers...)
		before := stored()
		v, hashes, _ := d.tries(step.typed)
		after := stored()
		if v.Valid != (step.typed.Reveal() == right.Reveal()) || hashes != step.hashes || (after.Hash != before.Hash) != (hashes == 2) {
			t.Errorf("%s: valid %v, %d hashes", step.what, v.Valid, hashes)
		}
		if want := map[bool]time.Time{true: d.now, false: before.HashedAt}[hashes == 2]; !after.HashedAt.Equal(want) || !after.ChangedAt.Equal(before.ChangedAt) {
			t.Errorf("%s: hashed at %v, want %v; changed at %v", step.what, after.HashedAt, want, after.ChangedAt)
		}
	}
}

// resets sets a password by a code, as after a link.
func (d *desk) resets(typed secret.Text) error {
	d.t.Helper()
	value := id.Token()
	d.must(d.store.PutPasswordCode(d.t.Context(), link.Code{
		Digest: link.Digest(value), RequestID: id.Request("password-request"), Tenant: d.caller.Tenant, UserID: d.user.ID, Email: d.user.Email, Purpose: link.Reset,
		Proofs: []string{grant.Email}, ClientID: d.caller.Key.ID, CreatedAt: d.now, ExpiresAt: d.now.Add(link.CodeLife),
	}))
	_, err := d.Set(d.t.Context(), d.caller, password.Set{Code: value, Plain: typed})
	return err
}

// A new password costs a hash of its own, one for the password before and one
// for each that is remembered, ten at most.
func TestAHistoryCostsAHashForEachPassword(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{History: new(10)})
	for n := range 13 {
		before := d.hashes.Load()
		d.must(d.resets(secret.New(fmt.Sprintf("tannen wachsen %d mal langsam", n))))
		if got, want := d.hashes.Load()-before, int64(min(n, 10)+2); got != want {
			t.Errorf("after %d former passwords: %d hashes, want %d", n, got, want)
		}
	}
}

// A password whose pepper is gone lets nobody in, and does not stop its owner
// from setting another by a link.
func TestALostPepperDoesNotShutTheOwnerOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{History: new(3)})
	one, two := seal.NewKey(), seal.NewKey()
	d.peppered(one)
	d.must(d.resets(secret.New("tannen wachsen langsam")))
	d.peppered(two)
	d.must(d.resets(secret.New("tannen wachsen sehr langsam")))
	if err := d.resets(right); !errors.Is(err, password.ErrReused) {
		t.Errorf("the first password, without a pepper: %v", err)
	}
	d.must(d.resets(secret.New("birken wachsen schneller")))
	if v, _, _ := d.tries(secret.New("birken wachsen schneller")); !v.Valid {
		t.Error("the last password is not right")
	}
}
