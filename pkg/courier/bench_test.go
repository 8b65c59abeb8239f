package courier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

const (
	number = "+4915112345678"
	code   = "747723"
	life   = 5 * time.Minute
)

// bench is a worker with real claims and keys, and what it can lose.
type bench struct {
	*Worker
	t        *testing.T
	book     *claim.Book
	keys     *seal.Keyring
	clock    *clock
	store    *store
	provider *provider
	reports  *reports
	log      *safeBuffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{at: time.UnixMilli(1_700_000_000_000)}, provider: &provider{}, reports: &reports{}, log: &safeBuffer{}}
	b.store = &store{Store: ephemeral.NewMemory(b.clock.now)}
	b.book = &claim.Book{Store: b.store, Now: b.clock.now}
	b.keys = keyring(t)
	b.Worker = &Worker{
		Claims: b.book, Compose: compose, Provider: b.provider, Reports: b.reports, Keys: b.keys, Now: b.clock.now,
		Name: "fake", Line: "sms",
		Log: slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	t.Cleanup(b.silent)
	return b
}

// compose reads the content as a channel does.
func compose(_ event.Requested, content []byte) (Message, error) {
	var sms event.SMS
	if json.Unmarshal(content, &sms) != nil || sms.To == "" || sms.Code == "" {
		return Message{}, errors.New("it is not a text message")
	}
	return Message{To: sms.To, Text: sms.Brand + "\n\n@" + sms.Host + " #" + sms.Code}, nil
}

func keyring(t *testing.T) *seal.Keyring {
	t.Helper()
	keys, err := seal.Parse("KEYS", secret.New(seal.NewKey().Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// silent checks that neither a log line nor a report holds the number or the
// code.
func (b *bench) silent() {
	told, _ := json.Marshal(b.reports.list())
	for _, text := range []string{b.log.String(), string(told)} {
		for _, word := range []string{number[1:], code} {
			if strings.Contains(text, word) {
				b.t.Errorf("%q is readable in %s", word, text)
			}
		}
	}
}

// request seals a message and opens its claim, as the api does.
func (b *bench) request(id string, change ...func(*event.SMS)) event.Requested {
	b.t.Helper()
	r := b.sealed(id, change...)
	if err := b.book.Open(b.t.Context(), id, r.Expires()); err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) sealed(id string, change ...func(*event.SMS)) event.Requested {
	b.t.Helper()
	sms := event.SMS{To: number, Code: code, Brand: "Acme", Host: "login.example.com", Locale: "de-AT"}
	for _, c := range change {
		c(&sms)
	}
	plain, err := json.Marshal(sms)
	if err != nil {
		b.t.Fatal(err)
	}
	sealed, err := b.keys.Seal(event.SealContent, id, plain)
	if err != nil {
		b.t.Fatal(err)
	}
	now := b.clock.now()
	return event.Requested{
		DeliveryID: id, N: 1, RequestID: "challenge_" + id, TraceID: "trace_1", Channel: event.ChannelSMS,
		Env: event.EnvDefault, OrgID: "org_1", CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(life).UnixMilli(), Sealed: sealed,
	}
}

// handle calls the worker once and returns its instruction in words.
func (b *bench) handle(r event.Requested) string {
	b.t.Helper()
	return instruction(b.Handle(b.t.Context(), r))
}

func instruction(err error) string {
	_, later := fault.RetryTime(err)
	switch {
	case err == nil:
		return "ack"
	case fault.IsPermanent(err):
		return "park"
	case later:
		return "later"
	}
	return "again"
}

// told lists the reports as result:reason.
func (b *bench) told() string {
	var words []string
	for _, o := range b.reports.list() {
		word := string(o.Result)
		if o.Reason != "" {
			word += ":" + o.Reason
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func (b *bench) expect(told string, sends int) {
	b.t.Helper()
	if got := b.told(); got != told {
		b.t.Errorf("reported %q, want %q", got, told)
	}
	if got := len(b.provider.list()); got != sends {
		b.t.Errorf("%d sends, want %d", got, sends)
	}
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// store is the real one, with a cable that can be pulled.
type store struct {
	ephemeral.Store
	mu   sync.Mutex
	down bool
}

var errDown = fault.New(fault.Unavailable, "down", "the store is down")

func (s *store) pull(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *store) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down
}

func (s *store) Get(ctx context.Context, key string) ([]byte, error) {
	if !s.up() {
		return nil, errDown
	}
	return s.Store.Get(ctx, key)
}

func (s *store) Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error) {
	if !s.up() {
		return false, errDown
	}
	return s.Store.Swap(ctx, key, old, next, ttl)
}

// provider is an outside party: it keeps what it was given and answers by its
// script, the last answer repeating; without one it takes everything.
type provider struct {
	mu     sync.Mutex
	got    []Message
	left   []time.Duration // until the deadline of each call
	script []answerFunc
}

type answerFunc func(ctx context.Context, m Message) (Receipt, error)

func (p *provider) Send(ctx context.Context, m Message) (Receipt, error) {
	p.mu.Lock()
	p.got = append(p.got, m)
	deadline, _ := ctx.Deadline()
	p.left = append(p.left, time.Until(deadline))
	answer := take
	if len(p.script) > 0 {
		answer = p.script[0]
		if len(p.script) > 1 {
			p.script = p.script[1:]
		}
	}
	p.mu.Unlock()
	return answer(ctx, m)
}

func (p *provider) list() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Message{}, p.got...)
}

func take(_ context.Context, m Message) (Receipt, error) {
	return Receipt{ProviderID: "SM_" + m.DeliveryID}, nil
}

func fail(err error) answerFunc {
	return func(context.Context, Message) (Receipt, error) { return Receipt{}, err }
}

func die(context.Context, Message) (Receipt, error) { panic("killed") }

// killed handles a message whose provider call never returns.
func (b *bench) killed(r event.Requested) {
	defer func() { _ = recover() }()
	_ = b.Handle(b.t.Context(), r)
	b.t.Error("the worker survived")
}

// reports keeps what it is told, unless it is down.
type reports struct {
	mu   sync.Mutex
	got  []event.Outcome
	down bool
}

func (r *reports) Report(ctx context.Context, o event.Outcome) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errDown
	}
	if err := errors.Join(ctx.Err(), o.Validate()); err != nil {
		return err
	}
	r.got = append(r.got, o)
	return nil
}

func (r *reports) pull(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *reports) list() []event.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Outcome{}, r.got...)
}

func (r *reports) last() event.Outcome {
	list := r.list()
	if len(list) == 0 {
		return event.Outcome{}
	}
	return list[len(list)-1]
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}
