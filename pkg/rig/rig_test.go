package rig_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// ask sends one inline command to a Redis and returns the first line of its
// answer.
func ask(addr, command string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

func TestRedisDiesAndComesBackEmptyOnItsPort(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t)
	want := func(command, answer string) {
		t.Helper()
		if got, err := ask(server.Addr, command); err != nil || got != answer {
			t.Fatalf("%s: got %q, %v; want %q", command, got, err, answer)
		}
	}
	want("SET a 1", "+OK")
	server.Kill()
	if got, err := ask(server.Addr, "PING"); err == nil {
		t.Fatalf("a killed server answered %q", got)
	}
	server.Kill() // killing the dead is allowed
	server.Start()
	want("EXISTS a", ":0")
	server.Stop()
	server.Start()
	want("PING", "+PONG")
}

func TestRedisTakesArguments(t *testing.T) {
	t.Parallel()
	server := rig.Redis(t, "--requirepass", "p{port}")
	_, port, _ := strings.Cut(server.Addr, ":")
	if got, err := ask(server.Addr, "AUTH p"+port); err != nil || got != "+OK" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestManyRedisServersStartAtOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	t.Run("group", func(t *testing.T) {
		for range 8 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				server := rig.Redis(t)
				mu.Lock()
				defer mu.Unlock()
				if seen[server.Addr] {
					t.Errorf("two servers on %s", server.Addr)
				}
				seen[server.Addr] = true
			})
		}
	})
	if len(seen) != 8 {
		t.Errorf("%d servers ran, want 8", len(seen))
	}
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestEveryPostgresDatabaseIsFresh(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			db := open(t, rig.Postgres(t))
			if _, err := db.ExecContext(t.Context(), `CREATE TABLE once (id BIGINT)`); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPostgresKeepsWhatWasCommittedBeforeItWasKilled(t *testing.T) {
	t.Parallel()
	server := rig.PostgresServer(t)
	db := open(t, server.DSN)
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE kept (id BIGINT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO kept VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := db.PingContext(t.Context()); err == nil {
		t.Fatal("a killed server answered")
	}
	server.Start()
	var id int
	if err := db.QueryRowContext(t.Context(), `SELECT id FROM kept`).Scan(&id); err != nil || id != 7 {
		t.Fatalf("got %d, %v; want 7", id, err)
	}
	server.Stop()
	server.Start()
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The tests below look at a test binary from outside: this one, run again.

func TestAMissingServerSkipsOrFailsTheTest(t *testing.T) {
	t.Parallel()
	if os.Getenv("RIG_INNER") != "" {
		rig.Redis(t)
		return
	}
	cases := map[string]struct {
		required string
		fails    bool
		says     string
	}{
		"skipped by default":          {required: "", fails: false, says: "SKIP"},
		"failed where it is promised": {required: "1", fails: true, says: "FAIL"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAMissingServerSkipsOrFailsTheTest$", "-test.v")
			cmd.Env = append(os.Environ(), "RIG_INNER=1", "RIG_REQUIRED="+c.required, "PATH="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails || !strings.Contains(string(out), c.says) ||
				!strings.Contains(string(out), "redis-server is not installed") {
				t.Fatalf("got %v\n%s", err, out)
			}
		})
	}
}

// A short run leaves long tests out, and is refused where all are promised.
func TestALongTestSkipsOrFailsInAShortRun(t *testing.T) {
	t.Parallel()
	if os.Getenv("RIG_INNER") != "" {
		rig.Long(t, "it is long")
		return
	}
	for name, c := range map[string]struct {
		short, required, says string
		fails                 bool
	}{
		"a whole run":                         {"false", "1", "PASS: TestALong", false},
		"a short run":                         {"true", "", "SKIP: TestALong", false},
		"a short run where all were promised": {"true", "1", "FAIL: TestALong", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestALongTestSkipsOrFailsInAShortRun$", "-test.v", "-test.short="+c.short)
			cmd.Env = append(os.Environ(), "RIG_INNER=1", "RIG_REQUIRED="+c.required)
			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails || !strings.Contains(string(out), c.says) {
				t.Fatalf("got %v\n%s", err, out)
			}
		})
	}
}

func TestMainLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	if os.Getenv("RIG_INNER") != "" {
		rig.Postgres(t)
		return
	}
	// A short path: the unix socket's name has room for about 100 bytes.
	dir, err := os.MkdirTemp("", "rig")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres passes through
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMainLeavesNothingBehind$", "-test.v")
	cmd.Env = append(os.Environ(), "RIG_INNER=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v\n%s", left, err, out)
	}
}
