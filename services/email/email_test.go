package email

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/rig/smtpsink"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/telemetry"
)

var kinds = []event.Kind{event.KindChallenge, event.KindPassword, event.KindMagicLink, event.KindNotice}

func TestSandboxNeverReachesTheProvider(t *testing.T) {
	t.Parallel()
	sink, settings := server(t)
	cfg := config(seal.NewKey(), "smtp")
	cfg.SMTP = settings
	h := open(t, cfg)
	for _, kind := range kinds {
		id := "sandbox_" + string(kind)
		h.request(id, kind, event.EnvSandbox)
		o := h.outcome()
		if o.Result != event.Delivered || o.Provider != "inbox" || o.DeliveryID != id || o.Env != event.EnvSandbox {
			t.Errorf("reported %+v", o)
		}
		plain, err := h.keys.Open(event.SealMessage, id, o.Message)
		var m event.Message
		if err != nil || json.Unmarshal(plain, &m) != nil || m.To != "ana.canary@example.com" || m.Subject == "" || m.Text == "" || m.HTML == "" {
			t.Errorf("message %+v, %v", m, err)
		}
		if m.Text != "" && kind != event.KindNotice && !strings.Contains(m.Text, "\n"+link+"\n") && !strings.Contains(m.Text, "\n747723\n") {
			t.Errorf("%s: text %q", kind, m.Text)
		}
	}
	if log := sink.Log(); len(log.Connections) != 0 {
		t.Errorf("the mail server saw %+v", log)
	}
}

func TestMailsOfEveryKindGoOut(t *testing.T) {
	t.Parallel()
	sink, settings := server(t)
	cfg := config(seal.NewKey(), "smtp")
	cfg.SMTP = settings
	h := open(t, cfg)
	ids := map[string]bool{}
	for _, kind := range kinds {
		h.request("d_"+string(kind), kind, event.EnvDefault)
		o := h.outcome()
		if o.Result != event.Accepted || o.Provider != "smtp" || o.ProviderID == "" || o.Message != nil || o.Attempt != 1 {
			t.Errorf("reported %+v", o)
		}
		ids[o.ProviderID] = true
	}
	mails := sink.Log().Mails
	if len(mails) != len(kinds) || len(ids) != len(kinds) {
		t.Fatalf("%d mails with %d ids", len(mails), len(ids))
	}
	for _, m := range mails {
		if !slices.Equal(m.To, []string{"ana.canary@example.com"}) || !strings.Contains(m.Subject, "Acme") || !strings.Contains(m.HTML, `<html lang="de"`) {
			t.Errorf("mail %+v", m)
		}
	}
}

// A server that does not take the mail now: it goes back to the api, with a
// time, and is no more on the bus.
func TestMailThatIsNotTakenNowIsDeferred(t *testing.T) {
	t.Parallel()
	sink, settings := server(t)
	if err := sink.Fail(smtpsink.Fault{At: smtpsink.Rcpt, Code: 450}, smtpsink.Fault{At: smtpsink.Dot, Code: 451, Times: 3}); err != nil {
		t.Fatal(err)
	}
	cfg := config(seal.NewKey(), "smtp")
	cfg.SMTP = settings
	h := open(t, cfg)
	for _, c := range []struct {
		id      string
		results []event.Result
	}{
		{"greylisted", []event.Result{event.Deferred}},
		{"out_of_space", []event.Result{event.Retrying, event.Retrying, event.Deferred}},
	} {
		h.request(c.id, event.KindPassword, event.EnvDefault)
		for _, want := range c.results {
			o := h.outcome()
			wait := time.UnixMilli(o.RetryAt).Sub(time.UnixMilli(o.At))
			if o.Result != want || o.DeliveryID != c.id || want == event.Deferred && (wait < 45*time.Second || wait > 75*time.Second) {
				t.Errorf("%s: %s of %s after %s, want %s", c.id, o.Result, o.DeliveryID, wait, want)
			}
		}
	}
	if n := len(sink.Log().Mails); n != 0 {
		t.Errorf("%d mails", n)
	}
	// The api asks again, with a new n and the claim that is there.
	h.republish("greylisted")
	if o := h.outcome(); o.Result != event.Accepted || o.DeliveryID != "greylisted" {
		t.Errorf("reported %+v", o)
	}
}

// A code has no outbox that would publish it again: the bus repeats it.
func TestCodeIsNeverDeferred(t *testing.T) {
	t.Parallel()
	sink, settings := server(t)
	if err := sink.Fail(smtpsink.Fault{At: smtpsink.Dot, Code: 451, Times: 5}); err != nil {
		t.Fatal(err)
	}
	cfg := config(seal.NewKey(), "smtp")
	cfg.SMTP = settings
	h := open(t, cfg)
	h.request("d1", event.KindChallenge, event.EnvDefault)
	for range 5 {
		if o := h.outcome(); o.Result != event.Retrying {
			t.Errorf("reported %+v", o)
		}
	}
	if o := h.outcome(); o.Result != event.Accepted {
		t.Errorf("reported %+v", o)
	}
}

