package sqlstore_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
	"countersign.dev/services/api/internal/user"
)

// newPhone is a phone that waits for its first code.
func newPhone(u user.User, number string) factor.Factor {
	return factor.Factor{
		ID: id.UUID(), Tenant: u.Tenant, UserID: u.ID, Method: factor.SMS, Phone: number, Mode: factor.First, CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
	}
}

// newApp is an app that waits for its first code.
func newApp(u user.User, mode factor.Mode) factor.Factor {
	return factor.Factor{
		ID: id.UUID(), Tenant: u.Tenant, UserID: u.ID, Method: factor.App, Name: "Tablet", Key: totp.NewKey(totp.Default()), Mode: mode,
		CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute),
	}
}

// newSet is recovery codes with the tags of nothing.
func newSet() factor.Set {
	tags := make([][]byte, 5)
	for i := range tags {
		tags[i] = []byte(id.UUID())[:32]
	}
	return factor.Set{ID: id.UUID(), Made: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2Fs", Tags: tags, CreatedAt: noon}
}

// enrolled stores a factor and confirms it, with recovery codes where there is
// a set.
func (b *bench) enrolled(f factor.Factor, set factor.Set, at time.Time) factor.Factor {
	b.t.Helper()
	b.must(b.PutWaiting(b.t.Context(), f, nil))
	b.must(b.Confirm(b.t.Context(), factor.Confirmation{Factor: f, Step: 100, Drift: 1, Set: set, At: at}))
	f.ConfirmedAt, f.UsedAt, f.ExpiresAt, f.LastStep, f.Drift = at, at, time.Time{}, 100, 1
	return f
}

func (b *bench) standing(u user.User) factor.Standing {
	b.t.Helper()
	s, err := b.Standing(b.t.Context(), u.Tenant, user.Key{ID: u.ID})
	b.must(err)
	return s
}

// happened is a record of somebody's doing.
func happened(t tenant.ID, userID, action string, data map[string]string) activity.Record {
	return activity.Record{Tenant: t, UserID: userID, Action: action, By: activity.By{Actor: activity.User}, Data: data}
}

// won counts how many of many calls that are told whether they were first were.
func won(t *testing.T, n int, call func(ctx context.Context, i int) (bool, error)) int {
	t.Helper()
	lost := errors.New("somebody else was first")
	errs := together(t, n, func(ctx context.Context, i int) error {
		ok, err := call(ctx, i)
		if err == nil && !ok {
			err = lost
		}
		return err
	})
	first := 0
	for _, err := range errs {
		if err == nil {
			first++
		} else if !errors.Is(err, lost) {
			t.Error(err)
		}
	}
	return first
}

func TestAFactorIsInForceUntilTheNextIsConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		inForce := func(want ...factor.Factor) {
			t.Helper()
			if got := b.standing(u).Factors; !reflect.DeepEqual(got, want) {
				t.Fatalf("factors %+v, want %+v", got, want)
			}
		}
		waits := func(want factor.Factor) {
			t.Helper()
			if got := b.standing(u).Waiting; !reflect.DeepEqual(got, want) {
				t.Fatalf("waiting %+v, want %+v", got, want)
			}
		}
		confirm := func(f factor.Factor) error { return b.Confirm(t.Context(), factor.Confirmation{Factor: f, At: noon}) }
		first := newPhone(u, "+41791111111")
		b.must(b.PutWaiting(t.Context(), first, nil))
		inForce()
		waits(first)
		first = b.enrolled(first, factor.Set{}, noon.Add(time.Minute))
		inForce(first)
		waits(factor.Factor{})

		// What waits is dropped for the next, whatever its method.
		abandoned, second := newPhone(u, "+41792222222"), newApp(u, factor.Reset)
		b.must(b.PutWaiting(t.Context(), abandoned, nil))
		b.must(b.PutWaiting(t.Context(), second, nil))
		waits(second)
		b.isErr(confirm(abandoned), factor.ErrNoWaiting)
		inForce(first) // a confirmation that failed took nothing away
		second = b.enrolled(second, newSet(), noon.Add(2*time.Minute))
		inForce(second)
		b.isErr(confirm(second), factor.ErrNoWaiting)
		inForce(second)

		beside := b.enrolled(newApp(u, factor.Add), factor.Set{}, noon.Add(3*time.Minute))
		if got := b.standing(u).Factors; len(got) != 2 || got[0].ID == got[1].ID || beside.ID == second.ID {
			t.Errorf("factors %+v, want two", got)
		}
		ghost := newPhone(u, "+41791111111")
		ghost.UserID = id.UUID()
		b.isErr(b.PutWaiting(t.Context(), ghost, nil), user.ErrNotFound)
	})
}

