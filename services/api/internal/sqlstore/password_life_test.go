package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

const day = 24 * time.Hour

// silence is a relay that nobody wakes.
type silence struct{}

func (silence) Wake() {}

// living makes a connection of passwords that live so.
func (b *bench) living(of tenant.ID, l password.Life) {
	b.t.Helper()
	b.must(b.CreatePasswordConnection(b.t.Context(), password.Connection{
		ID: id.UUID(), Tenant: of, MinLength: 15, MaxLength: 256, PepperRotation: day, Delivery: tenant.DeliverWorker, Life: l, CreatedAt: noon, UpdatedAt: noon,
	}, nil))
}

// withPassword makes a user whose password was set at a time.
func (b *bench) withPassword(of tenant.ID, at time.Time) user.User {
	b.t.Helper()
	u := b.user(of)
	b.gets(u, at)
	return u
}

func (b *bench) gets(u user.User, at time.Time) {
	b.t.Helper()
	_, err := b.CreatePassword(b.t.Context(), password.Password{Tenant: u.Tenant, UserID: u.ID, Number: 1, Hash: "1", ChangedAt: at}, silent)
	b.must(err)
}

// reminders sweeps the store at a time.
func (b *bench) reminders(s *sqlstore.Store, at time.Time) *password.Reminders {
	now := func() time.Time { return at }
	composer := &outbox.Composer{Keys: b.keys, Host: "login.example", Now: now}
	return &password.Reminders{Store: s, Notices: &notice.Service{Outbox: composer, Store: s, Relay: silence{}, Now: now}, Now: now}
}

// told sweeps, at a time at which it was not swept before, and returns how many
// days each user has left of whom that time's records and mails tell.
func (b *bench) told(at time.Time) []string {
	b.t.Helper()
	b.must(b.reminders(b.Store, at).Sweep(b.t.Context()))
	days := []string{}
	for _, data := range b.rows(`SELECT data FROM activity WHERE action = 'password.expiring' AND created_at = $1`, at.UnixMilli()) {
		_, rest, _ := strings.Cut(data, `"days_left":"`)
		left, _, _ := strings.Cut(rest, `"`)
		days = append(days, left)
	}
	if mails := b.rows(`SELECT id FROM deliveries WHERE created_at = $1`, at.UnixMilli()); len(mails) != len(days) {
		b.t.Errorf("%d mails and %d records", len(mails), len(days))
	}
	return days
}

// Two processes on one database sweep 32 times at once, 100 rounds: of each
// reminder there is one mail and one event.
// Covers R-022 for reminders of passwords that expire.
func TestAReminderIsSentOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})}
		of := b.tenant()
		b.living(of, password.Life{TTL: 90 * day})
		b.withPassword(of, noon)
		for round := range 100 {
			// Every round is another reminder: the password is set anew, an
			// hour before, for every third one.
			before := []time.Duration{14 * day, 3 * day, day}[round%3]
			if round%3 == 0 && round > 0 {
				_, err := b.DB().ExecContext(t.Context(), `UPDATE passwords SET reminded_age = 0`)
				b.must(err)
			}
			at := noon.Add(90*day - before)
			tally(t, together(t, 32, func(ctx context.Context, i int) error { return b.reminders(stores[i%2], at).Sweep(ctx) }), nil)
			if mails, events := len(b.rows(`SELECT id FROM outbox WHERE kind = 'message'`)), len(b.rows(`SELECT id FROM activity`)); mails != round+1 || events != round+1 {
				t.Fatalf("round %d: %d mails and %d records, want %d", round, mails, events, round+1)
			}
		}
	})
}

