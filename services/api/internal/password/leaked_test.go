package password_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/password"
)

// lists stand in for whoever knows the passwords that have leaked.
type lists struct {
	t      *testing.T
	leaked map[string]bool
	down   bool
	asked  int
}

func (l *lists) Breached(ctx context.Context, plain secret.Text) (found, checked bool) {
	l.asked++
	if deadline, bounded := ctx.Deadline(); !bounded || time.Until(deadline) > 2*time.Second {
		l.t.Error("nothing bounds how long the lists may take")
	}
	return !l.down && l.leaked[plain.Reveal()], !l.down
}

// listed is a desk that asks lists.
func listed(t *testing.T, leaked ...string) (*desk, *lists) {
	t.Helper()
	d, known := newDesk(t, password.LifeChange{}), &lists{t: t, leaked: map[string]bool{}}
	for _, plain := range leaked {
		known.leaked[plain] = true
	}
	d.Breaches = known
	return d, known
}

// sets sets a password by a code.
func (d *desk) sets(code, typed secret.Text) error {
	d.t.Helper()
	_, err := d.Set(d.t.Context(), d.caller, password.Set{Code: code, Plain: typed})
	return err
}

func (d *desk) newCode() secret.Text {
	d.t.Helper()
	value := id.Token()
	d.must(d.store.PutPasswordCode(d.t.Context(), link.Code{
		Digest: link.Digest(value), RequestID: id.Request("password-request"), Tenant: d.caller.Tenant, UserID: d.user.ID, Email: d.user.Email, Purpose: link.Reset,
		Proofs: []string{grant.Email}, ClientID: d.caller.Key.ID, CreatedAt: d.now, ExpiresAt: d.now.Add(link.CodeLife),
	}))
	return value
}

func (d *desk) stored() password.Password {
	d.t.Helper()
	p, err := d.store.Password(d.t.Context(), d.caller.Tenant, d.user.ID)
	d.must(err)
	return p
}

// told counts the records and the mails of a leak.
func (d *desk) told() (records, mails int) {
	d.t.Helper()
	happened, err := d.store.Activity(d.t.Context(), d.caller.Tenant, activity.Filter{Action: event.TypePasswordLeaked}, listing.Of(1, 100))
	d.must(err)
	sent, err := d.store.Deliveries(d.t.Context(), d.caller.Tenant, delivery.Filter{}, listing.Of(1, 100))
	d.must(err)
	return happened.Total, sent.Total
}

// A password that has leaked must change by the very login that finds it.
// Covers R-057 for a hit at a login.
func TestALeakedPasswordMustChangeByThatLogin(t *testing.T) {
	t.Parallel()
	d, known := listed(t, right.Reveal())
	before := d.user.CreatedAt
	d.now = before.Add(time.Hour)
	for n := range 3 {
		v, _, _ := d.tries(right)
		if !v.Valid || !v.MustChange || !v.Code.IsZero() || v.Renew.IsZero() || !v.Expired().Equal(before.Add(time.Hour)) {
			t.Fatalf("login %d came to %+v", n, v)
		}
		d.now = d.now.Add(40 * aDay)
		if records, mails := d.told(); known.asked != 1 || records != 1 || mails != 1 {
			t.Errorf("after login %d: asked %d times, %d records, %d mails, want one each", n, known.asked, records, mails)
		}
	}
	v, _, _ := d.tries(right)
	d.must(d.sets(v.Renew, secret.New("tannen wachsen langsam")))
	if v, _, _ := d.tries(secret.New("tannen wachsen langsam")); v.MustChange || v.Code.IsZero() {
		t.Errorf("with a new password a login came to %+v", v)
	}
}

// A second factor is asked for first, and does not lead around it.
func TestALeakedPasswordWaitsForTheSecondFactor(t *testing.T) {
	t.Parallel()
	d, _ := listed(t, right.Reveal())
	d.enrolls()
	v, _, _ := d.tries(right)
	if !v.MFARequired || !v.Renew.IsZero() || !v.Code.IsZero() {
		t.Fatalf("the first half came to %+v", v)
	}
	if done, err := d.proves(v); err != nil || !done.MustChange || !done.Code.IsZero() {
		t.Errorf("both came to %+v, %v", done, err)
	}
}

