package rig

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// shared is the one cluster of this test binary. A cluster takes seconds to
// make, a database in it milliseconds; Main stops it.
var shared struct {
	mu      sync.Mutex
	managed bool // Main is running
	cluster *cluster
	err     error
}

// Main is the body of TestMain in every package that calls Postgres. It runs
// the tests, stops the cluster they shared, calls what is to happen after all
// tests, and exits.
func Main(m *testing.M, after ...func()) {
	shared.mu.Lock()
	shared.managed = true
	shared.mu.Unlock()
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster != nil {
		shared.cluster.remove()
	}
	for _, do := range after {
		do()
	}
	os.Exit(code)
}

// Postgres returns the DSN of a fresh, empty database, as its superuser. The
// database is dropped when the test ends, connections or not.
func Postgres(tb testing.TB) string {
	tb.Helper()
	programs := findPostgres(tb)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.managed {
		tb.Fatal("rig: no TestMain calls rig.Main, so nobody would stop the Postgres cluster")
	}
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = newCluster(programs)
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	c := shared.cluster
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if err := c.admin(`CREATE DATABASE ` + name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.admin(`DROP DATABASE ` + name + ` WITH (FORCE)`); err != nil {
			tb.Log(err)
		}
	})
	return c.dsn(name)
}

// Analyze does at once what Postgres does by itself a minute later: until then
// its plans are those of empty tables, which no benchmark should measure.
func Analyze(tb testing.TB, dsn string) {
	tb.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.Background(), `VACUUM ANALYZE`); err != nil {
		tb.Fatal(err)
	}
}

// PostgresCluster is a server that belongs to one test, for faults: it can be
// killed and started again. It is removed when the test ends.
type PostgresCluster struct {
	DSN string // of its one database, as the superuser

	tb      testing.TB
	cluster *cluster
}

// PostgresServer starts a cluster of its own for this test. What was committed
// survives Kill (the process dies, not the machine).
func PostgresServer(tb testing.TB) *PostgresCluster {
	tb.Helper()
	c, err := newCluster(findPostgres(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.remove)
	return &PostgresCluster{DSN: c.dsn("postgres"), tb: tb, cluster: c}
}

// Kill ends the server at once, as a crash would.
func (p *PostgresCluster) Kill() { p.cluster.child.kill() }

// Stop ends the server in good order; open connections are cut.
func (p *PostgresCluster) Stop() { p.cluster.child.stop() }

// Start runs a killed or stopped server again, on the same port and data.
func (p *PostgresCluster) Start() {
	p.tb.Helper()
	p.cluster.child.restart(p.tb)
}

func (c *cluster) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", address(c.port), database)
}

// admin runs one statement on the database postgres.
func (c *cluster) admin(statement string) error {
	db, err := sql.Open("pgx", c.dsn("postgres"))
	if err != nil {
		return fmt.Errorf("rig: open postgres: %w", err)
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("rig: %s: %w", statement, err)
	}
	return nil
}

// removeAll deletes a directory that a dying server may still write to.
func removeAll(dir string) {
	deadline := time.Now().Add(stopWithin)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for os.RemoveAll(dir) != nil && time.Now().Before(deadline) {
		<-tick.C
	}
}