// A password has a reminder 14, 3 and 1 days before it expires, each once. What
// was missed is made up for by the nearest alone, and none comes for a password
// that has expired, must change, does not expire, or is a deactivated user's.
// Covers R-058 for reminders: 14, 3 and 1 days before, on both engines.
func TestWhenRemindersAreDue(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of, other := b.tenant(), b.tenant()
		b.living(of, password.Life{TTL: 90 * day})
		b.living(other, password.Life{})
		b.withPassword(of, noon)
		b.withPassword(other, noon)
		off, forced := b.withPassword(of, noon), b.withPassword(of, noon)
		_, err := b.UpdateUser(t.Context(), of, off.ID, nil, func(u *user.User) error { u.Active = false; return nil })
		b.must(err)
		has, err := b.Password(t.Context(), of, forced.ID)
		b.must(err)
		_, err = b.ForcePassword(t.Context(), has, noon, nil)
		b.must(err)
		end := noon.Add(90 * day)
		for _, step := range []struct {
			at   time.Time
			want string
		}{
			{noon, "[]"},
			{end.Add(-14*day - time.Millisecond), "[]"},
			{end.Add(-14 * day), "[14]"},
			{end.Add(-14*day + time.Millisecond), "[]"},
			{end.Add(-5 * day), "[]"},
			{end.Add(-3*day + time.Hour), "[3]"},
			{end.Add(-2 * day), "[]"},
			{end.Add(-time.Hour), "[1]"},
			{end.Add(-time.Minute), "[]"},
			{end, "[]"},
		} {
			if got := fmt.Sprint(b.told(step.at)); got != step.want {
				t.Errorf("%v before the end: days %s, want %s", end.Sub(step.at), got, step.want)
			}
		}
		late := b.withPassword(of, noon.Add(day)) // the sweeper comes back after a week
		if got := fmt.Sprint(b.told(end.Add(day - 7*day))); got != "[7]" {
			t.Errorf("a week before the end of a second password: %s", got)
		}
		c := codeOf(linkFor(of, &late, late.Email, link.Reset))
		c.ExpiresAt = noon.Add(3 * day)
		b.must(b.PutPasswordCode(t.Context(), c))
		_, _, err = b.SetPassword(t.Context(), password.Next{Code: c, Hash: "2", User: late, At: noon.Add(2 * day)}, silent)
		b.must(err)
		if got := fmt.Sprint(b.told(end.Add(2*day - 14*day))); got != "[14]" {
			t.Errorf("the end of the password after it: %s", got)
		}
	})
}

// Another TTL moves the reminders with the end of passwords: those of a later
// end are sent, those of an earlier one are not sent twice.
func TestRemindersMoveWithTheTTL(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		b.living(of, password.Life{TTL: 90 * day})
		b.withPassword(of, noon)
		lives := func(ttl time.Duration) {
			t.Helper()
			_, err := b.UpdatePasswordConnection(t.Context(), of, func(c *password.Connection) ([]outbox.Entry, error) { c.Life.TTL = ttl; return nil, nil })
			b.must(err)
		}
		for _, step := range []struct {
			ttl  time.Duration
			age  time.Duration
			want string
		}{
			{90 * day, 76 * day, "[14]"},
			{85 * day, 77 * day, "[]"}, // eight days before the new end, and told of it lately
			{85 * day, 82 * day, "[3]"},
			{120 * day, 83 * day, "[]"},
			{120 * day, 106 * day, "[14]"},
			{0, 119 * day, "[]"},
			{day, 20 * day, "[]"},
			{2 * day, day, "[]"}, // an age that it was told at before
		} {
			lives(step.ttl)
			if got := fmt.Sprint(b.told(noon.Add(step.age))); got != step.want {
				t.Errorf("%v old of %v: days %s, want %s", step.age, step.ttl, got, step.want)
			}
		}
	})
}

// A sweep goes through all connections and all passwords of each, in portions.
func TestASweepOfRemindersReachesEverybody(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		want := 0
		for i := range 103 {
			of := b.tenant()
			b.living(of, password.Life{TTL: 90 * day})
			users := 1
			if i == 102 {
				users = 70
			}
			for range users {
				b.withPassword(of, noon)
				want++
			}
		}
		if got := len(b.told(noon.Add(89 * day))); got != want {
			t.Errorf("%d were told, want %d", got, want)
		}
		gone := b.tenant()
		b.living(gone, password.Life{TTL: 90 * day})
		b.withPassword(gone, noon)
		_, err := b.DeleteOrganization(t.Context(), gone.Account, gone.Org, tenant.Default, noon)
		b.must(err)
		if got := b.told(noon.Add(89*day + time.Millisecond)); len(got) != 0 {
			t.Errorf("%d of a deleted organization were told", len(got))
		}
	})
}

