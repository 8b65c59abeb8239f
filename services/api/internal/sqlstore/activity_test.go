package sqlstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/user"
)

func (b *bench) verified() activity.Report {
	b.t.Helper()
	report, err := (&activity.Verifier{Ledger: b.Store, Chain: activity.Chain{Index: b.index}}).Verify(b.t.Context())
	b.must(err)
	return report
}

// records writes n records about a user.
func (b *bench) records(u user.User, n int) {
	b.t.Helper()
	for i := range n {
		b.must(b.Enqueue(b.t.Context(), b.composer(noon.Add(time.Duration(i)*time.Second)).Event(
			happened(u.Tenant, u.ID, event.TypePasswordChanged, map[string]string{"by": fmt.Sprint("record ", i)}))))
	}
}

func TestRecordsStandInTheOrderOfTheirCommits(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		stores := []*sqlstore.Store{b.Store, b.Store}
		if b.Dialect() == "postgres" {
			stores[1] = open(t, sqlstore.Config{DSN: b.dsn, Keys: b.keys, Index: b.index})
		}
		of := b.tenant()
		people := make([]user.User, 40) // more than there are chains
		for i := range people {
			people[i] = b.user(of)
		}
		errs := together(t, 32, func(ctx context.Context, i int) error {
			for round := range 10 {
				u := people[(i*7+round)%len(people)]
				if err := stores[i%2].Enqueue(ctx, b.composer(noon).Event(happened(of, u.ID, event.TypePasswordChanged, nil))); err != nil {
					return err
				}
			}
			return nil
		})
		tally(t, errs, nil)
		if report := b.verified(); !report.Sound() || report.Records != 320 || report.Chains < 2 || report.Chains > activity.Chains {
			t.Errorf("%+v", report)
		}
		if n := b.count("outbox"); n != 320 {
			t.Errorf("%d events, want one of each record", n)
		}
	})
}

// What is recorded is taken back with the change that it tells of, and what
// guessers cause is recorded without being published.
func TestARecordGoesWithItsChange(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		refused := happened(u.Tenant, u.ID, activity.CodeRefused, nil)
		refused.Result = activity.Failure
		b.must(b.Enqueue(t.Context(), b.composer(noon).Event(refused)))
		if events, records := b.count("outbox"), b.count("activity"); events != 0 || records != 1 {
			t.Errorf("%d events and %d records of a wrong code", events, records)
		}
		b.isErr(b.Remove(t.Context(), u.Tenant, u.ID, "none", []outbox.Entry{b.composer(noon).Event(happened(u.Tenant, u.ID, event.TypeFactorRemoved, nil))}), factor.ErrNotFound)
		if n := b.count("activity"); n != 1 {
			t.Errorf("%d records, although nothing was removed", n)
		}
		page, err := b.Activity(t.Context(), u.Tenant, activity.Filter{UserID: u.ID, Action: activity.CodeRefused}, first(10))
		if err != nil || page.Total != 1 || page.Items[0].Result != activity.Failure || page.Items[0].Actor != activity.User || !page.Items[0].At.Equal(noon) {
			t.Errorf("%+v, %v", page, err)
		}
		for name, stranger := range b.strangers(u.Tenant) {
			if page, err := b.Activity(t.Context(), stranger, activity.Filter{}, first(10)); err != nil || page.Total != 0 {
				t.Errorf("%s: %+v, %v", name, page, err)
			}
		}
	})
}

// Records outlive the user they are about.
func TestRecordsOutliveTheirUsers(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		u := b.user(b.tenant())
		b.records(u, 3)
		_, err := b.DeleteUser(t.Context(), u.Tenant, u.ID, noon)
		b.must(err)
		if report := b.verified(); !report.Sound() || report.Records != 3 {
			t.Errorf("%+v", report)
		}
	})
}

// Covers R-174 for tampering.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	databases := map[string]func(t *testing.T) string{"sqlite": sqlite, "postgres": func(t *testing.T) string { return rig.Postgres(t) }}
	for engine, dsn := range databases {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, dsn(t))
			u := b.user(b.tenant())
			b.records(u, 4)
			for _, text := range []string{`UPDATE activity SET actor = 'x'`, `DELETE FROM activity`} {
				if _, err := b.DB().ExecContext(t.Context(), text); err == nil || !strings.Contains(err.Error(), "append-only") {
					t.Errorf("%s: %v", text, err)
				}
			}
			if report := b.verified(); !report.Sound() || report.Records != 4 {
				t.Fatalf("untouched: %+v", report)
			}
			// Who owns the tables takes the triggers away.
			b.run(map[string]string{
				"sqlite":   `DROP TRIGGER activity_no_update; DROP TRIGGER activity_no_delete`,
				"postgres": `ALTER TABLE activity DISABLE TRIGGER activity_append_only`,
			}[b.Dialect()])
			for name, text := range map[string]string{
				"a word changed":            `UPDATE activity SET actor = 'api_key:x' WHERE number = 2`,
				"a time changed":            `UPDATE activity SET created_at = created_at + 1 WHERE number = 3`,
				"data changed":              `UPDATE activity SET data = '{"by":"x"}' WHERE number = 1`,
				"a record moved elsewhere":  `UPDATE activity SET environment = 'default' WHERE number = 4`,
				"one in the middle removed": `DELETE FROM activity WHERE number = 2`,
				"the first removed":         `DELETE FROM activity WHERE number = 1`,
				"the last removed":          `DELETE FROM activity WHERE number = 4`,
				"all removed":               `DELETE FROM activity`,
				"the end removed":           `DELETE FROM activity_ends`,
				"the last removed, and the end put back": `DELETE FROM activity WHERE number = 4;
					UPDATE activity_ends SET number = 3, hash = (SELECT hash FROM activity WHERE number = 3)`,
				"one added": `INSERT INTO activity SELECT org_id, environment, chain, 5, account_id, id, action, result, actor, user_id, trace_id, data, created_at, hash
					FROM activity WHERE number = 4`,
				"one added, and the end put behind it": `INSERT INTO activity SELECT org_id, environment, chain, 5, account_id, id, action, result, actor, user_id, trace_id,
					data, created_at, hash FROM activity WHERE number = 4; UPDATE activity_ends SET number = 5`,
			} {
				b.run(`CREATE TABLE kept AS SELECT * FROM activity; CREATE TABLE kept_ends AS SELECT * FROM activity_ends`)
				b.run(text)
				if report := b.verified(); report.Sound() {
					t.Errorf("%s: %+v", name, report)
				}
				b.run(`DELETE FROM activity; INSERT INTO activity SELECT * FROM kept; DROP TABLE kept;
					DELETE FROM activity_ends; INSERT INTO activity_ends SELECT * FROM kept_ends; DROP TABLE kept_ends`)
			}
			if report := b.verified(); !report.Sound() {
				t.Errorf("put back: %+v", report)
			}
			another := activity.Chain{Index: index(t)}
			if report, err := (&activity.Verifier{Ledger: b.Store, Chain: another}).Verify(t.Context()); err != nil || report.Sound() {
				t.Errorf("with another key: %+v, %v", report, err)
			}
		})
	}
}

// run runs statements with semicolons between.
func (b *bench) run(text string) {
	b.t.Helper()
	for part := range strings.SplitSeq(text, ";") {
		_, err := b.DB().ExecContext(b.t.Context(), part)
		b.must(err)
	}
}
