package bench_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

const (
	organization = "Bench"
	appURL       = "https://app.acme.test/welcome"
	// inFlight is how many calls are kept going at once where nothing else is
	// said.
	inFlight = 32
	// clients is how many persons log in at once.
	clients = 64
)

// scene is an installation: an api, the bus, Redis and Postgres, each a
// process of its own, and a mail server in this one.
type scene struct {
	*testing.B
	env      []string // of every service, but for its operations port
	database string
	ops      string       // URL of the api's operations port
	client   *http.Client // of operations ports
	app      *stage.App
	mails    *stage.Sink
	api      *stage.Process
	nats     *stage.Process
	email    *stage.Process // nil until startEmail
}

// newScene starts all but the workers, and furnishes an organization whose key
// is of the environment.
func newScene(b *testing.B, environment string) *scene {
	b.Helper()
	s := &scene{B: b, mails: stage.NewSink(b), database: rig.Postgres(b), client: &http.Client{Transport: &http.Transport{}}}
	b.Cleanup(s.client.CloseIdleConnections)
	natsPort := fmt.Sprint(rig.FreePort(b))
	s.nats = stage.Start(b, stage.Env(), "nats-server", "-port", natsPort, "-store", b.TempDir())
	s.nats.Await("ready for connections")
	addr := s.local()
	s.env = append(stage.Env(
		"COUNTERSIGN_INSECURE_DEV=true", "COUNTERSIGN_DRAIN_NOTICE=0s", "COUNTERSIGN_LOG_LEVEL=warn",
		"COUNTERSIGN_ADDR="+addr, "COUNTERSIGN_BASE_URL=http://"+addr, "COUNTERSIGN_NATS_URL=nats://127.0.0.1:"+natsPort,
		"COUNTERSIGN_DATABASE_URL="+s.database, "COUNTERSIGN_REDIS_URL="+rig.Redis(b).URL,
	), s.mails.Settings...)
	for name, value := range stage.Values(stage.Must(b, stage.Env(), "countersign", "keygen")) {
		s.env = append(s.env, name+"="+value)
	}
	stage.Must(b, s.env, "countersign", "migrate")
	s.api, s.ops = s.start("api")
	stage.Must(b, s.env, "countersign", "account", "create", "acme")
	s.app = stage.NewApp(b, "http://"+addr)
	s.app.HTTP.Transport = &http.Transport{MaxIdleConnsPerHost: 2 * clients}
	s.app.SignIn(stage.Values(stage.Must(b, s.env, "countersign", "key", "create", "acme", "--env", environment, "--scope", "all")))
	s.app.Furnish(organization)
	return s
}

func (s *scene) local() string {
	s.Helper()
	return fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.B))
}

// start starts a service and returns when it has all it needs.
func (s *scene) start(name string, more ...string) (process *stage.Process, ops string) {
	s.Helper()
	addr := s.local()
	env := slices.Concat(s.env, []string{"COUNTERSIGN_OPS_ADDR=" + addr}, more)
	process, ops = stage.Start(s.B, env, "countersign", name), "http://"+addr
	stage.Until(s.B, name+" is ready", func() bool {
		text, err := s.get(ops + "/readyz")
		var report struct {
			Status string `json:"status"`
		}
		return err == nil && json.Unmarshal([]byte(text), &report) == nil && report.Status == "ok"
	})
	return process, ops
}

// startEmail starts a mail worker in place of the one before.
func (s *scene) startEmail(connections int) {
	s.Helper()
	s.stopEmail()
	s.email, _ = s.start("email", fmt.Sprintf("COUNTERSIGN_SMTP_CONNECTIONS=%d", connections))
}

func (s *scene) stopEmail() {
	if s.email != nil {
		s.email.Stop()
	}
	s.email = nil
}

// get reads a page of an operations port.
func (s *scene) get(address string) (string, error) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// lanes does something n times, so many at once.
func lanes(n, atOnce int, do func(i int)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range atOnce {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	running.Wait()
}

// people makes users and returns their addresses.
func (s *scene) people(name string, n int) []string {
	s.Helper()
	all := make([]string, n)
	lanes(n, inFlight, func(i int) {
		all[i] = fmt.Sprintf("%s%d@acme.test", name, i)
		s.app.NewUser(all[i], "")
	})
	return all
}
