package rig

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const needPostgres = "initdb and postgres are not installed (Debian: apt install postgresql, macOS: brew install postgresql)"

// Where packages put the programs of a version that is not in PATH.
var postgresPlaces = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
}

// programs says where Postgres is and as whom it runs.
type programs struct {
	dir string
	// uid and gid of the user postgres when we are root, which Postgres
	// refuses to be; -1 otherwise.
	uid, gid int
}

func findPostgres(tb testing.TB) programs {
	tb.Helper()
	p := programs{uid: -1, gid: -1}
	if p.dir = postgresDir(); p.dir == "" {
		missing(tb, needPostgres)
	}
	if os.Getuid() != 0 {
		return p
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		missing(tb, "Postgres does not run as root and there is no user postgres: run the tests as an ordinary user")
	}
	uid, errUID := strconv.Atoi(account.Uid)
	gid, errGID := strconv.Atoi(account.Gid)
	if errUID != nil || errGID != nil {
		missing(tb, "the user postgres has no numeric id")
	}
	p.uid, p.gid = uid, gid
	return p
}

// postgresDir returns the directory that holds both programs, of the newest
// version where there are several, "" where there is none.
func postgresDir() string {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(initdb))
	}
	for _, place := range postgresPlaces {
		found, _ := filepath.Glob(place) // only a bad pattern fails
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		_, errInit := os.Stat(filepath.Join(dir, "initdb"))
		_, errServer := os.Stat(filepath.Join(dir, "postgres"))
		if errInit == nil && errServer == nil {
			return dir
		}
	}
	return ""
}

// version reads 15 out of /usr/lib/postgresql/15/bin.
func version(dir string) int {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, dir)
	n, _ := strconv.Atoi(digits) // no digits: the oldest
	return n
}

// cluster is one Postgres server with its directory.
type cluster struct {
	programs
	root  string // holds the data and the unix socket
	port  int
	child *child
}

// newCluster makes a cluster and starts it.
func newCluster(p programs) (*cluster, error) {
	// Not tb.TempDir: its parents are closed to the user postgres.
	root, err := os.MkdirTemp("", "rig-postgres-")
	if err != nil {
		return nil, fmt.Errorf("rig: %w", err)
	}
	c := &cluster{programs: p, root: root}
	if err := c.create(); err != nil {
		removeAll(root)
		return nil, err
	}
	if err := c.start(); err != nil {
		removeAll(root)
		return nil, err
	}
	return c, nil
}

func (c *cluster) create() error {
	if c.uid >= 0 {
		if err := os.Chown(c.root, c.uid, c.gid); err != nil {
			return fmt.Errorf("rig: %w", err)
		}
	}
	initdb := c.command("initdb", "-D", c.data(), "-U", "postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("rig: initdb: %w\n%s", err, out)
	}
	return nil
}

func (c *cluster) start() error {
	var err error
	for range portTries {
		if c.port, err = freePort(); err != nil {
			return err
		}
		port := strconv.Itoa(c.port)
		c.child = &child{
			ready: "database system is ready to accept connections",
			quit:  syscall.SIGINT, // "fast": does not wait for open connections
			command: func() *exec.Cmd {
				return c.command("postgres", "-D", c.data(), "-p", port,
					"-c", "listen_addresses=127.0.0.1",
					"-c", "unix_socket_directories="+c.root,
					"-c", "max_connections=200",
					// No sync to disk: only a crash of the machine would lose
					// anything. synchronous_commit stays on, so that what was
					// committed is there after Kill.
					"-c", "fsync=off", "-c", "full_page_writes=off",
					"-c", "logging_collector=off", "-c", "log_min_messages=warning")
			},
		}
		if err = c.child.start(); err == nil || !c.child.clashed() {
			return err
		}
	}
	return err
}

func (c *cluster) data() string { return filepath.Join(c.root, "data") }

// command is one of the Postgres programs, with messages in English and as a
// user that Postgres accepts.
func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.dir, name), args...)
	cmd.Dir = c.root
	cmd.Env = append(withoutPG(os.Environ()), "LC_ALL=C")
	if c.uid >= 0 {
		runAs(cmd, c.uid, c.gid)
	}
	return cmd
}

// withoutPG drops PGDATA, PGPORT and the like of the person who runs the test.
func withoutPG(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "PG") })
}

// remove stops the server and deletes all it had.
func (c *cluster) remove() {
	c.child.stop()
	removeAll(c.root)
}