// The history holds as many former passwords as the connection says, and
// nothing while it says none; strangers find none of it and it goes with its
// user.
// Covers R-060 for the history of passwords, on both engines.
func TestTheHistoryOfPasswords(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		b.living(of, password.Life{})
		u := b.withPassword(of, noon)
		depth := func(n int) {
			t.Helper()
			_, err := b.UpdatePasswordConnection(t.Context(), of, func(c *password.Connection) ([]outbox.Entry, error) { c.Life.History = n; return nil, nil })
			b.must(err)
		}
		former := func(most int) string {
			t.Helper()
			hashes, err := b.FormerHashes(t.Context(), of, u.ID, most)
			b.must(err)
			return fmt.Sprint(hashes)
		}
		set := func(hash string) {
			t.Helper()
			c := codeOf(linkFor(of, &u, u.Email, link.Reset))
			b.must(b.PutPasswordCode(t.Context(), c))
			_, _, err := b.SetPassword(t.Context(), password.Next{Code: c, Hash: hash, User: u, At: noon}, silent)
			b.must(err)
		}
		set("2")
		if got := former(10); got != "[]" {
			t.Errorf("without a depth: %s", got)
		}
		depth(3)
		for n := range 5 {
			set(fmt.Sprint(n + 3))
		}
		if got := former(10); got != "[6 5 4]" {
			t.Errorf("of seven, three deep: %s", got)
		}
		if got := former(2); got != "[6 5]" {
			t.Errorf("two of them: %s", got)
		}
		for name, stranger := range b.strangers(of) {
			if hashes, err := b.FormerHashes(t.Context(), stranger, u.ID, 10); err != nil || len(hashes) != 0 {
				t.Errorf("%s finds %d former passwords: %v", name, len(hashes), err)
			}
		}
		depth(1)
		set("8")
		if got := former(10); got != "[7]" {
			t.Errorf("one deep: %s", got)
		}
		depth(0)
		set("9")
		if n := b.count("password_history"); n != 0 {
			t.Errorf("%d rows where nothing is remembered", n)
		}
		depth(2)
		set("10")
		_, err := b.DeleteUser(t.Context(), of, u.ID, noon)
		b.must(err)
		if n := b.count("password_history"); n != 0 {
			t.Errorf("%d rows of a deleted user", n)
		}
	})
}

// Of many that force another password one does, its grants end with it, and a
// password that was changed since is left alone.
// Covers R-174 for forced passwords, on both engines.
// Covers R-033 for forced passwords.
func TestAPasswordIsForcedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		b.living(of, password.Life{})
		u := b.withPassword(of, noon)
		has, err := b.Password(t.Context(), of, u.ID)
		b.must(err)
		b.must(b.AddGrant(t.Context(), grant.Draft{
			Grant: grant.Grant{ID: id.UUID(), Tenant: of, UserID: u.ID, ClientID: id.UUID(), Scope: []string{"openid"}, AuthTime: noon, CreatedAt: noon, ExpiresAt: noon.Add(day)},
			Code:  grant.Code{Digest: newDigest(), ExpiresAt: noon.Add(time.Minute)},
		}))
		composer := &outbox.Composer{Now: func() time.Time { return noon }}
		forced := won(t, 32, func(ctx context.Context, _ int) (bool, error) {
			return b.ForcePassword(ctx, has, noon, []outbox.Entry{composer.Event(happened(of, u.ID, event.TypePasswordForced, nil))})
		})
		if records := b.count("activity"); forced != 1 || records != 1 {
			t.Errorf("%d have forced it, and %d records tell of it", forced, records)
		}
		if live := b.rows(`SELECT id FROM grants WHERE revoked_at IS NULL`); len(live) > 0 {
			t.Errorf("grants go on: %v", live)
		}
		if number, mustChange, err := b.PresentPassword(t.Context(), of, u.ID); err != nil || number != 1 || !mustChange {
			t.Errorf("password %d, must change %v, %v", number, mustChange, err)
		}
		c := codeOf(linkFor(of, &u, u.Email, link.Renew))
		b.must(b.PutPasswordCode(t.Context(), c))
		_, _, err = b.SetPassword(t.Context(), password.Next{Code: c, Hash: "2", User: u, At: noon}, silent)
		b.must(err)
		if late, err := b.ForcePassword(t.Context(), has, noon, nil); err != nil || late {
			t.Errorf("the password after it was forced: %v, %v", late, err)
		}
	})
}

