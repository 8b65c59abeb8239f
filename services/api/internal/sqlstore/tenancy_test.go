package sqlstore_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// TestStrangersFindNothing calls every method that takes a tenant with tenants
// that differ in one place, with ids that exist.
func TestStrangersFindNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		of := b.tenant()
		victim := b.inhabit(of)
		b.enrolled(newApp(victim, factor.Add), factor.Set{}, noon)
		standing := b.standing(victim)
		f, set := standing.Factors[1], standing.Recovery
		waiting := newPhone(victim, "+41790000002")
		waiting.Mode = factor.Reset
		b.must(b.PutWaiting(t.Context(), waiting, nil))
		deliveries, err := b.Deliveries(t.Context(), of, delivery.Filter{}, first(1))
		b.must(err)
		d := deliveries.Items[0]
		before := b.dump()

		yes := true
		for name, stranger := range b.strangers(of) {
			theirs := func(u user.User) user.User { u.Tenant = stranger; return u }(victim)
			misses := map[string]func(ctx context.Context) error{
				"UserByID": func(ctx context.Context) error { _, err := b.UserByID(ctx, stranger, victim.ID); return err },
				"UserByEmail": func(ctx context.Context) error {
					_, err := b.UserByEmail(ctx, stranger, victim.Email.Canonical)
					return err
				},
				"UpdateUser": func(ctx context.Context) error {
					_, err := b.UpdateUser(ctx, stranger, victim.ID, nil, func(u *user.User) error { u.Active = false; return nil })
					return err
				},
				"DeleteUser": func(ctx context.Context) error { _, err := b.DeleteUser(ctx, stranger, victim.ID, noon); return err },
				"Standing": func(ctx context.Context) error {
					_, err := b.Standing(ctx, stranger, user.Key{ID: victim.ID})
					return err
				},
				"Standing, by address": func(ctx context.Context) error {
					_, err := b.Standing(ctx, stranger, user.Key{Canonical: victim.Email.Canonical})
					return err
				},
				"PutWaiting": func(ctx context.Context) error { return b.PutWaiting(ctx, newPhone(theirs, "+41790000003"), nil) },
				"Confirm": func(ctx context.Context) error {
					w := waiting
					w.Tenant = stranger
					return b.Confirm(ctx, factor.Confirmation{Factor: w, Set: newSet(), At: noon})
				},
				"Rename": func(ctx context.Context) error { return b.Rename(ctx, stranger, victim.ID, f.ID, "x", nil) },
				"Remove": func(ctx context.Context) error { return b.Remove(ctx, stranger, victim.ID, f.ID, nil) },
				"Reset":  func(ctx context.Context) error { return b.Reset(ctx, stranger, victim.ID, nil, noon) },
				"Disable": func(ctx context.Context) error {
					_, err := b.Disable(ctx, factor.Stop{Tenant: stranger, UserID: victim.ID, Factor: "", By: factor.ByGuesses, At: noon}, nil)
					return err
				},
				"UseRecoveryCode": func(ctx context.Context) error {
					_, err := b.UseRecoveryCode(ctx, factor.Use{Tenant: stranger, UserID: victim.ID, Set: set.ID, Bit: 1, At: noon}, nil)
					return err
				},
				"CountGuess": func(ctx context.Context) error {
					_, err := b.CountGuess(ctx, subject(theirs), window, noon)
					return err
				},
				"Reserve": func(ctx context.Context) error {
					return b.Reserve(ctx, newSend("new number", noon), newDelivery(theirs, noon))
				},
			}
			for method, call := range misses {
				if err := call(t.Context()); fault.KindOf(err) != fault.NotFound {
					t.Errorf("%s, %s: %v, want not_found", name, method, err)
				}
			}
			if ok, err := b.AcceptStep(t.Context(), factor.Accepted{Tenant: stranger, UserID: victim.ID, Factor: f.ID, Step: 1 << 30, At: noon}, nil); err != nil || ok {
				t.Errorf("%s, AcceptStep: %v, %v", name, ok, err)
			}
			b.must(b.ReturnGuess(t.Context(), subject(theirs)))
			b.must(b.ClearGuesses(t.Context(), subject(theirs)))

			if list, err := b.Users(t.Context(), stranger, first(10)); err != nil || list.Total+len(list.Items) != 0 {
				t.Errorf("%s, Users: %+v, %v", name, list, err)
			}
			for _, filter := range []delivery.Filter{{}, {RequestID: d.RequestID}, {ToIndex: []byte("index")}} {
				if list, err := b.Deliveries(t.Context(), stranger, filter, first(10)); err != nil || list.Total+len(list.Items) != 0 {
					t.Errorf("%s, Deliveries: %+v, %v", name, list, err)
				}
				if list, err := b.Messages(t.Context(), stranger, filter, first(10)); err != nil || list.Total+len(list.Items) != 0 {
					t.Errorf("%s, Messages: %+v, %v", name, list, err)
				}
			}
			if stranger.Account == of.Account && stranger.Org == of.Org {
				continue // the organization is theirs
			}
			if c, err := b.Connection(t.Context(), stranger); err == nil && c.Tenant.Org == of.Org {
				t.Errorf("%s, Connection: %+v", name, c)
			}
			if c, err := b.UpdateConnection(t.Context(), stranger, tenant.ConnectionChange{Active: &yes}, noon); err == nil && c.Tenant.Org == of.Org {
				t.Errorf("%s, UpdateConnection: %+v", name, c)
			}
			if stranger.Account != of.Account {
				_, err := b.DeleteOrganization(t.Context(), stranger.Account, of.Org, "", noon)
				b.isErr(err, tenant.ErrNotFound)
			}
		}
		if got := b.standing(victim); !reflect.DeepEqual(got.Factors, standing.Factors) || !reflect.DeepEqual(got.Recovery, set) {
			t.Errorf("the factors changed to %+v", got)
		}
		if after := b.dump(); !reflect.DeepEqual(after, before) {
			t.Errorf("strangers changed rows:\n%v\nbefore:\n%v", after, before)
		}
	})
}

