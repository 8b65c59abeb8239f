package soak_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/rig"
	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/e2e/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

var seedFlag = flag.Uint64("seed", 0, "seed of an earlier run; 0 draws one")

const (
	inFlight = 4 // messages that one worker sends at once
	workers  = 2
	// restWithin is when everything that a killed worker held has come again,
	// twice: the bus waits 30 s for an acknowledgement.
	restWithin = 100 * time.Second
)

// size is how many challenges a run has; a tenth of it with -short.
func size() int {
	if testing.Short() {
		return 200
	}
	return 2000
}

// scene is an installation whose parts are processes that can be killed.
type scene struct {
	t    *testing.T
	seed uint64
	env  []string // of every service
	ops  string   // of the api's operations port
	app  *stage.App

	twilio  *provider
	mails   *stage.Sink
	workers []*worker // those that are killed

	natsURL   string
	natsPort  string
	natsStore string
	nats      *stage.Process

	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

// channel is a way to persons, and how its deliveries come to rest.
type channel struct {
	name       string // in the list of deliveries
	stream     string
	arrived    string // the end of those that were sent
	restWithin time.Duration
}

var texts = channel{"sms", "CHALLENGES", "delivered", restWithin}

// newScene is a foundation with two sms workers.
func newScene(t *testing.T, listDown int) *scene {
	t.Helper()
	s := foundation(t, listDown)
	for range workers {
		s.workers = append(s.workers, s.startWorker("sms"))
	}
	return s
}

// foundation starts Postgres, Redis, NATS and an api, without workers, and
// furnishes an organization whose budgets are out of the way. listDown is how
// many of a hundred looks into the provider's list fail.
func foundation(t *testing.T, listDown int) *scene {
	t.Helper()
	s := &scene{t: t, seed: *seedFlag}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	t.Logf("seed %d; the same moments again: go test ./services/e2e/soak -run '^%s$' -seed %d", s.seed, t.Name(), s.seed)
	s.rng = rand.New(rand.NewPCG(s.seed, 0))
	s.twilio, s.mails = newProvider(t, func() bool { return s.draw(100) < listDown }), stage.NewSink(t)

	s.natsPort, s.natsStore = fmt.Sprint(rig.FreePort(t)), filepath.Join(t.TempDir(), "nats")
	s.natsURL = "nats://127.0.0.1:" + s.natsPort
	s.startNATS()
	s.configure(rig.Redis(t).URL, rig.Postgres(t))
	awaitReady(t, stage.Start(t, s.env, "countersign", "api"), s.ops)
	stage.Must(t, s.env, "countersign", "account", "create", "acme")
	s.app.SignIn(stage.Values(stage.Must(t, s.env, "countersign", "key", "create", "acme", "--env", "default", "--scope", "all")))
	s.app.Furnish("Acme Test Ltd")
	return s
}

// configure makes the services' environment and the database.
func (s *scene) configure(redis, postgres string) {
	s.t.Helper()
	addr, ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t)), fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t))
	s.ops = "http://" + ops
	s.env = stage.Env(
		"COUNTERSIGN_INSECURE_DEV=true", "COUNTERSIGN_DRAIN_NOTICE=0s", "COUNTERSIGN_LOG_LEVEL=warn",
		"COUNTERSIGN_ADDR="+addr, "COUNTERSIGN_BASE_URL=http://"+addr,
		"COUNTERSIGN_DATABASE_URL="+postgres, "COUNTERSIGN_REDIS_URL="+redis, "COUNTERSIGN_NATS_URL="+s.natsURL,
		"COUNTERSIGN_SMS_PER_BLOCK=1000000", "COUNTERSIGN_SMS_PER_PREFIX=1000000", fmt.Sprintf("COUNTERSIGN_SMS_WORKERS=%d", inFlight),
		"COUNTERSIGN_SMS_PROVIDER=twilio", "COUNTERSIGN_TWILIO_BASE_URL="+s.twilio.URL, "COUNTERSIGN_TWILIO_FROM=+15005550006",
		"COUNTERSIGN_TWILIO_ACCOUNT_SID="+twilio.AccountSID, "COUNTERSIGN_TWILIO_AUTH_TOKEN="+twilio.AuthToken,
	)
	s.env = append(append(s.env, s.mails.Settings...), fmt.Sprintf("COUNTERSIGN_SMTP_CONNECTIONS=%d", 4*inFlight)) // a quarter is for links
	for name, value := range stage.Values(stage.Must(s.t, stage.Env(), "countersign", "keygen")) {
		s.env = append(s.env, name+"="+value)
	}
	s.env = append(s.env, "COUNTERSIGN_OPS_ADDR="+ops)
	stage.Must(s.t, s.env, "countersign", "migrate")
	s.app = stage.NewApp(s.t, "http://"+addr)
	s.app.HTTP.Transport = &http.Transport{MaxIdleConnsPerHost: callsAtOnce}
}

