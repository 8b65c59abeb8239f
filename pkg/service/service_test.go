package service_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/conf"
	"countersign.dev/pkg/courier"
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

// house is a running worker on a real bus, with the api's side of it.
type house struct {
	t        *testing.T
	bus      *bus.Bus
	book     *claim.Book
	keys     *seal.Keyring
	log      *safeBuffer
	outcomes chan event.Outcome
}

// open runs a worker of channel email whose content is the text itself, with
// a consumer for each class.
func open(t *testing.T, compose courier.Compose, provider courier.Provider) *house {
	t.Helper()
	key := seal.NewKey()
	keys, err := seal.Parse("KEYS", key)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, keys: keys, log: &safeBuffer{}, outcomes: make(chan event.Outcome, 1000),
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	h.bus = bustest.Bus(t, bustest.Server(t), func(c *bus.Config) { c.RetryTable, c.Log = []time.Duration{time.Millisecond}, log })
	store := ephemeral.NewMemory(time.Now)
	h.book = &claim.Book{Store: store, Now: time.Now}
	s, err := service.New(service.Trade{Name: "email", Channel: event.ChannelEmail, Line: "mail", What: "mails", Compose: compose,
		Series: service.Series{Results: "results", Answers: "answers", Seconds: "seconds", Stock: "stock"}},
		service.Config{DeliveryKeys: key, OpsAddr: "127.0.0.1:0"},
		service.Parts{Ephemeral: store, Bus: h.bus, Telemetry: telemetry.New("test", "dev"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{bus.ClassCode, bus.ClassLink, bus.ClassNotice} {
		s.Send(service.Consumer{Class: class, Env: event.EnvDefault, Workers: 1}, service.Sender{Name: "fake", Provider: provider})
		s.Keep(service.Consumer{Class: class, Env: event.EnvSandbox, Workers: 1})
	}
	h.run(s)
	return h
}

func (h *house) run(s *service.Service) {
	g := &run.Group{}
	s.Add(g)
	g.Add("outcomes", func(ctx context.Context) error {
		return h.bus.ServeOutcomes(ctx, func(_ context.Context, o event.Outcome) error { h.outcomes <- o; return nil })
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(h.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := errors.Join(g.Run(ctx), s.Close()); err != nil {
			h.t.Errorf("the worker ended with %v", err)
		}
	})
	h.t.Cleanup(func() { stop(); running.Wait() })
}

func (h *house) request(id string, kind event.Kind, env, content string) {
	h.t.Helper()
	until := time.Now().Add(time.Hour)
	sealed, err := h.keys.Seal(event.SealContent, id, []byte(content))
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.book.Open(h.t.Context(), id, until); err != nil {
		h.t.Fatal(err)
	}
	h.publish(event.Requested{
		Kind: kind, DeliveryID: id, N: 1, RequestID: "c_" + id, TraceID: "t_" + id, Channel: event.ChannelEmail, Env: env, OrgID: "org_1",
		CreatedAt: time.Now().UnixMilli(), ExpiresAt: until.UnixMilli(), Sealed: sealed,
	})
}

// publish asks again while the server is slow: a repeat is dropped by its id.
func (h *house) publish(r event.Requested) {
	h.t.Helper()
	err := h.bus.Request(h.t.Context(), r)
	for end := time.Now().Add(within); fault.KindOf(err) == fault.Unavailable && time.Now().Before(end); {
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

func plain(_ event.Requested, content []byte) (courier.Message, error) {
	return courier.Message{To: "user@example.com", Text: string(content)}, nil
}

// gate lets no news through until it is opened.
type gate struct {
	opened  chan struct{}
	waiting chan struct{}
}

func (g gate) Send(ctx context.Context, m courier.Message) (courier.Receipt, error) {
	if m.Text == "news" {
		g.waiting <- struct{}{}
		select {
		case <-g.opened:
		case <-ctx.Done():
			return courier.Receipt{}, ctx.Err()
		}
	}
	return courier.Receipt{ProviderID: "p_" + m.DeliveryID}, nil
}

// A flood of news that does not move holds up neither codes nor links: each
// class has a consumer and workers of its own.
func TestCodesAndLinksOvertakeNews(t *testing.T) {
	t.Parallel()
	g := gate{make(chan struct{}), make(chan struct{}, 1000)}
	h := open(t, plain, g)
	for i := range 200 {
		h.request("news_"+string(rune('a'+i/26))+string(rune('a'+i%26)), event.KindNotice, event.EnvDefault, "news")
	}
	<-g.waiting // one is with the provider, the others wait behind it
	for _, id := range []string{"code", "link", "magic"} {
		kind := map[string]event.Kind{"code": event.KindChallenge, "link": event.KindPassword, "magic": event.KindMagicLink}[id]
		h.request(id, kind, event.EnvDefault, id)
		if o := h.outcome(); o.DeliveryID != id || o.Result != event.Accepted {
			t.Errorf("after %s came %s of %s", id, o.Result, o.DeliveryID)
		}
	}
	if len(g.waiting) > 0 {
		t.Error("more news are with the provider than it has workers")
	}
	close(g.opened)
	for range 200 {
		if o := h.outcome(); o.Result != event.Accepted {
			t.Errorf("%s of %s", o.Result, o.DeliveryID)
		}
	}
}

func TestSandboxIsKept(t *testing.T) {
	t.Parallel()
	h := open(t, plain, nobody{t})
	for i, kind := range []event.Kind{event.KindChallenge, event.KindPassword, event.KindMagicLink, event.KindNotice} {
		id := string(rune('a' + i))
		h.request(id, kind, event.EnvSandbox, "text")
		if o := h.outcome(); o.Result != event.Delivered || o.Provider != "inbox" || len(o.Message) == 0 {
			t.Errorf("%s: %+v", kind, o)
		}
	}
}

type nobody struct{ t *testing.T }

func (n nobody) Send(context.Context, courier.Message) (courier.Receipt, error) {
	n.t.Error("a message of the sandbox reached the provider")
	return courier.Receipt{}, errors.New("no")
}

// The process lives, the others are served, the message is retried and then
// parked, and the log holds nothing of it.
//
// Covers R-177 for the workers.
func TestPanicCostsOneMessage(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	h := open(t, func(r event.Requested, content []byte) (courier.Message, error) {
		if string(content) == "poison canary" {
			mu.Lock()
			defer mu.Unlock()
			calls++
			panic(string(content))
		}
		return plain(r, content)
	}, gate{})
	h.request("bad", event.KindNotice, event.EnvDefault, "poison canary")
	h.request("good", event.KindNotice, event.EnvDefault, "text")
	got := []string{}
	for range 2 {
		o := h.outcome()
		got = append(got, o.DeliveryID+" "+string(o.Result)+" "+o.Reason)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"bad failed parked", "good accepted "}) {
		t.Errorf("reported %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if calls < 2 {
		t.Errorf("%d calls: it was not tried again", calls)
	}
	if log := h.log.text(); strings.Contains(log, "canary") || !strings.Contains(log, "bus handler panicked") {
		t.Errorf("log: %s", log)
	}
}

func TestConfigurationOfEveryWorker(t *testing.T) {
	t.Parallel()
	good := service.Config{DeliveryKeys: seal.NewKey()}.WithDefaults()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	err := good.Standalone()
	if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_REDIS_URL: is missing") || !strings.Contains(err.Error(), "COUNTERSIGN_NATS_URL: is missing") {
		t.Errorf("alone: %v", err)
	}
	for want, spoil := range map[string]func(*service.Config){
		"COUNTERSIGN_DELIVERY_KEYS": func(c *service.Config) { c.DeliveryKeys = secret.New("canary") },
		"COUNTERSIGN_REDIS_URL":     func(c *service.Config) { c.RedisURL = secret.New("redis://redis.example.com") },
		"COUNTERSIGN_NATS_URL":      func(c *service.Config) { c.NATSURL = "nats://nats.example.com" },
		"COUNTERSIGN_NATS_REPLICAS": func(c *service.Config) { c.NATSReplicas = 6 },
		"COUNTERSIGN_OPS_ADDR":      func(c *service.Config) { c.OpsAddr = "nowhere" },
		conf.InsecureDevKey:         func(c *service.Config) { c.InsecureDev, c.OpsAddr = true, "0.0.0.0:9090" },
	} {
		cfg := good
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