// dump returns every row of the tables that hang on users.
func (b *bench) dump() map[string][]string {
	b.t.Helper()
	out := map[string][]string{}
	for _, table := range []string{"users", "factors", "recovery_sets", "guess_budgets", "deliveries", "delivery_attempts", "sandbox_messages", "send_gaps", "send_budgets"} {
		out[table] = b.rows("SELECT * FROM " + table)
	}
	return out
}

func (b *bench) rows(query string, args ...any) []string {
	b.t.Helper()
	rows, err := b.DB().QueryContext(b.t.Context(), query, args...)
	b.must(err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	b.must(err)
	var out []string
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new(any)
		}
		b.must(rows.Scan(row...))
		text := ""
		for i := range row {
			text += fmt.Sprintf("%s=%v ", columns[i], *row[i].(*any))
		}
		out = append(out, text)
	}
	b.must(rows.Err())
	slices.Sort(out)
	return out
}

//
//
// Two tenants have a user with the same address. Whatever is done to one, in
// whatever order, no row of the other changes.
func TestTenantsWithTheSameAddressShareNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		base := b.tenant()
		neighbours := []tenant.ID{{Account: base.Account, Org: base.Org, Env: tenant.Default}, {Account: base.Account, Org: b.organization(base.Account).ID, Env: base.Env}, b.tenant()}
		rapid.Check(t, func(rt *rapid.T) {
			mine, theirs := base, rapid.SampledFrom(neighbours).Draw(rt, "neighbour")
			if rapid.Bool().Draw(rt, "other way round") {
				mine, theirs = theirs, mine
			}
			address := id.UUID() + "@example.com"
			one, two := newUser(mine, address), newUser(theirs, address)
			b.must(b.CreateUser(t.Context(), one))
			b.must(b.CreateUser(t.Context(), two))
			number := []byte("number " + address) // counted across tenants on purpose: no gap, no shared budget here
			for _, u := range []user.User{one, two} {
				b.do(rt, u, number)
			}
			before := b.ofTenant(theirs)
			rt.Repeat(map[string]func(*rapid.T){
				"":       func(*rapid.T) {},
				"mutate": func(rt *rapid.T) { b.do(rt, one, number) },
			})
			if after := b.ofTenant(theirs); !reflect.DeepEqual(after, before) {
				rt.Fatalf("rows of the other tenant changed:\n%v\nbefore:\n%v", after, before)
			}
			_, _ = b.DeleteUser(t.Context(), mine, one.ID, noon)
			if after := b.ofTenant(theirs); !reflect.DeepEqual(after, before) {
				rt.Fatalf("deleting a user changed rows of the other tenant:\n%v\nbefore:\n%v", after, before)
			}
			_, err := b.DeleteUser(t.Context(), theirs, two.ID, noon)
			b.must(err)
		})
	})
}

