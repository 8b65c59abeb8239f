package sqlstore_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// signsIn notes a sign-in of a user with what the browser has, at a time.
func (b *bench) signsIn(u user.User, have secret.Text, at time.Time) secret.Text {
	b.t.Helper()
	token, err := (&device.Service{Store: b, Now: func() time.Time { return at }}).Know(b.t.Context(), u.Tenant, u.ID, have)
	b.must(err)
	return token
}

func deviceOf(u user.User, have secret.Text) guard.DeviceBudget {
	return guard.DeviceBudget{Digest: device.Digest(have), Tenant: u.Tenant, UserID: u.ID}
}

// wantKnown counts a guess from a browser and forgets it again.
func (b *bench) wantKnown(u user.User, have secret.Text, at time.Time, want bool) {
	b.t.Helper()
	got, known, err := b.CountDevice(b.t.Context(), deviceOf(u, have), pauses, at)
	b.must(err)
	if known != want || got.OK != want {
		b.t.Fatalf("known = %v, %+v, want %v", known, got, want)
	}
	b.must(b.SettleDevice(b.t.Context(), deviceOf(u, have), true))
}

// A user is known by ten browsers; of more, the one falls out whose last
// sign-in is the longest ago.
// Covers R-008 for the number of devices.
func TestAUserIsKnownByTenDevices(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u, other := b.user(of), b.user(of)
		theirs := b.signsIn(other, secret.Text{}, noon)
		var have []secret.Text
		for n := range 10 {
			have = append(have, b.signsIn(u, secret.Text{}, noon.Add(time.Duration(n)*time.Minute)))
		}
		have[0] = b.signsIn(u, have[0], noon.Add(time.Hour))          // the second is the oldest now
		eleventh := b.signsIn(u, secret.Text{}, noon.Add(-time.Hour)) // by a clock that is behind
		for n, token := range have {
			b.wantKnown(u, token, noon, n != 1)
		}
		b.wantKnown(u, eleventh, noon, true)
		b.wantKnown(other, theirs, noon, true)
		if n := b.count("known_devices"); n != 11 {
			t.Errorf("%d rows, want 11", n)
		}
	})
}

// One browser is known to all who have signed in with it. What it had before
// the last sign-in is worth nothing, and only a digest is kept.
// Covers R-008 for browsers of several users.
func TestABrowserOfSeveralUsers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ana := b.user(b.tenant())
		ben := b.user(ana.Tenant)
		eva := b.user(b.tenant())
		first := b.signsIn(ana, secret.New("not of our making"), noon)
		for range 9 { // her last wrong ones but one
			_, _, err := b.CountDevice(t.Context(), deviceOf(ana, first), guard.PasswordPolicy{Free: 100, DeviceCap: 10}, noon)
			b.must(err)
		}
		second := b.signsIn(ben, first, noon)
		third := b.signsIn(eva, second, noon)
		for _, u := range []user.User{ben, eva} {
			b.wantKnown(u, third, noon, true)
			b.wantKnown(u, second, noon, false)
		}
		b.wantKnown(ana, first, noon, false)
		// Somebody else's sign-in gives her no guesses back.
		got, known, err := b.CountDevice(t.Context(), deviceOf(ana, third), guard.PasswordPolicy{Free: 100, DeviceCap: 10}, noon)
		if err != nil || !known || got.InARow != 10 {
			t.Errorf("%+v, %v, %v, want the tenth", got, known, err)
		}
		b.wantKnown(ana, third, noon, false)
		b.wantKnown(ana, b.signsIn(ana, third, noon), noon, true)
		for _, row := range b.rows("SELECT * FROM known_devices") {
			for _, token := range []secret.Text{first, second, third} {
				if bytes.Contains([]byte(row), []byte(token.Reveal())) {
					t.Error("a cookie is stored in the clear")
				}
			}
		}
	})
}

// Covers R-122 for known devices.
func TestADeviceIsOneOfItsTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u := b.user(of)
		token := b.signsIn(u, secret.Text{}, noon)
		for name, stranger := range b.strangers(of) {
			theirs := u
			theirs.Tenant = stranger
			b.wantKnown(theirs, token, noon, false)
			_, err := (&device.Service{Store: b, Now: func() time.Time { return noon }}).Know(t.Context(), stranger, u.ID, secret.Text{})
			if b.isErr(err, user.ErrNotFound); b.count("known_devices") != 1 {
				t.Errorf("%s has a device of the user", name)
			}
		}
		b.wantKnown(u, token, noon, true)
	})
}

