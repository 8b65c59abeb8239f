package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/user"
)

// with adds parameters to a Postgres DSN.
func with(t *testing.T, dsn string, parameters ...string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func (b *bench) isUnavailable(err error) {
	b.t.Helper()
	b.isErr(err, sqlstore.ErrUnavailable)
	if f, _ := errors.AsType[*fault.Error](err); f.After != 2*time.Second || f.Code != "database_unavailable" || f.Cause == nil {
		b.t.Errorf("fault = %+v, cause %v", f, f.Cause)
	}
}

func TestAPoolOfOneIsEnough(t *testing.T) {
	t.Parallel()
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   sqlite,
		"postgres": func(t *testing.T) string { return rig.Postgres(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := &bench{Store: open(t, sqlstore.Config{DSN: dsn(t), MaxConns: 1}), t: t}
			b.must(b.Migrate(t.Context()))
			of := b.tenant()
			send := newSend("number", noon)
			send.Budgets = []challenge.Budget{budget("number:1", time.Hour)}
			errs := together(t, 16, func(ctx context.Context, i int) error {
				u := newUser(of, string(rune('a'+i))+"@example.com")
				f := newPhone(u, u.Phone)
				d := newDelivery(u, noon)
				for _, step := range []func() error{
					func() error { return b.CreateUser(ctx, u) },
					func() error { return b.PutWaiting(ctx, f, nil) },
					func() error { return b.Confirm(ctx, factor.Confirmation{Factor: f, Set: newSet(), At: noon}) },
					func() error { _, err := b.CountGuess(ctx, subject(u), window, noon); return err },
					func() error { return b.Reserve(ctx, send, d) },
					func() error {
						return b.Apply(ctx, delivery.Update{DeliveryID: d.ID, State: "delivered", From: []delivery.State{delivery.Pending}, At: noon,
							Attempt: &delivery.Attempt{Number: 1, At: noon}, Message: message(d, "x")})
					},
					func() error { _, err := b.Deliveries(ctx, of, delivery.Filter{}, first(200)); return err },
					func() error {
						_, err := b.UpdateUser(ctx, of, u.ID, nil, func(u *user.User) error { u.Active = false; return nil })
						return err
					},
					func() error { _, err := b.EndSilent(ctx, noon, noon, noon, noon); return err },
				} {
					if err := step(); err != nil {
						return err
					}
				}
				return nil
			})
			tally(t, errs, nil)
			_, err := b.DeleteOrganization(t.Context(), of.Account, of.Org, "", noon)
			b.must(err)
			b.must(b.Migrate(t.Context()))
		})
	}
}

func TestBoundsOfASession(t *testing.T) {
	t.Parallel()
	dsn := rig.Postgres(t)
	for name, c := range map[string]struct{ dsn, timeout string }{
		"as we set them":      {dsn, "5s"},
		"as the operator set": {with(t, dsn, "statement_timeout", "7s"), "7s"},
	} {
		s := open(t, sqlstore.Config{DSN: c.dsn})
		for setting, want := range map[string]string{
			"statement_timeout": c.timeout, "lock_timeout": "2s", "idle_in_transaction_session_timeout": "10s", "application_name": "countersign",
		} {
			var got string
			if err := s.DB().QueryRowContext(t.Context(), "SHOW "+setting).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s = %q, %v, want %q", name, setting, got, err, want)
			}
		}
	}
}

func TestWaitingHasAnEnd(t *testing.T) {
	t.Parallel()
	dsn := rig.Postgres(t)
	keys := keyring(t)
	b := &bench{Store: open(t, sqlstore.Config{DSN: dsn, Keys: keys}), t: t}
	b.must(b.Migrate(t.Context()))
	of := b.tenant()
	u := b.user(of)
	under := func(setting, value string) *sqlstore.Store {
		return open(t, sqlstore.Config{DSN: with(t, dsn, setting, value), Keys: keys})
	}
	rename := func(ctx context.Context, s *sqlstore.Store) error {
		_, err := s.UpdateUser(ctx, of, u.ID, nil, func(*user.User) error { return nil })
		return err
	}
	hold, err := b.DB().BeginTx(t.Context(), nil)
	b.must(err)
	defer func() { _ = hold.Rollback() }()
	_, err = hold.ExecContext(t.Context(), `SELECT id FROM users FOR UPDATE`)
	b.must(err)

	b.isUnavailable(rename(t.Context(), under("lock_timeout", "20ms")))
	b.isUnavailable(rename(t.Context(), under("statement_timeout", "20ms")))
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	b.isUnavailable(rename(short, b.Store))

	readOnly := under("default_transaction_read_only", "on")
	b.isUnavailable(rename(t.Context(), readOnly))
	if _, err := readOnly.UserByID(t.Context(), of, u.ID); err != nil {
		t.Errorf("reading from a standby: %v", err)
	}
}

func TestATransactionThatIsTooLateIsUnavailable(t *testing.T) {
	t.Parallel()
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   sqlite,
		"postgres": func(t *testing.T) string { return rig.Postgres(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := &bench{Store: open(t, sqlstore.Config{DSN: dsn(t)}), t: t}
			b.must(b.Migrate(t.Context()))
			b.isUnavailable(b.CommitLate(t.Context()))
		})
	}
}

