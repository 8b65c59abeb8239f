package api_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
	"countersign.dev/services/api/internal/user"
)

// holders is how many users of the benchmark hold an app; the others are
// there to be stepped over.
const holders = 512

// town is an organization of many users, some of whom hold an app, with its
// store and the keys to it.
type town struct {
	*testing.B
	database string
	keys     benchKeys
	store    *sqlstore.Store
	where    tenant.ID
	org      string
	people   []user.User
	apps     []factor.Factor
	composer *outbox.Composer
}

func newTown(b *testing.B, database string, size int) *town {
	b.Helper()
	ctx := context.Background()
	w := &town{B: b, database: database, keys: benchKeys{seal.NewKey(), seal.NewKey(), seal.NewKey()}}
	keys, err := seal.Parse("keys", w.keys.seal)
	must(b, err)
	index, err := seal.ParseIndex("index", w.keys.index)
	must(b, err)
	w.store, err = sqlstore.Open(ctx, sqlstore.Config{DSN: database, Keys: keys, Index: index})
	must(b, err)
	b.Cleanup(func() { _ = w.store.Close() })
	must(b, w.store.Migrate(ctx))
	w.composer = &outbox.Composer{Keys: keys, Host: "bench", Now: time.Now}
	tenants := &tenant.Service{Store: w.store, Now: time.Now}
	account, err := tenants.CreateAccount(ctx, "acme", "")
	must(b, err)
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Bench"})
	must(b, err)
	w.org, w.where = org.Domain, tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}
	yes := true
	_, err = w.store.UpdateConnection(ctx, w.where, tenant.ConnectionChange{Active: &yes}, time.Now())
	must(b, err)
	w.fill(size - holders)
	w.settle()
	if strings.HasPrefix(database, "postgres") {
		rig.Analyze(b, database)
	}
	return w
}

// settle gives apps to those who hold one.
func (w *town) settle() {
	ctx, now := context.Background(), time.Now()
	rules := &user.Service{Store: w.store, Now: time.Now}
	for i := range holders {
		email := fmt.Sprintf("holder%d@acme.test", i)
		made, err := rules.Create(ctx, w.where, user.Change{Email: &email})
		must(w.B, err)
		f := factor.Factor{
			ID: made.ID, Tenant: w.where, UserID: made.ID, Method: factor.App, Key: totp.NewKey(totp.Default()), Mode: factor.First,
			CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		}
		must(w.B, w.store.PutWaiting(ctx, f, nil))
		must(w.B, w.store.Confirm(ctx, factor.Confirmation{Factor: f, Set: factor.Set{ID: made.ID, Tags: [][]byte{make([]byte, 160)}, CreatedAt: now}, At: now}))
		w.people, w.apps = append(w.people, made), append(w.apps, f)
	}
}

// fill makes users with an app and recovery codes that nobody can open, of the
// sizes that they have.
func (w *town) fill(n int) {
	series := `generate_series(CAST(1 AS BIGINT), CAST($4 AS BIGINT)) AS s(i)`
	if strings.HasPrefix(w.database, "sqlite:") {
		series = `(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < $4) SELECT i FROM s) AS s`
	}
	db := w.sql()
	defer db.Close()
	for _, text := range []string{
		`INSERT INTO users (org_id, environment, id, account_id, email, email_canonical, email_verified, phone_verified, active, profile, created_at, updated_at)
			SELECT $1, $2, 'user-' || i, $3, 'user' || i || '@acme.test', 'user' || i || '@acme.test', TRUE, FALSE, TRUE, '{}', i, i FROM ` + series,
		`INSERT INTO factors (org_id, environment, user_id, id, account_id, method, name, sealed, algorithm, digits, period, last_step, drift, mode,
			created_at, confirmed_at, disabled_by)
			SELECT $1, $2, 'user-' || i, 'factor-' || i, $3, 'totp', '', 'sealed bytes of about that many, sixty or so in all they are', 'SHA1', 6, 30, 0, 0, 'first',
				i, i, '' FROM ` + series,
		`INSERT INTO recovery_sets (org_id, environment, user_id, account_id, id, made, tags, used, obliged, renewals, created_at)
			SELECT $1, $2, 'user-' || i, $3, 'set-' || i, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA',
				'thirty-two bytes of a tag, five.thirty-two bytes of a tag, five.thirty-two bytes of a tag, five.thirty-two bytes of a tag, five.thirty-two bytes of a tag, five.',
				0, FALSE, 0, i FROM ` + series,
	} {
		_, err := db.ExecContext(context.Background(), text, w.where.Org, w.where.Env, w.where.Account, n)
		must(w.B, err)
	}
}

