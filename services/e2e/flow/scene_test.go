package flow_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

// scene is an installation: what it stands on, its configuration, and the
// processes that were started so far.
type scene struct {
	t      *testing.T
	env    []string // of every service; they know each other's variables
	base   string   // of the api
	ops    string   // of the api's operations port
	redis  *rig.RedisServer
	nats   *bustest.NATS
	twilio *provider
	app    *stage.App
	key    map[string]string // the app's, as it was printed
}

// distributed prepares Postgres, Redis and NATS for services of their own.
func distributed(t *testing.T, more ...string) *scene {
	t.Helper()
	s := &scene{t: t, redis: rig.Redis(t), nats: bustest.Server(t)}
	s.configure(append([]string{
		"COUNTERSIGN_DATABASE_URL=" + rig.Postgres(t),
		"COUNTERSIGN_REDIS_URL=" + s.redis.URL,
		"COUNTERSIGN_NATS_URL=" + s.nats.URL,
	}, more...))
	return s
}

// embedded prepares one process on SQLite, in-process state and its own NATS.
func embedded(t *testing.T, more ...string) *scene {
	t.Helper()
	s := &scene{t: t}
	dir := t.TempDir()
	s.configure(append([]string{
		"COUNTERSIGN_DATABASE_URL=sqlite:" + dir + "/countersign.db", "COUNTERSIGN_DATA_DIR=" + dir + "/nats",
	}, more...))
	return s
}

// configure adds what every installation has, and migrates its database.
func (s *scene) configure(own []string) {
	s.t.Helper()
	s.twilio = newProvider(s.t)
	addr, ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t)), fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t))
	s.base, s.ops = "http://"+addr, "http://"+ops
	s.env = stage.Env(
		"COUNTERSIGN_INSECURE_DEV=true", "COUNTERSIGN_DRAIN_NOTICE=0s",
		"COUNTERSIGN_ADDR="+addr, "COUNTERSIGN_OPS_ADDR="+ops, "COUNTERSIGN_BASE_URL="+s.base,
		"COUNTERSIGN_SMS_PROVIDER=twilio", "COUNTERSIGN_TWILIO_BASE_URL="+s.twilio.URL, "COUNTERSIGN_TWILIO_FROM=+15005550006",
		"COUNTERSIGN_TWILIO_ACCOUNT_SID="+twilio.AccountSID, "COUNTERSIGN_TWILIO_AUTH_TOKEN="+twilio.AuthToken,
		"COUNTERSIGN_EMAIL_PROVIDER=none",
	)
	for name, value := range stage.Values(stage.Must(s.t, stage.Env(), "countersign", "keygen")) {
		s.env = append(s.env, name+"="+value)
	}
	s.env = append(s.env, own...)
	stage.Must(s.t, s.env, "countersign", "migrate")
	s.app = stage.NewApp(s.t, s.base)
}

// api starts the process that answers requests, and waits until it does.
func (s *scene) api(command string) *stage.Process {
	s.t.Helper()
	p := stage.Start(s.t, s.env, "countersign", command)
	awaitReady(s.t, p, s.ops)
	return p
}

// worker starts one sms process. Its settings go before those of the scene.
func (s *scene) worker(more ...string) *stage.Process {
	s.t.Helper()
	return s.trade("sms", more...)
}

// trade starts one process of a worker service.
func (s *scene) trade(name string, more ...string) *stage.Process {
	s.t.Helper()
	ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t))
	p := stage.Start(s.t, settings(s.env, append([]string{"COUNTERSIGN_OPS_ADDR=" + ops}, more...)), "countersign", name)
	awaitReady(s.t, p, "http://"+ops)
	return p
}

// awaitReady waits for /readyz to say so.
func awaitReady(t *testing.T, p *stage.Process, ops string) {
	t.Helper()
	stage.Until(t, "the process is ready", func() bool {
		select {
		case <-p.Exited():
			t.Fatal("the process ended instead of becoming ready")
		default:
		}
		status, _ := get(t, ops+"/readyz")
		return status == http.StatusOK
	})
}

// settings replaces variables of an environment.
func settings(env, by []string) []string {
	last := map[string]int{}
	var out []string
	for _, pair := range append(append([]string{}, env...), by...) {
		name, _, _ := strings.Cut(pair, "=")
		if at, ok := last[name]; ok {
			out[at] = pair
			continue
		}
		last[name] = len(out)
		out = append(out, pair)
	}
	return out
}

// open makes an account with a key for the environment, and an organization.
func (s *scene) open(environment string) {
	s.t.Helper()
	stage.Must(s.t, s.env, "countersign", "account", "create", "acme")
	s.key = stage.Values(stage.Must(s.t, s.env, "countersign", "key", "create", "acme", "--env", environment, "--scope", "all"))
	s.app.SignIn(s.key)
	s.app.Furnish("Acme Test Ltd")
}

// enrolled makes a user whose phone has been proven by a code that Twilio
// took.
func (s *scene) enrolled(email, phone string) string {
	s.t.Helper()
	user := s.app.NewUser(email, phone)
	started := s.app.Call("POST", s.app.Path("totp-enrollment/"+user), "method=sms").Want(201)
	code := stage.Code(s.t, s.twilio.message(s.t, phone, 1).Body)
	s.app.AwaitState(started.Text("request_id"), "delivered")
	s.app.Call("PUT", s.app.Path("totp-enrollment/validation/"+user), "code="+code).Want(200).WantSuccess(true)
	return user
}

func (s *scene) challenge(user string) *stage.Reply {
	s.t.Helper()
	return s.app.Call("POST", s.app.Path("totp-challenge/"+user))
}

func (s *scene) validate(user, code string) *stage.Reply {
	s.t.Helper()
	return s.app.Call("POST", s.app.Path("totp-challenge/validation/"+user), "code="+code).Want(200)
}

// provider is the fake of Twilio with a signal for each call.
type provider struct {
	*twilio.Server
	URL string

	mu   sync.Mutex
	more chan struct{}
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{more: make(chan struct{})}
	p.Server = twilio.New(twilio.Options{Received: func(twilio.Call) {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(p.more)
		p.more = make(chan struct{})
	}})
	server := httptest.NewServer(p.Server)
	p.URL = server.URL
	t.Cleanup(func() {
		p.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return p
}

func (p *provider) changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.more
}

// await returns when the log is as it should be.
func (p *provider) await(t *testing.T, within time.Duration, what string, done func(twilio.Log) bool) {
	t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		more := p.changed()
		if done(p.Log()) {
			return
		}
		select {
		case <-more:
		case <-limit.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// message returns the n-th message to a number, as soon as it is there.
func (p *provider) message(t *testing.T, number string, n int) twilio.Message {
	t.Helper()
	p.await(t, time.Minute, fmt.Sprintf("message %d to %s", n, number), func(log twilio.Log) bool {
		return len(log.To(number)) >= n
	})
	return p.Log().To(number)[n-1]
}

// get returns status and body; 0 while nobody answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(body)
}
