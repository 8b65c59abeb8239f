package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/service"
	"countersign.dev/pkg/telemetry"
)

func TestMain(m *testing.M) { rig.Main(m) }

const within = time.Minute

// house is a running worker on a real bus, with the api's side of it: what
// publishes, and what takes the outcomes.
type house struct {
	t        *testing.T
	bus      *bus.Bus
	book     *claim.Book
	keys     *seal.Keyring
	outcomes chan event.Outcome
}

// company stands in for Twilio: it counts and takes everything.
func company(t *testing.T) (url string, calls chan string) {
	t.Helper()
	calls = make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		calls <- r.PostForm.Get("Body")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid": "SM0123456789abcdef0123456789abcdef"}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func config(key secret.Text, provider string) Config {
	return Config{
		Config:   service.Config{DeliveryKeys: key, InsecureDev: true, OpsAddr: "127.0.0.1:0"},
		Provider: provider,
		Twilio:   Twilio{AccountSID: "AC0123456789abcdef0123456789abcdef", AuthToken: secret.New("token"), From: "+15005550006"},
	}
}

// open starts a worker inside a process that has bus and store already.
func open(t *testing.T, cfg Config, log *slog.Logger) *house {
	t.Helper()
	conn := bustest.Bus(t, bustest.Server(t))
	store := ephemeral.NewMemory(time.Now)
	service, err := New(t.Context(), cfg, Parts{
		Ephemeral: store, Bus: conn, Telemetry: telemetry.New("test", "dev"), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	if service.OpsAddr() != "" {
		t.Error("it serves operations, though somebody else does")
	}
	g := &run.Group{Log: log}
	service.Add(g)
	return newHouse(t, cfg, conn, store, g.Run, service.Close)
}

func newHouse(t *testing.T, cfg Config, conn *bus.Bus, store ephemeral.Store, work func(context.Context) error, closeAll func() error) *house {
	t.Helper()
	keys, err := seal.Parse("KEYS", cfg.DeliveryKeys)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, bus: conn, book: &claim.Book{Store: store, Now: time.Now}, keys: keys, outcomes: make(chan event.Outcome, 100),
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := work(ctx); err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	})
	running.Go(func() {
		_ = conn.ServeOutcomes(ctx, func(_ context.Context, o event.Outcome) error { h.outcomes <- o; return nil })
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := closeAll(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// request publishes a message as the api does.
func (h *house) request(id, env string) {
	h.t.Helper()
	now := time.Now()
	until := now.Add(5 * time.Minute)
	plain, err := json.Marshal(event.SMS{To: "+4915112345678", Code: "747723", Brand: "Acme", Host: "a.io", Locale: "en"})
	if err != nil {
		h.t.Fatal(err)
	}
	sealed, err := h.keys.Seal(event.SealContent, id, plain)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.book.Open(h.t.Context(), id, until); err != nil {
		h.t.Fatal(err)
	}
	r := event.Requested{
		DeliveryID: id, N: 1, RequestID: "c_" + id, TraceID: "t_" + id, Channel: event.ChannelSMS, Env: env, OrgID: "org_1",
		CreatedAt: now.UnixMilli(), ExpiresAt: until.UnixMilli(), Sealed: sealed,
	}
	// Again while the server is slow: a repeat is dropped by its id.
	err = h.bus.Request(h.t.Context(), r)
	for end := now.Add(within); fault.KindOf(err) == fault.Unavailable && time.Now().Before(end); {
		err = h.bus.Request(h.t.Context(), r)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) outcome() event.Outcome {
	h.t.Helper()
	select {
	case o := <-h.outcomes:
		return o
	case <-time.After(within):
		h.t.Fatal("no outcome came")
		return event.Outcome{}
	}
}

func TestSandboxNeverReachesTheProvider(t *testing.T) {
	t.Parallel()
	cfg := config(seal.NewKey(), "twilio")
	url, calls := company(t)
	cfg.Twilio.BaseURL = url
	h := open(t, cfg, quiet(t))

	h.request("d1", event.EnvSandbox)
	o := h.outcome()
	if o.Result != event.Delivered || o.Provider != "inbox" || o.DeliveryID != "d1" || o.Env != event.EnvSandbox {
		t.Errorf("reported %+v", o)
	}
	plain, err := h.keys.Open(event.SealMessage, "d1", o.Message)
	var m event.Message
	if err != nil || json.Unmarshal(plain, &m) != nil || m.To != "+4915112345678" || !strings.HasSuffix(m.Text, "@a.io #747723") {
		t.Errorf("message %+v, %v", m, err)
	}

	h.request("d2", event.EnvDefault)
	if o := h.outcome(); o.Result != event.Accepted || o.Provider != "twilio" || o.Message != nil {
		t.Errorf("reported %+v", o)
	}
	if body := <-calls; !strings.HasSuffix(body, "@a.io #747723") || len(calls) != 0 {
		t.Errorf("sent %q and %d more", body, len(calls))
	}
}

func TestWithoutAProviderOnlyTheSandboxIsServed(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	service, err := New(t.Context(), config(seal.NewKey(), "none"), Parts{
		Ephemeral: ephemeral.NewMemory(nil), Bus: bustest.Connect(t, bustest.Server(t)), Telemetry: telemetry.New("test", "dev"),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	if got := service.Serves(); !slices.Equal(got, []string{"code-sandbox"}) {
		t.Errorf("it serves %q", got)
	}
	if !strings.Contains(log.String(), "not sent by this process") || !strings.Contains(log.String(), "COUNTERSIGN_SMS_PROVIDER is none") {
		t.Errorf("log: %s", &log)
	}
}

func TestInboxStandsInForAProviderInDevOnly(t *testing.T) {
	t.Parallel()
	cfg := config(seal.NewKey(), "inbox")
	if _, err := New(t.Context(), cfg, Parts{}); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_SMS_PROVIDER") {
		t.Errorf("without dev: %v", err)
	}
	cfg.Dev = true
	h := open(t, cfg, quiet(t))
	h.request("d1", event.EnvDefault)
	if o := h.outcome(); o.Result != event.Delivered || o.Provider != "inbox" || len(o.Message) == 0 {
		t.Errorf("reported %+v", o)
	}
}

// A worker of its own, on real Redis and NATS.
func TestWorkerOfItsOwn(t *testing.T) {
	t.Parallel()
	redis, nats := rig.Redis(t), bustest.Server(t)
	cfg := config(seal.NewKey(), "twilio")
	url, calls := company(t)
	cfg.Twilio.BaseURL, cfg.RedisURL, cfg.NATSURL = url, secret.New(redis.URL), nats.URL
	store, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: cfg.RedisURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	service, err := New(t.Context(), cfg, Parts{Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, cfg, bustest.Bus(t, nats), store, service.Run, func() error { return nil })
	h.request("d1", event.EnvDefault)
	if o := h.outcome(); o.Result != event.Accepted || o.Attempt != 1 {
		t.Errorf("reported %+v", o)
	}
	<-calls
	if body := h.get("http://" + service.OpsAddr() + "/readyz"); !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, "sms_provider") {
		t.Errorf("readiness: %s", body)
	}
	metrics := h.get("http://" + service.OpsAddr() + "/metrics")
	for _, line := range []string{
		`countersign_sms_results_total{provider="twilio",result="accepted"} 1`,
		`countersign_sms_provider_answers_total{answer="ok",provider="twilio"} 1`,
		`countersign_sms_provider_seconds_count{provider="twilio"} 1`,
		`countersign_bus_published_total{result="ok",stream="DELIVERIES"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%s is not in the metrics", line)
		}
	}
}

func (h *house) get(url string) string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := (&http.Client{Timeout: within}).Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(body)
}

func TestStartThatCannotWorkSaysWhy(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no Redis":           {func(c *Config) { c.NATSURL = "nats://127.0.0.1:1" }, "COUNTERSIGN_REDIS_URL"},
		"no NATS":            {func(c *Config) { c.RedisURL = secret.New("redis://127.0.0.1:1") }, "COUNTERSIGN_NATS_URL"},
		"a port in use":      {func(c *Config) { c.OpsAddr = strings.TrimPrefix(taken.URL, "http://") }, "COUNTERSIGN_OPS_ADDR"},
		"no such CA file":    {func(c *Config) { c.Twilio.CAFile = "/nowhere"; withParts(c) }, "CA file"},
		"a key that is none": {func(c *Config) { c.DeliveryKeys = secret.New("x") }, "COUNTERSIGN_DELIVERY_KEYS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(seal.NewKey(), "twilio")
			c.change(&cfg)
			if _, err := New(t.Context(), cfg, Parts{Log: quiet(t)}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// withParts names servers that need not be there for a start.
func withParts(c *Config) {
	c.RedisURL, c.NATSURL = secret.New("redis://127.0.0.1:1"), "nats://127.0.0.1:1"
}

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// Where the wording itself is tested is internal/text.
func TestContentBecomesATextMessage(t *testing.T) {
	t.Parallel()
	good := event.SMS{To: "+4915112345678", Code: "747723", Brand: "Acme", Host: "login.example.com", Locale: "de-AT"}
	for name, c := range map[string]struct {
		change func(*event.SMS)
		want   string // empty: it makes no message
	}{
		"a code": {func(*event.SMS) {},
			"Ihr Sicherheitscode für Acme: 747723. Geben Sie ihn an niemanden weiter.\n\n@login.example.com #747723"},
		"without a number":  {func(s *event.SMS) { s.To = "" }, ""},
		"without a code":    {func(s *event.SMS) { s.Code = "" }, ""},
		"with a wrong host": {func(s *event.SMS) { s.Host = "https://x/" }, ""},
	} {
		sms := good
		c.change(&sms)
		content, err := json.Marshal(sms)
		if err != nil {
			t.Fatal(err)
		}
		got, err := compose(event.Requested{}, content)
		if got.Text != c.want || (err == nil) != (c.want != "") || err == nil && got.To != good.To {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), good.Code) {
			t.Errorf("%s: the error says %v", name, err)
		}
	}
	if _, err := compose(event.Requested{}, []byte("747723")); err == nil || strings.Contains(err.Error(), good.Code) {
		t.Errorf("what is no content: %v", err)
	}
}