// What is told of a connection is written with it or not at all.
// Covers R-174 for the expiry of passwords, on both engines.
func TestAConnectionIsStoredWithWhatIsToldOfIt(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		composer := &outbox.Composer{Now: func() time.Time { return noon }}
		happened := composer.Event(happened(of, "", event.TypePasswordsExpire, nil))
		c := password.Connection{ID: id.UUID(), Tenant: of, Delivery: tenant.DeliverWorker, Life: password.Life{TTL: day, Grace: time.Hour, History: 4}, CreatedAt: noon, UpdatedAt: noon}
		bad := happened
		bad.Record.Action = "no.such"
		if err := b.CreatePasswordConnection(t.Context(), c, []outbox.Entry{bad}); err == nil || b.count("password_connections") != 0 {
			t.Errorf("stored without its record: %v", err)
		}
		b.must(b.CreatePasswordConnection(t.Context(), c, []outbox.Entry{happened}))
		if got, err := b.PasswordConnection(t.Context(), of); err != nil || got.Life != c.Life || b.count("activity") != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := b.CreatePasswordConnection(t.Context(), c, []outbox.Entry{happened}); !errors.Is(err, password.ErrExists) {
			t.Errorf("a second one: %v", err)
		}
		gone := c
		gone.Tenant.Org = id.UUID()
		if err := b.CreatePasswordConnection(t.Context(), gone, nil); !errors.Is(err, tenant.ErrNotFound) {
			t.Errorf("of no organization: %v", err)
		}
		if _, err := b.UpdatePasswordConnection(t.Context(), of, func(c *password.Connection) ([]outbox.Entry, error) {
			c.Life.TTL = 2 * day
			return []outbox.Entry{bad}, nil
		}); err == nil {
			t.Error("changed without its record")
		}
		if got, err := b.PasswordConnection(t.Context(), of); err != nil || got.Life != c.Life {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A password of the version before was hashed when it was set, and lives on.
func TestPasswordsOfTheVersionBeforeLiveOn(t *testing.T) {
	onEmpty(t, func(t *testing.T, b *bench) {
		b.must(b.MigrateTo(t.Context(), 10))
		of, u := b.oldTenant(), id.UUID()
		for _, insert := range []string{
			`INSERT INTO users (org_id, environment, account_id, id, email, email_canonical, email_verified, phone_verified, active, profile, created_at, updated_at)
				VALUES ($1, $2, $3, $4, 'e', 'e', FALSE, FALSE, TRUE, '{}', 1, 1)`,
			`INSERT INTO passwords (org_id, environment, account_id, user_id, number, hash, must_change, changed_at) VALUES ($1, $2, $3, $4, 3, 'x', FALSE, 7)`,
		} {
			_, err := b.DB().ExecContext(t.Context(), insert, of.Org, of.Env, of.Account, u)
			b.must(err)
		}
		b.must(b.Migrate(t.Context()))
		if p, err := b.Password(t.Context(), of, u); err != nil || p.Number != 3 || p.HashedAt.UnixMilli() != 7 || p.ChangedAt.UnixMilli() != 7 || p.MustChange {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