// Covers R-020 for the ten minutes, in the store.
func TestAWaitingFactorDies(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		f := newApp(u, factor.First)
		b.must(b.PutWaiting(t.Context(), f, nil))
		b.isErr(b.Confirm(t.Context(), factor.Confirmation{Factor: f, At: f.ExpiresAt}), factor.ErrNoWaiting)
		b.must(b.Confirm(t.Context(), factor.Confirmation{Factor: f, At: f.ExpiresAt.Add(-time.Millisecond)}))
	})
}

func TestConfirmingVerifiesTheUsersOwnNumberOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		for number, verified := range map[string]bool{newUser(of, "").Phone: true, "+41790000000": false} {
			u := b.user(of)
			b.enrolled(newPhone(u, number), factor.Set{}, noon.Add(time.Minute))
			got, err := b.UserByID(t.Context(), of, u.ID)
			if err != nil || got.PhoneVerified != verified || got.Phone != u.Phone {
				t.Errorf("after a code to %s: %+v, %v, want verified = %v", number, got, err, verified)
			}
			if changed := got.UpdatedAt.Equal(noon.Add(time.Minute)); changed != verified {
				t.Errorf("updated_at = %v", got.UpdatedAt)
			}
		}
	})
}

// Covers R-022 for enrolments, in the store.
func TestOneOfManyConfirms(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		for range 100 {
			f := newApp(u, factor.Reset)
			b.must(b.PutWaiting(t.Context(), f, nil))
			errs := together(t, 32, func(ctx context.Context, _ int) error {
				return b.Confirm(ctx, factor.Confirmation{Factor: f, Set: newSet(), At: noon})
			})
			if ok := tally(t, errs, factor.ErrNoWaiting); ok != 1 {
				t.Fatalf("%d of 32 confirmed, want 1", ok)
			}
			if got := b.standing(u).Factors; len(got) != 1 || got[0].ID != f.ID {
				t.Fatalf("factors %+v, want the confirmed one", got)
			}
		}
	})
}

// Of many enrolments of a first factor, begun while there was none, one becomes
// it: what was confirmed meanwhile is another's only, or stands already, and the
// recovery codes that it came with stay.
// Covers R-022 for first factors, in the store.
func TestOneOfManyFirstFactorsIsConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, b.Store}
		if b.Dialect() == "postgres" {
			stores[1] = open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})
		}
		of := b.tenant()
		for range 100 {
			u := b.user(of)
			sets := make([]factor.Set, 32)
			errs := together(t, 32, func(ctx context.Context, i int) error {
				f, store := newApp(u, factor.First), stores[i%2]
				if sets[i] = newSet(); i%4 == 0 {
					f = newPhone(u, u.Phone)
				}
				if err := store.PutWaiting(ctx, f, nil); err != nil {
					return err
				}
				return store.Confirm(ctx, factor.Confirmation{Factor: f, Set: sets[i], At: noon})
			})
			if ok := tally(t, errs, factor.ErrNoWaiting); ok != 1 {
				t.Fatalf("%d of 32 confirmed, want 1", ok)
			}
			got := b.standing(u)
			if kept := got.Recovery.ID; len(got.Factors) != 1 || kept != sets[slices.Index(errs, nil)].ID {
				t.Fatalf("factors %+v and the codes %s", got.Factors, kept)
			}
		}
	})
}

