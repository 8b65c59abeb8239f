package email

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/service"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/services/email/internal/provider/smtp"
)

func TestMain(m *testing.M) { rig.Main(m) }

const (
	within = time.Minute
	link   = "https://login.example.com/magic-link/verify/canary-token"
)

// house is a running worker on a real bus, with the api's side of it: what
// publishes, and what takes the outcomes.
type house struct {
	t        *testing.T
	bus      *bus.Bus
	book     *claim.Book
	keys     *seal.Keyring
	outcomes chan event.Outcome
}

// server is a mail server with a certificate, and the settings to reach it.
func server(t *testing.T) (*smtpsink.Server, smtp.Config) {
	t.Helper()
	settings, ca, err := smtpsink.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	sink := smtpsink.New(smtpsink.Options{TLS: settings})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = sink.Serve(listener) })
	t.Cleanup(func() { sink.Close(); serving.Wait() })
	return sink, smtp.Config{
		Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, CAFile: file, From: "no-reply@countersign.test",
	}
}

func config(key secret.Text, provider string) Config {
	return Config{Config: service.Config{DeliveryKeys: key, OpsAddr: "127.0.0.1:0"}, Provider: provider}
}

// open starts a worker inside a process that has bus and store already.
func open(t *testing.T, cfg Config) *house {
	t.Helper()
	return openAt(t, cfg, time.Now)
}

// openAt is open for a worker with a clock of its own.
func openAt(t *testing.T, cfg Config, now func() time.Time) *house {
	t.Helper()
	conn := bustest.Bus(t, bustest.Server(t), func(c *bus.Config) { c.RetryTable = []time.Duration{time.Millisecond} })
	store := ephemeral.NewMemory(now)
	worker, err := New(t.Context(), cfg, Parts{Now: now, Ephemeral: store, Bus: conn, Telemetry: telemetry.New("test", "dev"), Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	g := &run.Group{}
	worker.Add(g)
	return newHouse(t, cfg, conn, store, func(ctx context.Context) error { return errors.Join(g.Run(ctx), worker.Close()) })
}

func newHouse(t *testing.T, cfg Config, conn *bus.Bus, store ephemeral.Store, work func(context.Context) error) *house {
	t.Helper()
	keys, err := seal.Parse("KEYS", cfg.DeliveryKeys)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, bus: conn, book: &claim.Book{Store: store, Now: time.Now}, keys: keys, outcomes: make(chan event.Outcome, 1000),
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := work(ctx); err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	})
	running.Go(func() {
		_ = conn.ServeOutcomes(ctx, func(_ context.Context, o event.Outcome) error {
			select {
			case h.outcomes <- o:
			case <-ctx.Done(): // nobody looks any more
			}
			return nil
		})
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return h
}

// example is a mail of each kind.
func example(kind event.Kind) event.Mail {
	m := event.Mail{To: "ana.canary@example.com", Brand: "Acme", Host: "login.example.com", Locale: "de-AT", At: 1_893_553_500_000, LifeMinutes: 30}
	switch kind {
	case event.KindPassword:
		m.Template, m.Link = event.TemplatePasswordReset, link
	case event.KindMagicLink:
		m.Template, m.Link = event.TemplateMagicLink, link
	case event.KindNotice:
		m.Template, m.Detail = event.TemplateNoticeFactorChanged, "totp"
	default:
		m.Template, m.Code = event.TemplateCode, "747723"
	}
	return m
}

// request publishes a mail as the api does.
func (h *house) request(id string, kind event.Kind, env string, change ...func(*event.Mail)) {
	h.t.Helper()
	m := example(kind)
	for _, c := range change {
		c(&m)
	}
	plain, err := json.Marshal(m)
	if err != nil {
		h.t.Fatal(err)
	}
	sealed, err := h.keys.Seal(event.SealContent, id, plain)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	until := now.Add(time.Hour)
	if err := h.book.Open(h.t.Context(), id, until); err != nil {
		h.t.Fatal(err)
	}
	h.publish(event.Requested{
		Kind: kind, DeliveryID: id, N: 1, RequestID: "r_" + id, TraceID: "t_" + id, Channel: event.ChannelEmail, Env: env, OrgID: "org_1",
		CreatedAt: now.UnixMilli(), ExpiresAt: until.UnixMilli(), Sealed: sealed,
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

// republish publishes a password mail once more, as the relay does.
func (h *house) republish(id string) {
	h.t.Helper()
	plain, err := json.Marshal(example(event.KindPassword))
	if err != nil {
		h.t.Fatal(err)
	}
	sealed, err := h.keys.Seal(event.SealContent, id, plain)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	h.publish(event.Requested{
		Kind: event.KindPassword, DeliveryID: id, N: 2, RequestID: "r_" + id, TraceID: "t_" + id, Channel: event.ChannelEmail,
		Env: event.EnvDefault, OrgID: "org_1", CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(time.Hour).UnixMilli(), Sealed: sealed,
	})
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

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
