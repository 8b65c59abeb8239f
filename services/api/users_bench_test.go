package api_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/transfer"
	"countersign.dev/services/api/internal/user"
)

// people makes the file of an import while it is read.
type people struct {
	left, made int
	rest       []byte
}

func (p *people) Read(into []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.left == 0 {
			return 0, io.EOF
		}
		p.left--
		p.made++
		p.rest = fmt.Appendf(nil, `{"email":"user%d@acme.test","email_verified":true,"given_name":"Ana","family_name":"Test","phone_number":"+49151%08d",`+
			`"password_hash":"$2b$10$PZwx./VjCbM5jtgPrkZbMOFni7NNCJEA1kSKsSByf0Tv8F0AJWxvC"}`+"\n", p.made, p.made)
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// BenchmarkImport brings a hundred thousand users, and a million on SQLite, and
// prints rows per second and the most memory that the heap took, beside the
// floor of the same run: the statements alone, with rows that are made before.
func BenchmarkImport(b *testing.B) {
	for _, c := range []struct {
		engine string
		rows   int
	}{{"sqlite", 100_000}, {"sqlite", 1_000_000}, {"postgres", 100_000}} {
		b.Run(fmt.Sprintf("%s/%d", c.engine, c.rows), func(b *testing.B) {
			dsn := "sqlite:" + filepath.Join(b.TempDir(), "bench.db")
			if c.engine == "postgres" {
				dsn = rig.Postgres(b)
			}
			for b.Loop() {
				importOnce(b, dsn, c.rows)
			}
		})
	}
}

func importOnce(b *testing.B, dsn string, rows int) {
	b.Helper()
	ctx := context.Background()
	keys, index := seal.NewKey(), seal.NewKey()
	ring, err := seal.Parse("keys", keys)
	must(b, err)
	store, err := sqlstore.Open(ctx, sqlstore.Config{DSN: dsn, Keys: ring})
	must(b, err)
	defer func() { must(b, store.Close()) }()
	must(b, store.Migrate(ctx))
	tenants := &tenant.Service{Store: store, Now: time.Now}
	account, err := tenants.CreateAccount(ctx, fmt.Sprint("bench", time.Now().UnixNano()), "")
	must(b, err)
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: account.Domain})
	must(b, err)
	users, err := api.OpenUsers(ctx, api.UsersConfig{OperatorConfig: api.OperatorConfig{DatabaseURL: secret.New(dsn), SealKeys: keys, InsecureDev: true}, IndexKey: index})
	must(b, err)
	defer func() { must(b, users.Close()) }()
	report, err := os.Create(filepath.Join(b.TempDir(), "report"))
	must(b, err)
	defer func() { must(b, report.Close()) }()

	floor := bareInserts(b, store, tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}, min(rows, 100_000))
	runtime.GC() // the rows of the floor
	most := uint64(0)
	began := time.Now()
	n, err := users.Import(ctx, api.Import{
		Org: org.Domain, Env: tenant.Default, Format: "jsonl", Input: &people{left: rows}, Digest: fmt.Sprint(rows), OnConflict: "skip", Report: report,
		Each: func(api.ImportCounts) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		},
	})
	must(b, err)
	if n.Created != int64(rows) {
		b.Fatalf("%+v", n)
	}
	b.ReportMetric(float64(rows)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(floor, "floor-rows/s")
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
}

// bareInserts returns how many rows per second the statements write, without a
// file, its lines and its place.
func bareInserts(b *testing.B, store *sqlstore.Store, of tenant.ID, rows int) float64 {
	b.Helper()
	const portion = 500
	ctx, now := context.Background(), time.Now()
	hash := "$2b$10$PZwx./VjCbM5jtgPrkZbMOFni7NNCJEA1kSKsSByf0Tv8F0AJWxvC"
	var all []transfer.Row
	for i := range rows {
		address := fmt.Sprintf("user%d@acme.test", i)
		all = append(all, transfer.Row{Hash: hash, ChangedAt: now, User: user.User{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Tenant: of, Email: user.Address{Written: address, Canonical: address}, Active: true, CreatedAt: now, UpdatedAt: now,
		}})
	}
	began, lines := time.Now(), int64(0)
	for part := range slices.Chunk(all, portion) {
		lines += portion
		must(b, store.ImportUsers(ctx, transfer.Batch{File: transfer.File{Tenant: of}, Rows: part, At: now}, func([]transfer.Outcome) (transfer.Checkpoint, error) {
			return transfer.Checkpoint{Counts: transfer.Counts{Lines: lines}}, nil
		}))
	}
	return float64(rows) / time.Since(began).Seconds()
}