// A time step is used up by one conditional statement, with the guesses it
// clears.
// Covers R-019 for the store, over two processes.
func TestATimeStepIsAcceptedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, b.Store}
		if b.Dialect() == "postgres" {
			stores[1] = open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})
		}
		u := b.user(b.tenant())
		f := b.enrolled(newApp(u, factor.First), factor.Set{}, noon)
		at := func(step int64) factor.Accepted {
			return factor.Accepted{Tenant: u.Tenant, UserID: u.ID, Factor: f.ID, Step: step, Drift: -1, At: noon.Add(time.Hour)}
		}
		for round := range 100 {
			step := int64(101 + round)
			n := won(t, 32, func(ctx context.Context, i int) (bool, error) { return stores[i%2].AcceptStep(ctx, at(step), nil) })
			if n != 1 {
				t.Fatalf("step %d was accepted %d times, want once", step, n)
			}
		}
		for step, want := range map[int64]bool{100: false, 150: false, 200: false, 201: true} {
			if ok, err := b.AcceptStep(t.Context(), at(step), nil); err != nil || ok != want {
				t.Errorf("step %d after 200: %v, %v, want %v", step, ok, err, want)
			}
		}
		got := b.standing(u).Factors[0]
		if got.LastStep != 201 || got.Drift != -1 || !got.UsedAt.Equal(noon.Add(time.Hour)) {
			t.Errorf("the factor says %+v", got)
		}
	})
}

func TestAcceptingAStepClearsTheGuesses(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		f := b.enrolled(newApp(u, factor.First), factor.Set{}, noon)
		accept := func(step int64) bool {
			ok, err := b.AcceptStep(t.Context(), factor.Accepted{Tenant: u.Tenant, UserID: u.ID, Factor: f.ID, Step: step, At: noon}, nil)
			b.must(err)
			return ok
		}
		b.guesses(subject(u), 3, noon, 3, time.Time{})
		if accept(100) {
			t.Error("the step of the enrolment was accepted again")
		}
		b.guesses(subject(u), 3, noon, 2, noon.Add(15*time.Minute)) // a used step clears nothing
		if !accept(101) {
			t.Error("the next step was refused")
		}
		b.guesses(subject(u), 6, noon, 5, noon.Add(15*time.Minute))
		_, err := b.Disable(t.Context(), factor.Stop{Tenant: u.Tenant, UserID: u.ID, Factor: f.ID, By: factor.ByAdministrator, At: noon}, nil)
		b.must(err)
		if accept(102) {
			t.Error("a disabled factor's code was accepted")
		}
	})
}

func TestFactorsAreChangedByTheirUsersIDOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u, other := b.user(of), b.user(of)
		f := b.enrolled(newApp(u, factor.First), factor.Set{}, noon)
		b.isErr(b.Rename(t.Context(), of, other.ID, f.ID, "Mine", nil), factor.ErrNotFound)
		b.isErr(b.Remove(t.Context(), of, other.ID, f.ID, nil), factor.ErrNotFound)
		if stopped, err := b.Disable(t.Context(), factor.Stop{Tenant: of, UserID: other.ID, Factor: f.ID, By: factor.ByAdministrator, At: noon}, nil); err != nil || stopped {
			t.Errorf("Disable of another user's factor = %v, %v", stopped, err)
		}
		b.must(b.Rename(t.Context(), of, u.ID, f.ID, "Phone", nil))
		if got := b.standing(u).Factors[0]; got.Name != "Phone" || !got.Takes() {
			t.Errorf("renamed to %+v", got)
		}
		stopped, err := b.Disable(t.Context(), factor.Stop{Tenant: of, UserID: u.ID, Factor: "", By: factor.ByGuesses, At: noon}, nil)
		if again, _ := b.Disable(t.Context(), factor.Stop{Tenant: of, UserID: u.ID, Factor: "", By: factor.ByGuesses, At: noon}, nil); err != nil || !stopped || again {
			t.Errorf("Disable = %v, %v, and again %v", stopped, err, again)
		}
		if s := b.standing(u); s.Factors[0].Takes() || s.Factors[0].DisabledBy != factor.ByGuesses || !s.Enrolled() {
			t.Errorf("disabled: %+v", s)
		}
		b.must(b.Remove(t.Context(), of, u.ID, f.ID, nil))
		if s := b.standing(u); len(s.Factors) != 0 || s.Enrolled() {
			t.Errorf("removed: %+v", s)
		}
		b.isErr(b.Remove(t.Context(), of, u.ID, f.ID, nil), factor.ErrNotFound)
	})
}

