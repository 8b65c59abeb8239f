package twilio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	"countersign.dev/pkg/run"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/service"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/services/e2e/fakes/twilio"
	"countersign.dev/services/sms"
)

// house is the sms worker on a real bus, with the fake in Twilio's place.
type house struct {
	t        *testing.T
	fake     *twilio.Server
	bus      *bus.Bus
	book     *claim.Book
	keys     *seal.Keyring
	outcomes chan event.Outcome
}

func open(t *testing.T, options twilio.Options, change ...func(*sms.Config)) *house {
	t.Helper()
	fake := twilio.New(options)
	server := httptest.NewServer(fake)
	t.Cleanup(func() { fake.Close(); server.Close() })
	key := seal.NewKey()
	cfg := sms.Config{
		Config:   service.Config{DeliveryKeys: key, InsecureDev: true},
		Provider: "twilio", BaseURL: "http://127.0.0.1:1",
		Twilio: sms.Twilio{AccountSID: twilio.AccountSID, AuthToken: secret.New(twilio.AuthToken), From: "+15005550006", BaseURL: server.URL},
	}
	for _, c := range change {
		c(&cfg)
	}
	keys, err := seal.Parse("KEYS", key)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store, conn := ephemeral.NewMemory(time.Now), bustest.Bus(t, bustest.Server(t))
	worker, err := sms.New(t.Context(), cfg, sms.Parts{Ephemeral: store, Bus: conn, Telemetry: telemetry.New("test", "dev"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, fake: fake, bus: conn, book: &claim.Book{Store: store, Now: time.Now}, keys: keys, outcomes: make(chan event.Outcome, 100),
	}
	g := &run.Group{Log: log}
	worker.Add(g)
	g.Add("outcomes", func(ctx context.Context) error {
		return conn.ServeOutcomes(ctx, func(_ context.Context, o event.Outcome) error { h.outcomes <- o; return nil })
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// request publishes a code for a number, as the api does.
func (h *house) request(id, to string, life time.Duration) {
	h.t.Helper()
	now := time.Now()
	until := now.Add(life)
	plain, err := json.Marshal(event.SMS{To: to, Code: "747723", Brand: "Acme", Host: "a.io", Locale: "en"})
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
	err = h.bus.Request(h.t.Context(), event.Requested{
		DeliveryID: id, N: 1, RequestID: "c_" + id, TraceID: "t_" + id, Channel: event.ChannelSMS, Env: event.EnvDefault,
		OrgID: "org_1", CreatedAt: now.UnixMilli(), ExpiresAt: until.UnixMilli(), Sealed: sealed,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// end collects the reports about one delivery until one says that the worker
// is done with it.
func (h *house) end(id string) (told []string) {
	h.t.Helper()
	limit := time.After(40 * time.Second)
	for {
		select {
		case o := <-h.outcomes:
			if o.DeliveryID != id {
				h.t.Fatalf("a report about %s", o.DeliveryID)
			}
			word := string(o.Result)
			if o.Reason != "" {
				word += ":" + o.Reason
			}
			if told = append(told, word); o.Result != event.Retrying {
				return told
			}
		case <-limit:
			h.t.Fatalf("no end after %v", told)
		}
	}
}

const life = 5 * time.Minute

// One right reaction to each answer: what is asked of Twilio, what it sends,
// and what the api is told. The worker, its claims and the bus are real, and
// so are their pauses.
//
//
func TestEachAnswerOfTwilioHasItsOneRightReaction(t *testing.T) {
	t.Parallel()
	refused := func(code int) []twilio.Fault { return []twilio.Fault{{Status: 400, Code: code}} }
	accepted := []string{"accepted"}
	again := []string{"retrying:ambiguous", "accepted"}
	down := []twilio.Fault{{Status: 503, Times: 2}}
	for name, c := range map[string]struct {
		faults []twilio.Fault
		list   []twilio.Fault // of the list of messages
		to     string
		life   time.Duration
		calls  int
		sent   int // messages that Twilio accepted
		looks  int
		told   []string
	}{
		"201":                  {calls: 1, sent: 1, told: accepted},
		"429 with Retry-After": {faults: []twilio.Fault{{Status: 429, RetryAfter: 1}}, calls: 2, sent: 1, told: []string{"retrying:rate_limited", "accepted"}},
		"429 for longer than it lives": {
			faults: []twilio.Fault{{Status: 429, RetryAfter: 400}}, calls: 1, told: []string{"failed:rate_limited"}},
		"21211":           {to: "+15005550001", calls: 1, told: []string{"failed:refused:21211"}},
		"21614":           {to: "+15005550009", calls: 1, told: []string{"failed:refused:21614"}},
		"21610":           {to: "+15005550004", calls: 1, told: []string{"failed:refused:21610"}},
		"21408":           {to: "+15005550003", calls: 1, told: []string{"failed:refused:21408"}},
		"another refusal": {faults: refused(21617), calls: 1, told: []string{"failed:refused:21617"}},
		"401":             {faults: []twilio.Fault{{Status: 401, Code: 20003}}, calls: 1, told: []string{"failed:credentials"}},
		"403":             {faults: []twilio.Fault{{Status: 403, Code: 20005}}, calls: 1, told: []string{"failed:credentials"}},
		// What is uncertain is looked up: one message where it was stored, a
		// second call only where it was not.
		"500 before it stored":     {faults: []twilio.Fault{{Status: 500}}, calls: 2, sent: 1, looks: 1, told: again},
		"500 after it stored":      {faults: []twilio.Fault{{Status: 500, Store: true}}, calls: 1, sent: 1, looks: 1, told: again},
		"502 with a page":          {faults: []twilio.Fault{{Status: 502, Body: "<html>"}}, calls: 2, sent: 1, looks: 1, told: again},
		"dropped before it stored": {faults: []twilio.Fault{{Drop: "before"}}, calls: 2, sent: 1, looks: 1, told: again},
		"dropped after it stored":  {faults: []twilio.Fault{{Drop: "after"}}, calls: 1, sent: 1, looks: 1, told: again},
		"dropped with a minute left": {
			faults: []twilio.Fault{{Drop: "after"}}, life: 61 * time.Second, calls: 1, sent: 1, looks: 1, told: again},
		"dropped before it stored, with a minute left": {
			faults: []twilio.Fault{{Drop: "before"}}, life: 61 * time.Second, calls: 1, looks: 1,
			told: []string{"retrying:ambiguous", "unknown:ambiguous"}},
		"a stall of 30 s": {faults: []twilio.Fault{{StallMS: 30_000, Store: true}}, calls: 1, sent: 1, looks: 1, told: again},
		"malformed JSON":  {faults: []twilio.Fault{{Garbage: true}}, calls: 1, sent: 1, looks: 1, told: again},
		// Two lost answers end it, whatever the list says.
		"500 twice": {
			faults: []twilio.Fault{{Status: 500, Times: 3}}, calls: 2, looks: 2,
			told: []string{"retrying:ambiguous", "retrying:ambiguous", "unknown:sends_exhausted"}},
		"500 twice, and the second stored": {
			faults: []twilio.Fault{{Status: 500}, {Status: 500, Store: true}}, calls: 2, sent: 1, looks: 2,
			told: []string{"retrying:ambiguous", "retrying:ambiguous", "accepted"}},
		// Without the list it is one message too many at the most.
		"dropped after it stored, and the list down": {
			faults: []twilio.Fault{{Drop: "after"}}, list: down, calls: 2, sent: 2, looks: 1, told: again},
		"dropped before it stored, and the list down": {
			faults: []twilio.Fault{{Drop: "before"}}, list: down, calls: 2, sent: 1, looks: 1, told: again},
		"dropped twice after it stored, and the list down": {
			faults: []twilio.Fault{{Drop: "after", Times: 3}}, list: down, calls: 2, sent: 2, looks: 2,
			told: []string{"retrying:ambiguous", "retrying:ambiguous", "unknown:sends_exhausted"}},
		"a stall beyond the code's life": {
			faults: []twilio.Fault{{StallMS: 30_000}}, life: 2500 * time.Millisecond, calls: 1, told: []string{"unknown:ambiguous"}},
		"a redirect": {faults: []twilio.Fault{{Redirect: "/elsewhere"}}, calls: 1, told: []string{"failed:redirected"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.to == "" {
				c.to = "+4915112345678"
			}
			if c.life == 0 {
				c.life = life
			}
			// A message shows up in the list a while after it was stored.
			h := open(t, twilio.Options{Callbacks: twilio.Callbacks{Off: true}, ListLag: 1500 * time.Millisecond})
			h.fake.Fail(twilio.Faults{Next: c.faults, List: c.list})
			h.request("d1", c.to, c.life)
			if told := h.end("d1"); !slices.Equal(told, c.told) {
				t.Errorf("told %v, want %v", told, c.told)
			}
			log := h.fake.Log()
			if len(log.Calls) != c.calls || len(log.Messages) != c.sent || len(log.Looks) != c.looks {
				t.Errorf("%d calls, %d messages and %d looks, want %d, %d and %d: %+v", len(log.Calls), len(log.Messages), len(log.Looks),
					c.calls, c.sent, c.looks, log.Calls)
			}
			for _, m := range log.Messages {
				if m.Body != log.Messages[0].Body || m.Segments != 1 || !strings.HasSuffix(m.Body, "\n@a.io #747723") {
					t.Errorf("body %q", m.Body)
				}
				seconds := time.Duration(m.ValidityPeriod) * time.Second
				if seconds > c.life || seconds < c.life-20*time.Second {
					t.Errorf("valid for %s of %s", seconds, c.life)
				}
				if m.StatusCallback != "http://127.0.0.1:1/callback/twilio/d1" || m.To != c.to {
					t.Errorf("message %+v", m)
				}
			}
		})
	}
}

// The breaker of R-074: one message finds out that the account is refused,
// the others wait and cost nothing.
func TestRefusedAccountHoldsTheOthersBack(t *testing.T) {
	t.Parallel()
	h := open(t, twilio.Options{}, func(c *sms.Config) { c.Twilio.AuthToken = secret.New("wrong") })
	h.request("d0", "+4915112345678", life)
	if told := h.end("d0"); !slices.Equal(told, []string{"failed:credentials"}) {
		t.Fatalf("told %v", told)
	}
	for i := range 10 {
		h.request(fmt.Sprintf("d%d", i+1), "+4915112345678", life)
		o := <-h.outcomes
		if o.Result != event.Retrying || o.Reason != "provider_paused" {
			t.Fatalf("told %s:%s", o.Result, o.Reason)
		}
	}
	if calls := len(h.fake.Log().Calls); calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

// A Twilio that is not there was certainly not asked: free tries.
func TestUnreachableTwilioCostsNoSend(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	h := open(t, twilio.Options{}, func(c *sms.Config) { c.Twilio.BaseURL = gone.URL })
	h.request("d1", "+4915112345678", life)
	for range 3 {
		if o := <-h.outcomes; o.Result != event.Retrying || o.Reason != "unreachable" {
			t.Fatalf("told %s:%s", o.Result, o.Reason)
		}
	}
	c, err := h.book.Take(t.Context(), "d1", time.Second)
	if err != nil || c.State != claim.Taken || c.Sends != 1 {
		t.Errorf("claim %s after %d sends, %v", c.State, c.Sends, err)
	}
}