// A reset forgets every device of its user, as it ends every session. A change
// by the person themselves, in a session, forgets none.
// Covers R-008 for resets.
func TestAResetForgetsDevices(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		b.living(of, password.Life{})
		u, other := b.withPassword(of, noon), b.user(of)
		token, theirs := b.signsIn(u, secret.Text{}, noon), b.signsIn(other, secret.Text{}, noon)
		s := session.Session{
			ID: id.UUID(), Tenant: of, User: u, Digest: newDigest(), AMR: []string{"pwd"}, ACR: "1", AuthTime: noon, CreatedAt: noon, SeenAt: noon, ExpiresAt: noon.Add(day),
		}
		_, err := b.AddSession(t.Context(), s)
		b.must(err)
		before, err := b.Password(t.Context(), of, u.ID)
		b.must(err)
		b.must(b.ChangePassword(t.Context(), password.Changed{Before: before, Hash: "2", At: noon, User: u, SessionID: s.ID}, nil))
		b.wantKnown(u, token, noon, true)
		c := codeOf(linkFor(of, &u, u.Email, link.Reset))
		b.must(b.PutPasswordCode(t.Context(), c))
		_, _, err = b.SetPassword(t.Context(), password.Next{Code: c, Hash: "3", User: u, At: noon}, silent)
		b.must(err)
		b.wantKnown(u, token, noon, false)
		b.wantKnown(other, theirs, noon, true)
		if n := b.count("known_devices"); n != 1 {
			t.Errorf("%d rows are left, want the other user's", n)
		}
	})
}

func TestDevicesGoWithTheirUserAndAfterAYear(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		u, deleted := b.user(of), b.user(of)
		token := b.signsIn(u, secret.Text{}, noon)
		b.signsIn(deleted, secret.Text{}, noon)
		_, err := b.DeleteUser(t.Context(), of, deleted.ID, noon)
		b.must(err)
		left := func(at time.Time, want int) {
			t.Helper()
			_, err := b.EndSilent(t.Context(), at, at, at, at)
			b.must(err)
			if n := b.count("known_devices"); n != want {
				t.Errorf("%d rows, want %d", n, want)
			}
		}
		left(noon.Add(device.Life-time.Second), 1)
		b.wantKnown(u, token, noon.Add(device.Life-time.Second), true)
		b.wantKnown(u, token, noon.Add(device.Life), false)
		left(noon.Add(device.Life), 0)
	})
}

// Covers R-003 for known devices.
func TestParallelGuessesFromADeviceShareOnePause(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		token := b.signsIn(u, secret.Text{}, noon)
		for round := range 100 {
			var counted atomic.Int64
			tally(t, together(t, 32, func(ctx context.Context, _ int) error {
				got, known, err := b.CountDevice(ctx, deviceOf(u, token), pauses, noon)
				if got.OK {
					counted.Add(1)
				} else if err == nil && (!known || !got.Free.Equal(noon.Add(time.Second))) {
					t.Errorf("known = %v, free at %v", known, got.Free)
				}
				return err
			}), nil)
			if n := counted.Load(); n != 5 {
				t.Fatalf("round %d: %d of 32 parallel guesses were counted, want 5", round, n)
			}
			b.must(b.SettleDevice(t.Context(), deviceOf(u, token), false))
			b.must(b.SettleDevice(t.Context(), deviceOf(u, token), true))
		}
	})
}

// Two tabs that sign in at once leave the browser known by what either gets.
func TestParallelSignInsOfABrowser(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		users := []user.User{b.user(of), b.user(of)}
		have := b.signsIn(users[0], secret.Text{}, noon)
		have = b.signsIn(users[1], have, noon)
		for round := range 20 {
			at := noon.Add(time.Duration(round+1) * time.Minute)
			tokens := make([]secret.Text, 8)
			tally(t, together(t, len(tokens), func(ctx context.Context, i int) (err error) {
				u := users[i%2]
				tokens[i], err = (&device.Service{Store: b, Now: func() time.Time { return at }}).Know(ctx, u.Tenant, u.ID, have)
				return err
			}), nil)
			for i, token := range tokens {
				b.wantKnown(users[i%2], token, noon, true)
			}
			have = tokens[0]
		}
	})
}

// deviceCalls makes every call about known devices, for the test that looks for
// full scans.
func deviceCalls(ctx context.Context, s *sqlstore.Store, u user.User) map[string]func() error {
	d := device.Device{Tenant: u.Tenant, UserID: u.ID, Digest: []byte(u.ID), SeenAt: noon, ExpiresAt: noon.Add(device.Life)}
	budget := guard.DeviceBudget{Digest: d.Digest, Tenant: u.Tenant, UserID: u.ID}
	count := func(of guard.DeviceBudget) error {
		_, _, err := s.CountDevice(ctx, of, pauses, noon)
		return err
	}
	unknown := budget
	unknown.Tenant = tenant.ID{}
	return map[string]func() error{
		"25d KnowDevice":           func() error { return s.KnowDevice(ctx, d, []byte("old"), device.Most) },
		"25e CountDevice":          func() error { return count(budget) },
		"25f CountDevice, unknown": func() error { return count(unknown) },
		"25g SettleDevice":         func() error { return s.SettleDevice(ctx, budget, true) },
	}
}