// Who deletes a user waits for the delivery that somebody else holds, who then
// wants the user: Postgres undoes one of the two.
func TestADeletionThatWasADeadlockIsDoneAgain(t *testing.T) {
	t.Parallel()
	for what, remove := range map[string]func(b *bench, u user.User) error{
		"a user": func(b *bench, u user.User) error {
			_, err := b.DeleteUser(t.Context(), u.Tenant, u.ID, noon)
			return err
		},
		"an organization": func(b *bench, u user.User) error {
			_, err := b.DeleteOrganization(t.Context(), u.Tenant.Account, u.Tenant.Org, "", noon)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := &bench{Store: open(t, sqlstore.Config{DSN: rig.Postgres(t)}), t: t}
			b.must(b.Migrate(t.Context()))
			u := b.user(b.tenant())
			d := newDelivery(u, noon)
			b.must(b.Reserve(t.Context(), newSend("n", noon), d))
			hold, err := b.DB().BeginTx(t.Context(), nil)
			b.must(err)
			_, err = hold.ExecContext(t.Context(), `SELECT id FROM deliveries WHERE id = $1 FOR UPDATE`, d.ID)
			b.must(err)
			removed := make(chan error, 1)
			go func() { removed <- remove(b, u) }()
			for waiting := 0; waiting == 0; {
				b.must(b.DB().QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN
					(SELECT pid FROM pg_stat_activity WHERE datname = current_database())`).Scan(&waiting))
			}
			_, _ = hold.ExecContext(t.Context(), `SELECT id FROM users WHERE id = $1 FOR UPDATE`, u.ID)
			_ = hold.Rollback()
			b.must(<-removed)
		})
	}
}

func TestASpentPoolIsUnavailable(t *testing.T) {
	t.Parallel()
	b := &bench{Store: open(t, sqlstore.Config{DSN: rig.Postgres(t), MaxConns: 1}), t: t}
	b.must(b.Migrate(t.Context()))
	of := b.tenant()
	hold, err := b.DB().Conn(t.Context())
	b.must(err)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = b.Users(short, of, first(1))
	b.isUnavailable(err)
	b.isUnavailable(b.Reserve(short, newSend("n", noon), newDelivery(newUser(of, "x"), noon)))
	b.isUnavailable(b.Ping(short))
	b.must(hold.Close())
	b.must(b.Ping(t.Context()))
}

func TestALockedFileIsUnavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t, sqlite(t))
	of := b.tenant()
	other := open(t, sqlstore.Config{DSN: b.dsn}) // as another process would
	hold, err := other.DB().BeginTx(t.Context(), nil)
	b.must(err)
	defer func() { _ = hold.Rollback() }()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	b.isUnavailable(b.CreateUser(short, newUser(of, "x@example.com")))
	if _, err := b.Users(t.Context(), of, first(1)); err != nil {
		t.Errorf("reading beside a writer: %v", err)
	}
}

// Covers R-003: the count stands although nothing after it was done.
func TestACountSurvivesTheConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		g := subject(b.user(b.tenant()))
		b.guesses(g, 2, noon, 2, time.Time{})
		store := b
		if b.Dialect() == "postgres" {
			admin, err := sql.Open("pgx", b.dsn)
			b.must(err)
			defer func() { _ = admin.Close() }()
			_, err = admin.ExecContext(t.Context(),
				`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			b.must(err)
		} else {
			store = &bench{Store: open(t, sqlstore.Config{DSN: b.dsn}), t: t}
		}
		// A cut connection may be noticed by one call.
		_ = store.Ping(t.Context())
		store.guesses(g, 4, noon, 3, noon.Add(15*time.Minute))
	})
}

func TestAServerThatDiesLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	server := rig.PostgresServer(t)
	b := newBench(t, server.DSN)
	of := b.tenant()
	u := b.user(of)
	var accepted atomic.Int64
	for range 5 {
		ctx, stop := context.WithCancel(t.Context())
		first := make(chan struct{}, 8)
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				for ctx.Err() == nil {
					send := newSend("number", noon)
					send.Budgets = []challenge.Budget{budget("number:1", time.Hour), budget("user:1", time.Hour)}
					send.Budgets[0].Most, send.Budgets[1].Most = 1e9, 1e9
					if errs[i] = b.Reserve(t.Context(), send, newDelivery(u, noon)); errs[i] != nil {
						return
					}
					accepted.Add(1)
					select {
					case first <- struct{}{}:
					default:
					}
				}
			})
		}
		<-first // there is load
		server.Kill()
		group.Wait() // every call returns
		stop()
		for _, err := range errs {
			b.isUnavailable(err)
		}
		b.isUnavailable(b.Ping(t.Context()))
		server.Start()
		reached(b)
		var used, other, deliveries int64
		b.must(b.DB().QueryRowContext(t.Context(), `SELECT MIN(used), MAX(used), (SELECT COUNT(*) FROM deliveries) FROM send_budgets`).
			Scan(&used, &other, &deliveries))
		// A commit whose answer was lost counts, too; nothing accepted is lost.
		if used != other || used != deliveries || deliveries < accepted.Load() {
			t.Fatalf("budgets %d and %d, deliveries %d, accepted %d", used, other, deliveries, accepted.Load())
		}
	}
}

// reached waits until the store answers again. Connections that died with the
// server are found one by one.
func reached(b *bench) {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Ping(b.t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal(err)
		}
		<-tick.C
	}
}
