package sqlstore_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/mailserver"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/transfer"
	"countersign.dev/services/api/internal/user"
)

// bigTables grow with users and with what is sent to them.
var bigTables = []string{
	"users", "factors", "recovery_sets", "activity", "guess_budgets", "send_gaps", "send_budgets", "deliveries", "delivery_attempts", "sandbox_messages",
	"outbox", "password_budgets", "passwords", "password_history", "password_connections", "grants", "user_imports",
	"known_devices",
}

// fill makes a thousand organizations with a million users and what hangs on
// them. Its rows are of the account "a", its numbers cannot be opened.
var fill = []string{
	`SET session_replication_role = replica`, // nobody checks the foreign keys of a million rows
	`INSERT INTO accounts VALUES ('a', 'a', 'a', 1)`,
	`INSERT INTO organizations SELECT 'o' || i, 'a', 'o' || i, 'o', '[]', '', '', '', '[]', i, i FROM generate_series(1, 1000) i`,
	`INSERT INTO connections (org_id, environment, account_id, id, active, delivery, countries, sms_per_hour, sms_per_day, created_at, updated_at)
		SELECT id, 'sandbox', account_id, id, TRUE, 'worker', '[]', 1, 1, 1, 1 FROM organizations`,
	`INSERT INTO users SELECT 'o' || (i - 1) / 1000 + 1, 'sandbox', 'u' || i, 'a', 'e' || i, 'e' || i, FALSE, NULL, FALSE, TRUE, '{}', NULL, i, i FROM generate_series(1, 1000000) i`,
	`INSERT INTO factors (org_id, environment, user_id, id, account_id, method, name, sealed, algorithm, digits, period, last_step, drift, mode, created_at, confirmed_at, disabled_by)
		SELECT org_id, environment, id, id, account_id, 'sms', '', '', '', 0, 0, 0, 0, 'first', 1, 1, '' FROM users WHERE created_at <= 200000`,
	`INSERT INTO recovery_sets SELECT org_id, environment, id, account_id, id, '', '', 0, FALSE, 0, NULL, 1 FROM users WHERE created_at <= 200000`,
	`INSERT INTO activity SELECT org_id, environment, 0, created_at, account_id, 'a' || id, 'x', 'success', 'x', id, '', '{}', created_at, '' FROM users WHERE created_at <= 200000`,
	`INSERT INTO activity_ends SELECT org_id, environment, chain, account_id, MAX(number), '', '' FROM activity GROUP BY org_id, environment, chain, account_id`,
	`INSERT INTO grants SELECT org_id, environment, 'g' || id, account_id, id, '', '', '', '', 1, 1, 4000000000000, NULL FROM users WHERE created_at <= 200000`,
	`INSERT INTO user_imports SELECT org_id, environment, id, account_id, id, 1, 1, 0, 0, 0, 0, 1, 1, 1 FROM users WHERE created_at <= 200000`,
	`INSERT INTO guess_budgets SELECT org_id, environment, id, 'second_factor', account_id, 1, 1, 0, 1 FROM users WHERE created_at <= 200000`,
	`INSERT INTO send_gaps SELECT decode(md5(id), 'hex'), 1, 4000000000000 + created_at FROM users WHERE created_at <= 200000`,
	`INSERT INTO send_budgets SELECT 'user:' || id, 3600000, 4000000000000 + created_at, 1 FROM users WHERE created_at <= 200000`,
	`INSERT INTO deliveries SELECT org_id, environment, 'd' || id, account_id, id, 'r' || id, '', 'sms', '', 'delivered', '', '', '', 1, 1, created_at, created_at
		FROM users WHERE created_at <= 200000`,
	`INSERT INTO outbox SELECT id, account_id, org_id, environment, 'message', id, '', 1, 0, 4000000000000 + created_at, 5000000000000, 1 FROM deliveries`,
	`INSERT INTO delivery_attempts SELECT id, 1, 'delivered', org_id, environment, 1, '' FROM deliveries`,
	`INSERT INTO sandbox_messages SELECT id, id, account_id, org_id, environment, 'sms', request_id, '', decode(md5(id), 'hex'), 4000000000000 + created_at FROM deliveries`,
	`INSERT INTO password_budgets SELECT decode(md5(id), 'hex'), account_id, org_id, environment, CASE WHEN created_at % 2 = 0 THEN id END, 1, 1, 0, 1, 4000000000000 + created_at
		FROM users WHERE created_at <= 200000`,
	`INSERT INTO known_devices SELECT decode(md5(id || i), 'hex'), org_id, environment, id, account_id, 0, 0, 0, 0, 1, 4000000000000 + created_at
		FROM users, generate_series(1, 2) i WHERE created_at <= 200000`,
	`INSERT INTO password_connections (account_id, org_id, environment, id, min_length, max_length, pepper_rotation, template_id, delivery,
			verbose_errors, direct_creation, created_at, updated_at, time_to_live, grace_period, history_depth)
		SELECT account_id, id, 'sandbox', id, 15, 256, 1, '', 'worker', FALSE, FALSE, 1, 1, CASE WHEN created_at <= 20 THEN 7776000000 ELSE 0 END, 0, 5 FROM organizations`,
	// Of each organization a few expire at any time in the next ninety days.
	`INSERT INTO passwords (account_id, org_id, environment, user_id, number, hash, must_change, changed_at, hashed_at)
		SELECT account_id, org_id, environment, id, 9, '', FALSE, 1772366400000 - (created_at * 7776) % 7776000000, 1 FROM users`,
	`INSERT INTO password_history (account_id, org_id, environment, user_id, number, hash) SELECT account_id, org_id, environment, id, 8, '' FROM users WHERE created_at <= 200000`,
	`SET session_replication_role = origin`,
	`ANALYZE`,
}