func (s *scene) startNATS() {
	s.t.Helper()
	s.nats = stage.Start(s.t, stage.Env(), "nats-server", "-port", s.natsPort, "-store", s.natsStore)
	s.nats.Await("ready for connections")
}

// worker is one process of a trade and its operations port.
type worker struct {
	*stage.Process
	ops string
}

// startWorker starts one. The last setting of the scene is the api's own.
func (s *scene) startWorker(trade string) *worker {
	s.t.Helper()
	ops := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(s.t))
	env := append(append([]string{}, s.env[:len(s.env)-1]...), "COUNTERSIGN_OPS_ADDR="+ops)
	w := &worker{stage.Start(s.t, env, "countersign", trade), "http://" + ops}
	awaitReady(s.t, w.Process, w.ops)
	return w
}

func awaitReady(t *testing.T, p *stage.Process, ops string) {
	t.Helper()
	stage.Until(t, "the process is ready", func() bool {
		select {
		case <-p.Exited():
			t.Fatal("the process ended instead of becoming ready")
		default:
		}
		return wholly(t, ops)
	})
}

// wholly reports whether a process says that it has all it needs, the bus
// included: without it the process is only degraded.
func wholly(t *testing.T, ops string) bool {
	t.Helper()
	body, err := get(t, ops+"/readyz")
	var report struct {
		Status string `json:"status"`
	}
	return err == nil && json.Unmarshal([]byte(body), &report) == nil && report.Status == "ok"
}

// draw is a number below n, from the seed.
func (s *scene) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// pause waits for a time that nothing can signal.
func (s *scene) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.t.Context().Done():
	}
}

// slowly makes the next n messages take a while, so that a kill meets some:
// one half waits before the provider has taken it, the other half after.
func (s *scene) slowly(n int, d time.Duration) {
	var faults twilio.Faults
	for range n {
		faults.Next = append(faults.Next, twilio.Fault{StallMS: int(d / time.Millisecond), Store: s.draw(2) == 0})
	}
	s.twilio.Fail(faults)
}

// rest waits until nothing of a channel is on its way any more, and returns
// what the API says of its deliveries. When they do not come to rest it fails
// the test and returns what there is: the checker then says what is missing.
func (s *scene) rest(c channel) []delivery {
	s.t.Helper()
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	for limit := time.Now().Add(c.restWithin); ; s.pause(250 * time.Millisecond) {
		waiting := s.queued(js, c.stream) + s.queued(js, "DELIVERIES")
		if waiting == 0 {
			s.twilio.Settle()
		}
		found := s.deliveries(c.name)
		open := 0
		for _, d := range found {
			if !ended(d.state, c.arrived) {
				open++
			}
		}
		switch {
		case waiting == 0 && open == 0:
			return found
		case time.Now().After(limit) || s.t.Context().Err() != nil:
			s.t.Errorf("after %v %d messages are on the bus and %d deliveries have no end", c.restWithin, waiting, open)
			return found
		}
	}
}

// queued is how many messages a stream holds.
func (s *scene) queued(js jetstream.JetStream, name string) int {
	stream, err := js.Stream(s.t.Context(), name)
	if err != nil {
		return 1
	}
	return int(stream.CachedInfo().State.Msgs)
}

// deliveries reads all pages of the list and returns those of a channel.
func (s *scene) deliveries(channel string) (all []delivery) {
	s.t.Helper()
	const per = 200
	for page := 1; ; page++ {
		items := s.app.Call("GET", s.app.Path("deliveries"), fmt.Sprint("page=", page), fmt.Sprint("per_page=", per)).Want(200).Items()
		for _, item := range items {
			word := func(name string) string { text, _ := item[name].(string); return text }
			if word("channel") == channel {
				all = append(all, delivery{id: word("id"), requestID: word("request_id"), state: word("state"), reason: word("reason")})
			}
		}
		if len(items) < per {
			return all
		}
	}
}

// get returns the body of a page that answers 200.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(body), err
}