// do changes something of a user, with arguments that name nobody else.
func (b *bench) do(rt *rapid.T, u user.User, number []byte) {
	ctx := b.t.Context()
	at := noon.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "minutes")) * time.Minute)
	waiting := b.standing(u).Waiting
	actions := map[string]func() error{
		"guess":  func() error { _, err := b.CountGuess(ctx, subject(u), window, at); return err },
		"return": func() error { return b.ReturnGuess(ctx, subject(u)) },
		"clear":  func() error { return b.ClearGuesses(ctx, subject(u)) },
		"enrol":  func() error { return b.PutWaiting(ctx, newPhone(u, u.Phone), nil) },
		"confirm": func() error {
			waiting.Mode, waiting.Tenant, waiting.UserID = factor.Reset, u.Tenant, u.ID
			return b.Confirm(ctx, factor.Confirmation{Factor: waiting, Set: newSet(), At: noon})
		},
		"send": func() error {
			send := challenge.Send{Number: number, At: at, Budgets: []challenge.Budget{
				{Key: "user:" + u.Tenant.Org + "|" + u.Tenant.Env + "|" + u.ID, Span: time.Hour, Most: 3, Fault: challenge.ErrUser},
				{Key: "org:" + u.Tenant.Org + "|" + u.Tenant.Env, Span: time.Hour, Most: 5, Fault: challenge.ErrOrg},
			}}
			d := newDelivery(u, at)
			if err := b.Reserve(ctx, send, d); err != nil {
				return err
			}
			return b.Apply(ctx, delivery.Update{DeliveryID: d.ID, State: "accepted", From: []delivery.State{delivery.Pending}, At: at, Message: message(d, "to")})
		},
		"update": func() error {
			_, err := b.UpdateUser(ctx, u.Tenant, u.ID, nil, func(u *user.User) error { u.Active = !u.Active; return nil })
			return err
		},
		"connection": func() error {
			active := rapid.Bool().Draw(rt, "active")
			_, err := b.UpdateConnection(ctx, u.Tenant, tenant.ConnectionChange{Active: &active}, at)
			return err
		},
	}
	name := rapid.SampledFrom([]string{"guess", "return", "clear", "enrol", "confirm", "send", "update", "connection"}).Draw(rt, "action")
	if err := actions[name](); err != nil && fault.KindOf(err) != fault.Limited && fault.KindOf(err) != fault.NotFound {
		rt.Fatalf("%s: %v", name, err)
	}
}

// ofTenant returns every row that says it is of this tenant.
func (b *bench) ofTenant(t tenant.ID) map[string][]string {
	b.t.Helper()
	out := map[string][]string{}
	for _, table := range []string{"connections", "users", "factors", "recovery_sets", "guess_budgets", "deliveries", "sandbox_messages"} {
		out[table] = b.rows("SELECT * FROM "+table+" WHERE account_id = $1 AND org_id = $2 AND environment = $3", t.Account, t.Org, t.Env)
	}
	out["delivery_attempts"] = b.rows("SELECT * FROM delivery_attempts WHERE org_id = $1 AND environment = $2", t.Org, t.Env)
	out["send_budgets"] = b.rows("SELECT * FROM send_budgets WHERE budget_key LIKE '%' || $1 || '|' || $2 || '%'", t.Org, t.Env)
	return out
}

func TestARowCannotHangOnAnotherTenantsUser(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u, other := b.user(b.tenant()), b.tenant()
		for table, insert := range map[string]string{
			"factors": `INSERT INTO factors (org_id, environment, user_id, account_id, id, method, name, sealed, algorithm, digits, period, last_step, drift, mode,
				created_at, disabled_by) VALUES ($1, $2, $3, $4, 'x', 'sms', '', '', '', 0, 0, 0, 0, 'first', 1, '')`,
			"recovery_sets": `INSERT INTO recovery_sets (org_id, environment, user_id, account_id, id, made, tags, used, obliged, renewals, created_at)
				VALUES ($1, $2, $3, $4, 'x', '', '', 0, FALSE, 0, 1)`,
			"guess_budgets": `INSERT INTO guess_budgets (org_id, environment, user_id, class, account_id, fails, in_a_row, level, window_ends)
				VALUES ($1, $2, $3, 'x', $4, 0, 0, 0, 0)`,
			"deliveries": `INSERT INTO deliveries (org_id, environment, user_id, account_id, id, request_id, trace_id, channel, recipient, state,
				provider_id, receipt, reason, expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, 'x', '', '', '', '', '', '', '', '', 1, 1, 1)`,
		} {
			if _, err := b.DB().ExecContext(t.Context(), insert, other.Org, other.Env, u.ID, other.Account); err == nil {
				t.Errorf("a row in %s hangs on a user of another tenant", table)
			}
			if _, err := b.DB().ExecContext(t.Context(), insert, u.Tenant.Org, u.Tenant.Env, u.ID, u.Tenant.Account); err != nil {
				t.Errorf("%s: %v: the statement of this test is wrong", table, err)
			}
		}
		_, err := b.DB().ExecContext(t.Context(), `INSERT INTO users (org_id, environment, id, account_id, email, email_canonical, email_verified, phone_verified, active, profile, created_at, updated_at)
			VALUES ($1, 'sandbox', 'x', $2, '', '', FALSE, FALSE, FALSE, '{}', 1, 1)`, u.Tenant.Org, other.Account)
		if err == nil {
			t.Error("a user hangs on an organization of another account")
		}
	})
}