//
func TestNoQueryReadsABigTableFromEndToEnd(t *testing.T) {
	rig.Long(t, "it makes a million users")
	t.Parallel()
	b := newBench(t, rig.Postgres(t))
	loader := &bench{Store: open(t, sqlstore.Config{DSN: with(t, b.dsn, "statement_timeout", "5min")}), t: t}
	conn, err := loader.DB().Conn(t.Context())
	b.must(err)
	for _, statement := range fill {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	b.must(conn.Close())

	before := loader.scans()
	worker := open(t, sqlstore.Config{DSN: b.dsn, MaxConns: 1})
	for round := range 12 { // a prepared statement gets its lasting plan after five
		everyCall(t, worker, round)
	}
	b.must(worker.Close()) // what a session has counted is seen when it ends
	after := loader.scans()
	for _, table := range bigTables {
		if after[table] != before[table] {
			t.Errorf("%d sequential scans of %s", after[table]-before[table], table)
		}
	}
	_, err = loader.DB().ExecContext(t.Context(), `SELECT COUNT(*) FROM users WHERE active`)
	b.must(err)
	b.must(loader.Close())
	if (&bench{Store: open(t, sqlstore.Config{DSN: b.dsn}), t: t}).scans()["users"] == after["users"] {
		t.Error("a sequential scan was not counted: this test sees nothing")
	}
}

func (b *bench) scans() map[string]int64 {
	b.t.Helper()
	out := map[string]int64{}
	for _, table := range bigTables {
		var n int64
		b.must(b.DB().QueryRowContext(b.t.Context(), `SELECT seq_scan FROM pg_stat_user_tables WHERE relname = $1`, table).Scan(&n))
		out[table] = n
	}
	return out
}

// standings reads a user by id and by address.
func standings(ctx context.Context, s *sqlstore.Store, u user.User) error {
	for _, key := range []user.Key{{ID: u.ID}, {Canonical: u.Email.Canonical}} {
		if _, err := s.Standing(ctx, u.Tenant, key); err != nil {
			return err
		}
	}
	return nil
}

// changeFactors does what becomes of factors.
func changeFactors(ctx context.Context, s *sqlstore.Store, u user.User, app factor.Factor, set factor.Set) error {
	happened := (&outbox.Composer{Now: func() time.Time { return noon }}).Event(happened(u.Tenant, u.ID, event.TypeFactorRenamed, nil))
	for _, step := range []func() error{
		func() error { return s.PutWaiting(ctx, app, nil) },
		func() error { return s.Confirm(ctx, factor.Confirmation{Factor: app, Step: 1, At: noon}) },
		func() error {
			_, err := s.AcceptStep(ctx, factor.Accepted{Tenant: u.Tenant, UserID: u.ID, Factor: app.ID, Step: 2, At: noon}, nil)
			return err
		},
		func() error { return s.Rename(ctx, u.Tenant, u.ID, app.ID, "x", []outbox.Entry{happened}) },
		func() error { _, err := s.UseRecoveryCode(ctx, use(u, set, 0, noon), nil); return err },
		func() error {
			_, err := s.Disable(ctx, factor.Stop{Tenant: u.Tenant, UserID: u.ID, Factor: "", By: factor.ByGuesses, At: noon}, nil)
			return err
		},
		func() error { return s.Remove(ctx, u.Tenant, u.ID, app.ID, nil) },
		func() error { return s.Reset(ctx, u.Tenant, u.ID, nil, noon) },
		func() error { _, err := s.Activity(ctx, u.Tenant, activity.Filter{}, first(10)); return err },
		func() error {
			_, err := s.Activity(ctx, u.Tenant, activity.Filter{UserID: u.ID}, first(10))
			return err
		},
		func() error { _, err := s.Chain(ctx, u.Tenant, 0, 0, 10); return err },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// everyCall makes every call of the store that touches a big table.
func everyCall(t *testing.T, s *sqlstore.Store, round int) {
	t.Helper()
	ctx := t.Context()
	of := tenant.ID{Account: "a", Org: fmt.Sprint("o", round+1), Env: tenant.Sandbox}
	u := newUser(of, "new@example.com")
	u.Phone = ""
	f, app, set := newPhone(u, "+41790000001"), newApp(u, factor.Add), newSet()
	d := newDelivery(u, noon)
	send := challenge.Send{Number: []byte(u.ID), At: noon, Gap: time.Second, GapMost: time.Second, Budgets: []challenge.Budget{budget("user:"+u.ID, time.Hour)}}
	late := send
	late.Budgets = slices.Clone(send.Budgets)
	late.Budgets[0].Most = 1
	late.At = noon.Add(time.Minute)
	old := noon.Add(-time.Hour)
	organization, connections := newOrganization("a", id.UUID())
	calls := map[string]func() error{
		"01 CreateUser":  func() error { return s.CreateUser(ctx, u) },
		"02 UserByID":    func() error { _, err := s.UserByID(ctx, of, u.ID); return err },
		"03 UserByEmail": func() error { _, err := s.UserByEmail(ctx, of, u.Email.Canonical); return err },
		"04 Users":       func() error { _, err := s.Users(ctx, of, listing.Of(2, 200)); return err },
		"05 UpdateUser": func() error {
			_, err := s.UpdateUser(ctx, of, u.ID, nil, func(*user.User) error { return nil })
			return err
		},
		"06 PutWaiting":          func() error { return s.PutWaiting(ctx, f, nil) },
		"07 Confirm":             func() error { return s.Confirm(ctx, factor.Confirmation{Factor: f, Set: set, At: noon}) },
		"10 CountGuess":          func() error { _, err := s.CountGuess(ctx, subject(u), window, noon); return err },
		"11 CountGuess, refused": func() error { w := window; w.Cap = 1; _, err := s.CountGuess(ctx, subject(u), w, noon); return err },
		"12 ReturnGuess":         func() error { return s.ReturnGuess(ctx, subject(u)) },
		"13 ClearGuesses":        func() error { return s.ClearGuesses(ctx, subject(u)) },
		"14 Reserve":             func() error { return s.Reserve(ctx, send, d) },
		"15 Reserve, in the gap": func() error { return limited(s.Reserve(ctx, send, newDelivery(u, noon))) },
		"16 Reserve, spent":      func() error { return limited(s.Reserve(ctx, late, newDelivery(u, noon))) },
		"17 Unreserve":           func() error { return s.Unreserve(ctx, send, d.ID, "x") },
		"18 Answered":            func() error { _, err := s.Answered(ctx, send.Number, of, d.ID); return err },
		"19 Standing":            func() error { return standings(ctx, s, u) },
		"19 factors":             func() error { return changeFactors(ctx, s, u, app, set) },
		"20 Apply, the state":    func() error { return apply(ctx, s, d, "accepted", "failed") },
		"21 Apply, a word":       func() error { return apply(ctx, s, d, "") },
		"22 Deliveries":          func() error { return listDeliveries(ctx, s, of, delivery.Filter{}) },
		"23 Deliveries, request": func() error { return listDeliveries(ctx, s, of, delivery.Filter{RequestID: d.RequestID}) },
		"24 Deliveries, number":  func() error { return listDeliveries(ctx, s, of, delivery.Filter{ToIndex: []byte("x")}) },
		"25 AllMessages":         func() error { _, err := s.AllMessages(ctx, 200); return err },
		"26 EndSilent":           func() error { _, err := s.EndSilent(ctx, old, old, old, noon); return err },
		"27 DeleteUser":          func() error { _, err := s.DeleteUser(ctx, of, u.ID, noon); return err },
		"28 CreateOrganization":  func() error { return s.CreateOrganization(ctx, organization, connections) },
		"29 DeleteOrganization": func() error {
			_, err := s.DeleteOrganization(ctx, "a", organization.ID, tenant.Default, noon)
			return err
		},
		"30 DeleteOrganization 2": func() error {
			_, err := s.DeleteOrganization(ctx, "a", fmt.Sprint("o", round+100), tenant.Default, noon)
			return err
		},
	}
	entry := (&bench{t: t}).newMail(of, "u"+fmt.Sprint(round*1000+500))
	maps.Copy(calls, map[string]func() error{
		"40 Enqueue":   func() error { return s.Enqueue(ctx, entry) },
		"41 TakeDue":   func() error { _, err := s.TakeDue(ctx, outbox.Message, 64, time.Hour, noon); return err },
		"42 StillOpen": func() error { _, err := s.StillOpen(ctx, []string{entry.ID, "x"}); return err },
		"43 PutBack":   func() error { return s.PutBack(ctx, []outbox.Row{{ID: entry.ID, N: 1}}, noon) },
		"44 Supersede": func() error { _, err := s.Supersede(ctx, []string{entry.ID}, noon); return err },
		"45 Done":      func() error { return s.Done(ctx, []string{entry.ID}) },
	})
	maps.Copy(calls, passwordCalls(ctx, s, u))
	maps.Copy(calls, deviceCalls(ctx, s, u))
	maps.Copy(calls, transferCalls(ctx, s, u, tenant.ID{Account: "a", Org: fmt.Sprint("o", round+501), Env: tenant.Sandbox}))
	maps.Copy(calls, serverCalls(ctx, s, of))
	maps.Copy(calls, appCalls(ctx, s, of))
	maps.Copy(calls, lifeCalls(ctx, s, u, user.User{ID: fmt.Sprint("u", round*1000+700), Tenant: of}))
	names := make([]string, 0, len(calls))
	for name := range calls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := calls[name](); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func limited(err error) error {
	if err == nil {
		return fmt.Errorf("was not refused")
	}
	return nil
}

func apply(ctx context.Context, s *sqlstore.Store, d delivery.Delivery, state delivery.State, from ...delivery.State) error {
	return s.Apply(ctx, delivery.Update{
		DeliveryID: d.ID, State: state, From: from, Receipt: "x", At: noon, Attempt: &delivery.Attempt{Number: 1, At: noon}, Message: message(d, "x"),
	})
}

func listDeliveries(ctx context.Context, s *sqlstore.Store, of tenant.ID, f delivery.Filter) error {
	if _, err := s.Deliveries(ctx, of, f, first(200)); err != nil {
		return err
	}
	_, err := s.Messages(ctx, of, f, first(200))
	return err
}

// lifeCalls makes every call about the life of passwords, for the test that
// looks for full scans: of a new user, and of one who has a history.
func lifeCalls(ctx context.Context, s *sqlstore.Store, u, old user.User) map[string]func() error {
	c := codeOf(linkFor(u.Tenant, &u, u.Email, link.Reset))
	has := password.Password{Tenant: u.Tenant, UserID: u.ID, Number: 1, Hash: "1", ChangedAt: noon}
	expires := password.Due{Tenant: u.Tenant, After: noon.Add(-87 * day), Until: noon.Add(-76 * day), Age: 76 * day}
	never := func(user.User, time.Time) ([]outbox.Entry, error) { return nil, nil }
	return map[string]func() error{
		"26a CreatePassword":  func() error { _, err := s.CreatePassword(ctx, has, silent); return err },
		"26b Password":        func() error { _, err := s.Password(ctx, u.Tenant, u.ID); return err },
		"26c PutPasswordCode": func() error { return s.PutPasswordCode(ctx, c) },
		"26d SetPassword": func() error {
			_, _, err := s.SetPassword(ctx, password.Next{Code: c, Hash: "2", User: u, At: noon}, silent)
			return err
		},
		"26e ReplaceHash":     func() error { return s.ReplaceHash(ctx, has, "3", noon) },
		"26f ForcePassword":   func() error { _, err := s.ForcePassword(ctx, has, noon, nil); return err },
		"26g FormerHashes":    func() error { _, err := s.FormerHashes(ctx, old.Tenant, old.ID, 10); return err },
		"26h Connections":     func() error { _, err := s.ExpiringConnections(ctx, tenant.ID{Org: old.Tenant.Org}, 100); return err },
		"26i Remind":          func() error { _, err := s.Remind(ctx, expires, never); return err },
		"26k PasswordChecked": func() error { return s.PasswordChecked(ctx, has, noon) },
		"26l PasswordLeaked":  func() error { _, err := s.PasswordLeaked(ctx, has, noon, nil); return err },
		"26j Remind, none": func() error {
			none := expires
			none.Until = none.After
			_, err := s.Remind(ctx, none, never)
			return err
		},
	}
}

// transferCalls makes every call of imports and exports, for the test that looks
// for full scans. An export from the beginning reads an organization whose
// numbers can be opened: it has none.
func transferCalls(ctx context.Context, s *sqlstore.Store, u user.User, without tenant.ID) map[string]func() error {
	f := transfer.File{Tenant: u.Tenant, Digest: id.UUID(), Run: id.UUID()}
	write := func(mode transfer.Mode) error {
		row := transfer.Row{Line: 1, User: newUser(u.Tenant, "moved@example.com"), Hash: foreignHash, ChangedAt: noon, Onto: func(*user.User) error { return nil }}
		return s.ImportUsers(ctx, transfer.Batch{File: f, Mode: mode, Rows: []transfer.Row{row}, At: noon}, func([]transfer.Outcome) (transfer.Checkpoint, error) {
			return transfer.Checkpoint{}, nil
		})
	}
	calls := map[string]func() error{
		"08a BeginImport":         func() error { _, err := s.BeginImport(ctx, f, noon, nil); return err },
		"08b ImportUsers":         func() error { return write(transfer.Leave) },
		"08c ImportUsers, skip":   func() error { return write(transfer.Leave) },
		"08d ImportUsers, update": func() error { return write(transfer.Update) },
		"08e FinishImport":        func() error { return s.FinishImport(ctx, f, noon, nil) },
	}
	last := map[string][]any{ // nothing comes after it
		transfer.KindUser: {"v"}, transfer.KindFactor: {"v", ""}, transfer.KindRecovery: {"v"}, transfer.KindGrant: {"h"},
		transfer.KindDelivery: {"e"}, transfer.KindActivity: {int64(4000000000000), ""},
	}
	for _, kind := range transfer.Kinds() {
		calls["09 Export "+kind] = func() error {
			for _, step := range []struct {
				of    transfer.Scope
				after []any
			}{{transfer.Scope{Tenant: without}, nil}, {transfer.Scope{Tenant: u.Tenant}, last[kind]}, {transfer.Scope{Tenant: u.Tenant, UserID: u.ID}, nil}} {
				if _, err := s.Export(ctx, kind, step.of, step.after, 200); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return calls
}

// foreignHash is one that another system has made.
const foreignHash = "$2a$04$abcdefghijklmnopqrstuuu1234567890123456789012345678901"

// serverCalls makes every call about mail servers of organizations, for the
// test that looks for full scans.
func serverCalls(ctx context.Context, s *sqlstore.Store, of tenant.ID) map[string]func() error {
	told := func() outbox.Entry {
		return (&outbox.Composer{Now: func() time.Time { return noon }}).Event(happened(of, "", event.TypeServerChanged, nil))
	}
	put := func() error {
		fresh := mailserver.Connection{ID: id.UUID(), Tenant: of, Active: true, Security: "tls", CreatedAt: noon, UpdatedAt: noon}
		_, err := s.PutSMTPConnection(ctx, fresh, func(*mailserver.Connection) (outbox.Entry, error) { return told(), nil })
		return err
	}
	return map[string]func() error{
		"46a PutSMTPConnection":    put,
		"46b PutSMTPConnection, 2": put,
		"46c SMTPConnection":       func() error { _, err := s.SMTPConnection(ctx, of); return err },
		"46d MailServer":           func() error { _, err := s.MailServer(ctx, of.Org, of.Env); return err },
		"46e RemoveSMTPConnection": func() error { _, err := s.RemoveSMTPConnection(ctx, of, told()); return err },
	}
}
