package compose_test

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/nats-io/nats-server/v2/server"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

// stack is docker-compose.yml brought to life on this machine. Where compose
// says nats:4222 there is localhost with a free port, where it says /certs or
// /run there is a folder; everything else is taken as it stands.
type stack struct {
	t       *testing.T
	file    file
	secrets map[string]string
	dir     string // stands for the folders of containers
	ports   map[string]string
	ca      *x509.CertPool
}

// newStack makes the secrets and the certificates, with the commands that
// compose runs for it.
func newStack(t *testing.T) *stack {
	t.Helper()
	// Not t.TempDir: Postgres runs as another user, who could not enter it.
	dir, err := os.MkdirTemp("", "compose-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run", "data", "certs"} { // the last as the image has it, for the volume
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := &stack{t: t, file: parse(t), secrets: newSecrets(t), dir: dir, ports: map[string]string{}, ca: x509.NewCertPool()}
	stage.Must(t, stage.Env(), "countersign", s.args("certs")...)
	pem, err := os.ReadFile(s.here("/certs/ca.pem"))
	if err != nil || !s.ca.AppendCertsFromPEM(pem) {
		t.Fatalf("no usable ca.pem was made: %v", err)
	}
	return s
}

// here replaces names of compose by those of this machine.
func (s *stack) here(text string) string {
	pairs := []string{
		"/certs", s.dir + "/certs", "/run/", s.dir + "/run/", `"/data"`, `"` + s.dir + `/data"`,
		"/etc/countersign/pg_hba.conf", filepath.Join(stage.Root(s.t), "deployments/postgres/pg_hba.conf"),
	}
	for place, port := range s.ports {
		name, _, _ := strings.Cut(place, ":")
		if name == "0.0.0.0" {
			pairs = append(pairs, place, "127.0.0.1:"+port)
			continue
		}
		pairs = append(pairs, "//"+place, "//localhost:"+port, "@"+place, "@localhost:"+port)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// open gives a place of compose (nats:4222) a port of this machine.
func (s *stack) open(places ...string) {
	port := strconv.Itoa(rig.FreePort(s.t))
	for _, place := range places {
		s.ports[place] = port
	}
}

func (s *stack) args(name string) []string {
	s.t.Helper()
	args := s.file.Services[name].args(s.t, s.secrets)
	for i := range args {
		args[i] = s.here(args[i])
	}
	return args
}

func (s *stack) env(name string) []string {
	s.t.Helper()
	env := s.file.Services[name].env(s.t, s.secrets)
	for variable, value := range env {
		env[variable] = s.here(value)
	}
	// The one place that is not an address of one piece.
	if port, ok := s.ports[env["COUNTERSIGN_SMTP_HOST"]+":"+env["COUNTERSIGN_SMTP_PORT"]]; ok {
		env["COUNTERSIGN_SMTP_HOST"], env["COUNTERSIGN_SMTP_PORT"] = "localhost", port
	}
	return environment(env)
}

// start runs a service of ours as compose does.
func (s *stack) start(name string) *stage.Process {
	s.t.Helper()
	return stage.Start(s.t, s.env(name), s.file.Services[name].program(), s.args(name)...)
}

// config writes a configuration file with the places of this machine.
func (s *stack) config(path string) string {
	s.t.Helper()
	out := filepath.Join(s.dir, filepath.Base(path))
	if err := os.WriteFile(out, []byte(s.here(read(s.t, path))), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// nats runs the server with the very configuration file.
func (s *stack) nats() {
	s.t.Helper()
	for name, value := range s.file.Services["nats"].Environment {
		full, err := interpolate(value, s.secrets)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Setenv(name, full) // where the configuration file reads it
	}
	options, err := server.ProcessConfigFile(s.config("deployments/nats/nats.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	if options.HTTPPort != 0 || options.HTTPSPort != 0 || options.ProfPort != 0 {
		s.t.Error("NATS shows itself on a monitoring port")
	}
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	srv, err := server.NewServer(options)
	if err != nil {
		s.t.Fatal(err)
	}
	go srv.Start() // returns when it is up; Shutdown below ends it
	s.t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(20 * time.Second) {
		s.t.Fatal("NATS did not start")
	}
	s.ports["nats:4222"] = port(s.t, srv.Addr())
}

func port(t *testing.T, addr net.Addr) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// redis runs the server as the entrypoint and the command of compose do.
func (s *stack) redis() {
	s.t.Helper()
	s.installKey("redis")
	args := s.args("redis")
	if args[0] != "redis-server" || args[1] != "/etc/countersign/redis.conf" {
		s.t.Fatalf("redis is started with %q", args)
	}
	conf := strings.ReplaceAll(read(s.t, "deployments/redis/redis.conf"), "dir /data", "dir "+s.dir+"/data")
	path := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(path, []byte(s.here(conf)), 0o644); err != nil {
		s.t.Fatal(err)
	}
	redis := rig.Redis(s.t, append([]string{"--include", path, "--tls-port", "{port}"}, args[2:]...)...)
	_, s.ports["redis:6379"], _ = strings.Cut(redis.Addr, ":")
}

// postgres makes a cluster with the settings of compose's command, and the
// database and roles as the image does at its first start.
func (s *stack) postgres() {
	s.t.Helper()
	s.installKey("postgres")
	cluster := rig.PostgresServer(s.t)
	db, err := sql.Open("pgx", cluster.DSN)
	if err != nil {
		s.t.Fatal(err)
	}
	env := s.file.Services["postgres"].env(s.t, s.secrets)
	statements := []string{
		`CREATE DATABASE ` + env["POSTGRES_DB"],
		`ALTER ROLE postgres PASSWORD '` + env["POSTGRES_PASSWORD"] + `'`,
	}
	args := s.args("postgres")
	for i := 1; i+1 < len(args); i += 2 {
		name, value, ok := strings.Cut(args[i+1], "=")
		if args[i] != "-c" || !ok {
			s.t.Fatalf("postgres is started with %q", args)
		}
		statements = append(statements, fmt.Sprintf(`ALTER SYSTEM SET %s = '%s'`, name, value))
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(s.t.Context(), statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
	dsn := strings.Replace(cluster.DSN, "/postgres?", "/"+env["POSTGRES_DB"]+"?", 1)
	psql := exec.CommandContext(s.t.Context(), "psql", "--no-psqlrc", dsn, "-f", filepath.Join(stage.Root(s.t), "deployments/postgres/roles.sql"))
	psql.Env = environment(env)
	if out, err := psql.CombinedOutput(); err != nil {
		s.t.Fatalf("roles.sql: %v\n%s", err, out)
	}
	if err := db.Close(); err != nil {
		s.t.Fatal(err)
	}
	cluster.Stop()
	cluster.Start()
	_, rest, _ := strings.Cut(cluster.DSN, "127.0.0.1:")
	s.ports["postgres:5432"], _, _ = strings.Cut(rest, "/")
}

// installKey does what the entrypoints of Redis and Postgres do before the
// image's own: a copy of the key that only the server may read.
func (s *stack) installKey(name string) {
	s.t.Helper()
	entrypoint := s.file.Services[name].Entrypoint
	shell := fmt.Sprintf(`install -o %[1]s -g %[1]s -m 0%%s /certs/%[1]s.key /run/%[1]s.key && exec docker-entrypoint.sh "$$@"`, name)
	mode := map[string]string{"redis": "400", "postgres": "600"}[name]
	if len(entrypoint) != 4 || entrypoint[0] != "sh" || entrypoint[1] != "-c" || entrypoint[2] != fmt.Sprintf(shell, mode) {
		s.t.Fatalf("%s starts with %q", name, entrypoint)
	}
	key, err := os.ReadFile(s.here("/certs/" + name + ".key"))
	if err != nil {
		s.t.Fatal(err)
	}
	path := s.here("/run/" + name + ".key")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if owner, err := user.Lookup(name); err == nil && name == "postgres" && os.Getuid() == 0 { // then pkg/rig runs it as this user
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(path, uid, gid); err != nil {
			s.t.Fatal(err)
		}
	}
}

// client trusts the private authority and nobody else.
func (s *stack) client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca}}}
}