// Nobody is asked about a wrong password, and it costs what it costs where
// there is none.
// Covers R-064 where leaked passwords are looked up.
func TestAWrongPasswordIsNotLookedUp(t *testing.T) {
	t.Parallel()
	d, known := listed(t, right.Reveal(), wrong.Reveal())
	for name, address := range map[string]string{"a user": ana, "nobody": "nil@acme.test"} {
		hashes, texts := d.hashes.Load(), d.texts.n
		v, err := d.Challenge(t.Context(), d.caller, address, wrong, netip.Addr{})
		d.must(err)
		if v.Valid || known.asked != 0 || d.hashes.Load()-hashes != 1 || d.texts.n-texts != 4 {
			t.Errorf("%s: valid %v, %d asked, %d hashes, %d statements", name, v.Valid, known.asked, d.hashes.Load()-hashes, d.texts.n-texts)
		}
	}
}

// What nobody could say is asked at each login until somebody can, and again
// after thirty days.
// Covers R-057 for an outage, and for passwords that were never looked up.
func TestAnOutageNeitherBlocksNorForgets(t *testing.T) {
	t.Parallel()
	d, known := listed(t)
	known.down = true
	typed := secret.New("tannen wachsen langsam")
	d.must(d.sets(d.newCode(), typed))
	if p := d.stored(); !p.CheckedAt.IsZero() || p.MustChange {
		t.Fatalf("set while nobody could be asked: %+v", p)
	}
	logsIn := func(asked int) {
		t.Helper()
		before := known.asked
		if v, _, _ := d.tries(typed); v.Code.IsZero() {
			t.Errorf("the login came to %+v", v)
		}
		if known.asked-before != asked {
			t.Errorf("asked %d times, want %d", known.asked-before, asked)
		}
	}
	logsIn(1)
	logsIn(1)
	known.down = false
	logsIn(1)
	if p := d.stored(); !p.CheckedAt.Equal(d.now) {
		t.Errorf("looked up at %v, noted %v", d.now, p.CheckedAt)
	}
	logsIn(0)
	d.now = d.now.Add(30*aDay - time.Millisecond)
	logsIn(0)
	d.now = d.now.Add(time.Millisecond)
	logsIn(1)
	logsIn(0)
	known.leaked[typed.Reveal()] = true
	d.now = d.now.Add(30 * aDay)
	if v, _, _ := d.tries(typed); !v.MustChange {
		t.Errorf("it has leaked since: %+v", v)
	}
}

// Covers R-057 for new passwords.
func TestALeakedPasswordIsNotSet(t *testing.T) {
	t.Parallel()
	d, known := listed(t, "\u00e9toiles et marrons chauds")
	given := d.newCode()
	err := d.sets(given, secret.New("e\u0301toiles et marrons chauds"))
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "password_breached" || f.Kind != fault.Invalid || len(f.Advice.In("de")) == 0 {
		t.Fatalf("a leaked one, spelt in the other way: %v", err)
	}
	asked := known.asked
	for typed, want := range map[string]string{"short": "password_too_short", "hunter2hunter2hunter2": "password_too_weak", right.Reveal(): "password_unchanged"} {
		if got := code(t, d.sets(given, secret.New(typed))); got != want {
			t.Errorf("%s: %s, want %s", typed, got, want)
		}
	}
	if known.asked != asked {
		t.Error("lists were asked about what is refused without them")
	}
	d.must(d.sets(given, secret.New("tannen wachsen langsam"))) // the code is as good as before
	if p := d.stored(); !p.CheckedAt.Equal(d.now) {
		t.Errorf("looked up at %v, noted %v", d.now, p.CheckedAt)
	}
}

// Where nobody is configured, nothing is noted and nothing is asked.
func TestNobodyNeedBeAsked(t *testing.T) {
	t.Parallel()
	d := newDesk(t, password.LifeChange{})
	d.LookedUp = func(password.Outcome) { t.Error("an outcome of not asking was counted") }
	d.must(d.sets(d.newCode(), secret.New("tannen wachsen langsam")))
	if v, _, _ := d.tries(secret.New("tannen wachsen langsam")); v.Code.IsZero() {
		t.Errorf("the login came to %+v", v)
	}
	if p := d.stored(); !p.CheckedAt.IsZero() {
		t.Errorf("noted as looked up at %v", p.CheckedAt)
	}
}