// Who is at the cap is enrolled anew by somebody with the scope for it, and has
// guesses for the first code. Nobody else gets any back by that.
func TestAResetGivesGuessesBackWhereNothingCanBeGuessed(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		b.enrolled(newApp(u, factor.First), factor.Set{}, noon)
		count := func() guard.Count {
			c, err := b.CountGuess(t.Context(), subject(u), window, noon)
			b.must(err)
			return c
		}
		for count().OK {
		}
		b.must(b.PutWaiting(t.Context(), newApp(u, factor.Reset), nil))
		if count().OK {
			t.Error("starting a reset gave guesses of the factor in force")
		}
		_, err := b.Disable(t.Context(), factor.Stop{Tenant: u.Tenant, UserID: u.ID, Factor: "", By: factor.ByGuesses, At: noon}, nil)
		b.must(err)
		b.must(b.PutWaiting(t.Context(), newApp(u, factor.Add), nil))
		if count().OK {
			t.Error("starting another enrolment gave guesses back")
		}
		b.must(b.PutWaiting(t.Context(), newApp(u, factor.Reset), nil))
		if !count().OK {
			t.Error("the reset cannot be confirmed")
		}
	})
}

// A code may be accepted while its user, or the whole organization, is being
// deleted: one of the two is first, and neither waits for the other for ever.
func TestAcceptingACodeWhileItsUserGoes(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		account := b.account()
		for range 30 {
			o := b.organization(account.ID)
			of := tenant.ID{Account: account.ID, Org: o.ID, Env: tenant.Sandbox}
			u, other := b.user(of), b.user(of)
			apps := []factor.Factor{b.enrolled(newApp(u, factor.First), newSet(), noon), b.enrolled(newApp(other, factor.First), newSet(), noon)}
			b.guesses(subject(u), 1, noon, 1, time.Time{})
			errs := together(t, 12, func(ctx context.Context, i int) error {
				switch i {
				case 0:
					_, err := b.DeleteUser(ctx, of, u.ID, noon)
					return err
				case 1:
					_, err := b.DeleteOrganization(ctx, account.ID, o.ID, "", noon)
					return err
				}
				f := apps[i%2]
				_, err := b.CountGuess(ctx, guard.Subject{Tenant: of, UserID: f.UserID, Class: guard.SecondFactor}, window, noon)
				if err != nil {
					return err
				}
				happened := b.composer(noon).Event(happened(of, f.UserID, event.TypeCodeAccepted, nil))
				_, err = b.AcceptStep(ctx, factor.Accepted{Tenant: of, UserID: f.UserID, Factor: f.ID, Step: int64(200 + i), At: noon}, []outbox.Entry{happened})
				return err
			})
			for i, err := range errs {
				if err != nil && fault.KindOf(err) != fault.NotFound {
					t.Errorf("call %d: %v", i, err)
				}
			}
		}
		if report := b.verified(); !report.Sound() {
			t.Errorf("%+v", report)
		}
	})
}