// open starts the service in the town, over HTTP.
func (w *town) open(short ephemeral.Store) *bench {
	w.Helper()
	h, service := serveBench(w.B, w.database, short, w.keys)
	key, err := service.Admin().CreateKey(context.Background(), "acme", "sandbox", "bench", []string{api.AllScopes})
	must(w.B, err)
	h.org = w.org
	h.token = field(h.post("/oauth/token", "grant_type", "client_credentials", "client_id", key.ClientID, "client_secret", key.ClientSecret.Reveal()), "access_token")
	return h
}

// code is what the app of a user shows now, and its step.
func (w *town) code(i int) (string, int64) {
	codes, err := w.apps[i].Key.Codes(time.Now())
	must(w.B, err)
	return codes[1].Text.Reveal(), codes[1].Step
}

// bare is what a validation cannot do without: the count, and the transaction
// that uses the step up, clears the count, and records and publishes it.
func (w *town) bare(i int) {
	ctx, now := context.Background(), time.Now()
	_, step := w.code(i)
	subject := guard.Subject{Tenant: w.where, UserID: w.people[i].ID, Class: guard.SecondFactor}
	count, err := w.store.CountGuess(ctx, subject, guard.Window{Guesses: 5, Cap: 100, Spans: [3]int64{900_000, 3_600_000, 86_400_000}}, now)
	if err != nil || !count.OK {
		w.Errorf("counted %v, %v", count, err)
	}
	happened := w.composer.Event(activity.Record{
		Tenant: w.where, UserID: w.people[i].ID, Action: "code.accepted", By: activity.By{Actor: "api_key:bench", TraceID: "bench"},
		Data: map[string]string{"method": "totp", "factor": w.apps[i].ID},
	})
	happened.CreatedAt = now.AddDate(1, 0, 0) // the service beside it publishes its own events and none of these
	ok, err := w.store.AcceptStep(ctx, factor.Accepted{Tenant: w.where, UserID: w.people[i].ID, Factor: w.apps[i].ID, Step: step, At: now}, []outbox.Entry{happened})
	if err != nil || !ok {
		w.Errorf("accepted %v, %v", ok, err)
	}
}

// again lets every app show its code once more.
func (w *town) again() {
	db := w.sql()
	_, err := db.ExecContext(context.Background(), `UPDATE factors SET last_step = 0 WHERE last_step > 0`)
	must(w.B, err)
	must(w.B, db.Close())
}

// sql opens the database behind the store's back.
func (w *town) sql() *sql.DB {
	driver, name := "pgx", w.database
	if path, lite := strings.CutPrefix(w.database, "sqlite:"); lite {
		driver, name = "sqlite", "file:"+path+"?_busy_timeout=30000"
	}
	db, err := sql.Open(driver, name)
	must(w.B, err)
	return db
}

// published waits until all that is due has left, and returns what that took.
func (w *town) published() lap {
	db := w.sql()
	defer db.Close()
	before := cpuSeconds()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var due int
		must(w.B, db.QueryRowContext(context.Background(), `SELECT COUNT(*) FROM outbox WHERE created_at <= $1`, time.Now().UnixMilli()).Scan(&due))
		if due == 0 {
			return lap{cpu: cpuSeconds() - before}
		}
		<-tick.C
	}
}

// BenchmarkTOTPValidation checks right codes of apps over HTTP, beside the bare
// statements on the same database, in turn: whatever else the machine does
// falls on both. What a validation publishes is on our account.
func BenchmarkTOTPValidation(b *testing.B) {
	engines := map[string]func(b *testing.B) (string, ephemeral.Store){
		"sqlite": func(b *testing.B) (string, ephemeral.Store) {
			b.Helper()
			return "sqlite:" + filepath.Join(b.TempDir(), "bench.db"), ephemeral.NewMemory(time.Now)
		},
		"postgres": func(b *testing.B) (string, ephemeral.Store) {
			b.Helper()
			short, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(rig.Redis(b).URL)})
			must(b, err)
			b.Cleanup(func() { _ = short.Close() })
			return rig.Postgres(b), short
		},
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, size := range []int{1_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d users", engine, size), func(b *testing.B) {
				database, short := engines[engine](b)
				w := newTown(b, database, size)
				h := w.open(short)
				var theirs, ours lap
				for left := max(b.N, 2*inFlight); left > 0; left -= holders {
					n := min(left, holders)
					w.again()
					theirs.add(h.load(n, func(i int) { w.bare(i - 1) }))
					w.again()
					ours.add(h.load(n, func(i int) {
						code, _ := w.code(i - 1)
						if answer := h.post("/api/v2/org/"+h.org+"/totp-challenge/validation/"+w.people[i-1].ID, "code", code); !strings.Contains(answer, `"success":true`) {
							h.Errorf("a right code was refused: %s", answer)
						}
					}))
					ours.add(w.published())
				}
				h.compare(theirs, ours)
				h.ReportMetric(ours.cpuEach()/theirs.cpuEach(), "x-floor-cpu")
			})
		}
	}
}