// News that the mail server holds up hold up neither codes nor links: each
// class has its share of the connections.
func TestCodesOvertakeNewsAtASlowServer(t *testing.T) {
	t.Parallel()
	sink, settings := server(t)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	const flood = 100
	err := sink.Fail(smtpsink.Fault{At: smtpsink.Dot, Hold: hold, To: "news@example.com", Times: flood})
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(seal.NewKey(), "smtp")
	cfg.SMTP = settings
	h := open(t, cfg)
	for i := range flood {
		h.request("news_"+string(rune('a'+i/26))+string(rune('a'+i%26)), event.KindNotice, event.EnvDefault,
			func(m *event.Mail) { m.To = "news@example.com" })
	}
	for _, kind := range []event.Kind{event.KindChallenge, event.KindPassword, event.KindMagicLink, event.KindChallenge} {
		id := "urgent_" + string(kind) + string(rune('0'+len(sink.Log().Mails)))
		h.request(id, kind, event.EnvDefault)
		if o := h.outcome(); o.DeliveryID != id || o.Result != event.Accepted {
			t.Errorf("%s of %s, want %s", o.Result, o.DeliveryID, id)
		}
	}
	release()
	for range flood {
		if o := h.outcome(); o.Result != event.Accepted {
			t.Errorf("%s of %s", o.Result, o.DeliveryID)
		}
	}
}

func TestEveryClassHasItsShareOfTheConnections(t *testing.T) {
	t.Parallel()
	for connections, want := range map[int][3]int{
		1: {1, 1, 1}, 2: {1, 1, 1}, 3: {1, 1, 1}, 4: {2, 1, 1}, 7: {5, 1, 1}, 8: {4, 2, 2}, 64: {32, 16, 16},
	} {
		var got [3]int
		for i, c := range consumers(connections) {
			got[i] = c.Workers
		}
		if got != want {
			t.Errorf("%d connections: codes, links and news have %v, want %v", connections, got, want)
		}
	}
	if third := mailPolicy().Lease / 3; mailPolicy().Prolong > third {
		t.Errorf("a lease is extended every %s only", mailPolicy().Prolong)
	}
	if third := codePolicy().Lease / 3; codePolicy().Prolong > third {
		t.Errorf("a lease is extended every %s only", codePolicy().Prolong)
	}
}

func TestWithoutAProviderOnlyTheSandboxIsServed(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	worker, err := New(t.Context(), config(seal.NewKey(), "none"), Parts{
		Ephemeral: ephemeral.NewMemory(nil), Bus: bustest.Connect(t, bustest.Server(t)), Telemetry: telemetry.New("test", "dev"),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = worker.Close() })
	if got := worker.Serves(); !slices.Equal(got, []string{"code-sandbox", "link-sandbox", "notice-sandbox"}) {
		t.Errorf("it serves %q", got)
	}
	if !strings.Contains(log.String(), "mails of the default environment are not sent") || !strings.Contains(log.String(), "COUNTERSIGN_EMAIL_PROVIDER is none") {
		t.Errorf("log: %s", &log)
	}
}

func TestInboxStandsInForAProviderInDevOnly(t *testing.T) {
	t.Parallel()
	cfg := config(seal.NewKey(), "inbox")
	if _, err := New(t.Context(), cfg, Parts{}); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_EMAIL_PROVIDER") {
		t.Errorf("without dev: %v", err)
	}
	cfg.Dev = true
	h := open(t, cfg)
	for _, kind := range kinds {
		h.request("d_"+string(kind), kind, event.EnvDefault)
		if o := h.outcome(); o.Result != event.Delivered || o.Provider != "inbox" || len(o.Message) == 0 {
			t.Errorf("reported %+v", o)
		}
	}
}

// What makes no mail is parked, and neither the log nor the report shows it.
func TestContentThatMakesNoMailIsParked(t *testing.T) {
	t.Parallel()
	h := open(t, func() Config { c := config(seal.NewKey(), "inbox"); c.Dev = true; return c }())
	for name, spoil := range map[string]func(*event.Mail){
		"no_address":    func(m *event.Mail) { m.To = "" },
		"no_template":   func(m *event.Mail) { m.Template = "canary" },
		"a_wrong_link":  func(m *event.Mail) { m.Link = "javascript:canary" },
		"another_order": func(m *event.Mail) { m.Host = "canary/\r\n" },
	} {
		h.request(name, event.KindPassword, event.EnvDefault, spoil)
		o := h.outcome()
		told, _ := json.Marshal(o)
		if o.Result != event.Failed || o.Reason != "unreadable" || strings.Contains(string(told), "canary") {
			t.Errorf("%s: %s", name, told)
		}
	}
}

// A worker of its own, on real Redis and NATS.
func TestWorkerOfItsOwn(t *testing.T) {
	t.Parallel()
	redis, nats := rig.Redis(t), bustest.Server(t)
	sink, settings := server(t)
	cfg := config(seal.NewKey(), "smtp")
	cfg.InsecureDev, cfg.SMTP, cfg.RedisURL, cfg.NATSURL = true, settings, secret.New(redis.URL), nats.URL
	store, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: cfg.RedisURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	worker, err := New(t.Context(), cfg, Parts{Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, cfg, bustest.Bus(t, nats), store, worker.Run)
	h.request("d1", event.KindPassword, event.EnvDefault)
	if o := h.outcome(); o.Result != event.Accepted || o.Attempt != 1 {
		t.Errorf("reported %+v", o)
	}
	if n := len(sink.Log().Mails); n != 1 {
		t.Errorf("%d mails", n)
	}
	if body := h.get("http://" + worker.OpsAddr() + "/readyz"); !strings.Contains(body, `"status":"ok"`) || !strings.Contains(body, "email_provider") {
		t.Errorf("readiness: %s", body)
	}
	metrics := h.get("http://" + worker.OpsAddr() + "/metrics")
	for _, line := range []string{
		`countersign_email_results_total{provider="smtp",result="accepted"} 1`,
		`countersign_email_provider_answers_total{answer="ok",provider="smtp"} 1`,
		`countersign_email_provider_seconds_count{provider="smtp"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%s is not in the metrics", line)
		}
	}
	if strings.Contains(metrics, "canary") || strings.Contains(metrics, "lookups") {
		t.Error("the metrics say too much")
	}
}
