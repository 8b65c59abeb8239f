package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
	"countersign.dev/services/api/internal/user"
)

func TestMigratesFromEmptyAndOnce(t *testing.T) {
	t.Parallel()
	for engine, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   sqlite,
		"postgres": func(t *testing.T) string { return rig.Postgres(t) },
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := open(t, sqlstore.Config{DSN: dsn(t)})
			if s.Dialect() != engine {
				t.Errorf("Dialect() = %q", s.Dialect())
			}
			pending := func(want bool) {
				t.Helper()
				if got, err := s.Pending(t.Context()); err != nil || got != want {
					t.Fatalf("Pending = %v, %v, want %v", got, err, want)
				}
			}
			pending(true)
			b := &bench{Store: s, t: t}
			if before := tables(b); len(before) != 0 {
				t.Fatalf("asking what is pending made tables: %v", before)
			}
			b.must(s.Migrate(t.Context()))
			pending(false)
			made := tables(b)
			if len(made) < 13 {
				t.Errorf("tables: %v", made)
			}
			b.must(s.Migrate(t.Context()))
			pending(false)
			if again := tables(b); strings.Join(again, " ") != strings.Join(made, " ") {
				t.Errorf("a second run changed %v to %v", made, again)
			}
			// What a newer program did must not stop this one.
			_, err := s.DB().ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)`)
			b.must(err)
			pending(false)
		})
	}
}

func tables(b *bench) []string {
	b.t.Helper()
	query := `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`
	if b.Dialect() == "sqlite" {
		query = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`
	}
	rows, err := b.DB().QueryContext(b.t.Context(), query)
	b.must(err)
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		b.must(rows.Scan(&name))
		out = append(out, name)
	}
	b.must(rows.Err())
	return out
}

func TestManyReplicasMigrateAtOnce(t *testing.T) {
	t.Parallel()
	dsn := rig.Postgres(t)
	errs := together(t, 4, func(ctx context.Context, _ int) error {
		s, err := sqlstore.Open(ctx, sqlstore.Config{DSN: dsn, Keys: keyring(t)})
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		return s.Migrate(ctx)
	})
	if ok := tally(t, errs, nil); ok != 4 {
		t.Errorf("%d of 4 replicas migrated", ok)
	}
}

func TestDSNsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"nothing":                     "",
		"another database":            "mysql://root:hunter2@localhost/x",
		"no URL at all":               "hunter2",
		"a port that is none":         "postgres://u:hunter2@localhost:port/x",
		"an unknown TLS mode":         "postgres://u:hunter2@localhost/x?sslmode=hunter2",
		"no file":                     "sqlite:",
		"memory, which has no second": "sqlite::memory:",
		"parameters":                  "file:hunter2.db?_journal_mode=OFF",
		"a directory that is missing": "sqlite:" + filepath.Join(t.TempDir(), "missing", "x.db"),
	} {
		s, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: dsn, Keys: keyring(t)})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error shows the DSN: %v", name, err)
		}
	}
	if _, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: sqlite(t)}); err == nil {
		t.Error("opened without keys")
	}
}

func TestADatabaseThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	_, err := sqlstore.Open(t.Context(), sqlstore.Config{
		DSN: "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", Keys: keyring(t),
	})
	if fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %v", err)
	}
}

func TestTheFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	// The name has what a URI would read as something else.
	dir := t.TempDir()
	path := filepath.Join(dir, "100% #1.db")
	b := newBench(t, "sqlite:"+path)
	b.tenant()
	entries, err := os.ReadDir(dir)
	b.must(err)
	if len(entries) < 2 || !strings.HasPrefix(entries[0].Name(), "100% #1.db") {
		t.Errorf("files: %v", entries)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		b.must(err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
	}
}

// oldTenant is a tenant as versions wrote it whose schema the store of today
// cannot write.
func (b *bench) oldTenant() tenant.ID {
	b.t.Helper()
	of := tenant.ID{Account: id.UUID(), Org: id.UUID(), Env: tenant.Sandbox}
	_, err := b.DB().ExecContext(b.t.Context(), `INSERT INTO accounts (id, domain, name, created_at) VALUES ($1, 'acme', 'Acme', 1)`, of.Account)
	b.must(err)
	_, err = b.DB().ExecContext(b.t.Context(), `INSERT INTO organizations (id, account_id, domain, name, email_domains, color, locale, logo_url, redirect_uris, created_at, updated_at)
		VALUES ($1, $2, 'acme', 'Acme', '[]', '', '', '', '[]', 1, 1)`, of.Org, of.Account)
	b.must(err)
	return of
}

// A phone that was enrolled before factors had one table is still one.
func TestPhonesOfTheFirstVersionsStay(t *testing.T) {
	onEmpty(t, func(t *testing.T, b *bench) {
		b.must(b.MigrateTo(t.Context(), 7))
		of, u := b.oldTenant(), id.UUID()
		for _, insert := range []struct {
			text string
			args []any
		}{
			{`INSERT INTO connections (org_id, environment, account_id, id, active, delivery, countries, sms_per_hour, sms_per_day, created_at, updated_at)
				VALUES ($1, 'sandbox', $2, 'c', TRUE, 'worker', '[]', 1, 1, 1, 1)`, []any{of.Org, of.Account}},
			{`INSERT INTO users (org_id, environment, id, account_id, email, email_canonical, email_verified, phone_verified, active, profile, created_at, updated_at)
				VALUES ($1, 'sandbox', $2, $3, 'e', 'e', FALSE, FALSE, TRUE, '{}', 1, 1)`, []any{of.Org, u, of.Account}},
		} {
			_, err := b.DB().ExecContext(t.Context(), insert.text, insert.args...)
			b.must(err)
		}
		for _, pending := range []bool{false, true} {
			name := fmt.Sprint("pending ", pending)
			sealed, err := b.SealPhone(of, u, name, "+41791111111")
			b.must(err)
			_, err = b.DB().ExecContext(t.Context(), `INSERT INTO sms_factors (org_id, environment, user_id, pending, account_id, id, phone_sealed, created_at, expires_at, confirmed_at)
				VALUES ($1, 'sandbox', $2, $3, $4, $5, $6, 1, $7, $8)`, of.Org, u, pending, of.Account, name, sealed, when(pending, 2), when(!pending, 3))
			b.must(err)
		}
		b.must(b.Migrate(t.Context()))
		s, err := b.Standing(t.Context(), of, user.Key{ID: u})
		if err != nil || len(s.Factors) != 1 || s.Factors[0].Phone != "+41791111111" || !s.Factors[0].Takes() || s.Waiting.ID != "pending true" || s.Connection.App != totp.Default() {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// when is a time, or none.
func when(there bool, millis int64) any {
	if there {
		return millis
	}
	return nil
}

// onEmpty is onBoth without a schema.
func onEmpty(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel()
	for engine, dsn := range map[string]func(t *testing.T) string{"sqlite": sqlite, "postgres": func(t *testing.T) string { return rig.Postgres(t) }} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			test(t, &bench{Store: open(t, sqlstore.Config{DSN: dsn(t)}), t: t})
		})
	}
}
