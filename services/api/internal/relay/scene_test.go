package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/relay"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
)

func TestMain(m *testing.M) { rig.Main(m) }

// limit is for a machine that is busy with other things.
const limit = 60 * time.Second

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newScene(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newScene(t, rig.Postgres(t)))
	})
}

// scene is a database, a bus and short-lived state, with the rules between
// them. Its clock is the machine's, put forward at will.
type scene struct {
	*sqlstore.Store
	t        *testing.T
	dsn      string
	nats     *bustest.NATS
	claims   *claim.Book
	rules    *delivery.Service
	composer *outbox.Composer
	keys     *seal.Keyring
	index    *seal.Index
	tenant   tenant.ID
	forward  atomic.Int64
}

func newScene(t *testing.T, dsn string) *scene {
	t.Helper()
	s := &scene{t: t, dsn: dsn, nats: bustest.Server(t)}
	var err error
	s.keys, err = seal.Parse("keys", seal.NewKey())
	s.must(err)
	s.index, err = seal.ParseIndex("index", seal.NewKey())
	s.must(err)
	s.Store = s.open()
	s.must(s.Migrate(t.Context()))
	s.claims = &claim.Book{Store: ephemeral.NewMemory(s.now), Now: s.now}
	s.rules = &delivery.Service{Store: s.Store, Keys: s.keys, Index: s.index, Now: s.now}
	s.composer = &outbox.Composer{Keys: s.keys, Host: "login.example.com", Now: s.now}
	account := tenant.Account{ID: id.UUID(), Domain: "acme", Name: "Acme", CreatedAt: s.now()}
	s.must(s.CreateAccount(t.Context(), account))
	s.tenant = tenant.ID{Account: account.ID, Org: id.UUID(), Env: event.EnvDefault}
	s.must(s.CreateOrganization(t.Context(), tenant.Organization{
		ID: s.tenant.Org, AccountID: account.ID, Domain: "acme", Name: "Acme", CreatedAt: s.now(), UpdatedAt: s.now(),
	}, nil))
	return s
}

// open opens the database once more, as another process would.
func (s *scene) open() *sqlstore.Store {
	s.t.Helper()
	store, err := sqlstore.Open(s.t.Context(), sqlstore.Config{DSN: s.dsn, Keys: s.keys, Index: s.index})
	s.must(err)
	s.t.Cleanup(func() { _ = store.Close() })
	return store
}

func (s *scene) now() time.Time { return time.Now().Add(time.Duration(s.forward.Load())) }

func (s *scene) advance(d time.Duration) { s.forward.Add(int64(d)) }

// news is an event.
func (s *scene) news() outbox.Entry {
	return s.composer.Event(activity.Record{Tenant: s.tenant, Action: event.TypePasswordChanged, By: activity.By{Actor: activity.User}})
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) bus(mutate ...func(*bus.Config)) *bus.Bus {
	s.t.Helper()
	return bustest.Bus(s.t, s.nats, append([]func(*bus.Config){func(c *bus.Config) {
		c.RetryTable = []time.Duration{20 * time.Millisecond}
	}}, mutate...)...)
}

// outgoing publishes this scene's outbox over a bus, once it is run.
func (s *scene) outgoing(b relay.Publisher) *relay.Outgoing {
	return &relay.Outgoing{
		Outbox: s.Store, Bus: b, Claims: s.claims, Now: s.now, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)),
		Every: 100 * time.Millisecond,
	}
}

// run runs something until the test or stop ends it.
func (s *scene) run(what func(ctx context.Context) error) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := what(ctx); err != nil {
			s.t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	s.t.Cleanup(stop)
	return stop
}

// outcomes records results from the bus.
func (s *scene) outcomes(b *bus.Bus) (stop func()) {
	return s.run((&relay.Relay{Bus: b, Deliveries: s.rules, Log: slog.New(slog.DiscardHandler)}).Outcomes)
}

// mails writes n mails that live for a day.
func (s *scene) mails(n int) []outbox.Entry {
	s.t.Helper()
	all := make([]outbox.Entry, n)
	for i := range all {
		var err error
		all[i], err = s.composer.Mail(outbox.Mail{
			Tenant: s.tenant, Kind: event.KindPassword, TraceID: "trace", To: fmt.Sprintf("user%d@example.com", i), Life: 24 * time.Hour,
			Content: event.Mail{Template: event.TemplatePasswordCreate, Link: fmt.Sprintf("https://login.example.com/%d", i), Brand: "Acme", Locale: "de"},
		})
		s.must(err)
	}
	for portion := range slices.Chunk(all, 100) {
		s.must(s.Enqueue(s.t.Context(), portion...))
	}
	return all
}

// open counts the rows of a kind that are not closed.
func (s *scene) backlog(kind outbox.Kind) int {
	s.t.Helper()
	all, err := s.Backlog(s.t.Context())
	s.must(err)
	for _, b := range all {
		if b.Kind == kind {
			return b.Open
		}
	}
	return 0
}

// states counts the deliveries by state.
func (s *scene) states() map[delivery.State]int {
	s.t.Helper()
	out := map[delivery.State]int{}
	for number := 1; ; number++ {
		list, err := s.Deliveries(s.t.Context(), s.tenant, delivery.Filter{}, listing.Of(number, 200))
		s.must(err)
		for _, d := range list.Items {
			out[d.State]++
		}
		if len(list.Items) == 0 {
			return out
		}
	}
}

// eventually polls what nothing can signal.
func (s *scene) eventually(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			s.t.Fatalf("did not come true: %s", what)
		}
	}
}

// worker sends mails as the real one does, to a list.
type worker struct {
	*scene
	bus *bus.Bus
	// decide may answer in place of a send; nil sends everything.
	decide func(r event.Requested) (o event.Outcome, instead bool, err error)

	mu      sync.Mutex
	sent    map[string]int        // by delivery
	content map[string]event.Mail // of each delivery
	ns      map[string][]int      // as they came
	results []event.Result
}

func (s *scene) worker(b *bus.Bus) *worker {
	return &worker{scene: s, bus: b, sent: map[string]int{}, content: map[string]event.Mail{}, ns: map[string][]int{}}
}

// serve is its work on links until stopped.
func (w *worker) serve() (stop func()) {
	return w.run(func(ctx context.Context) error {
		return w.bus.Serve(ctx, bus.Work{Channel: event.ChannelEmail, Class: bus.ClassLink, Env: event.EnvDefault, Workers: 8, Handle: w.handle})
	})
}

func (w *worker) handle(ctx context.Context, r event.Requested, _ bus.Try) error {
	w.mu.Lock()
	w.ns[r.DeliveryID] = append(w.ns[r.DeliveryID], r.N)
	w.mu.Unlock()
	o := event.Outcome{
		DeliveryID: r.DeliveryID, RequestID: r.RequestID, TraceID: r.TraceID, OrgID: r.OrgID, Env: r.Env, Attempt: 1, Provider: "test", At: w.now().UnixMilli(),
	}
	if w.decide != nil {
		other, instead, err := w.decide(r)
		if err != nil {
			return err
		}
		if instead {
			o.Result, o.RetryAt, o.Reason = other.Result, other.RetryAt, other.Reason
			return w.report(ctx, o)
		}
	}
	c, err := w.claims.Take(ctx, r.DeliveryID, time.Minute)
	if err != nil {
		return err
	}
	o.Attempt = max(c.Attempt, 1)
	switch c.State {
	case claim.Taken:
		if err := w.send(r); err != nil {
			return err
		}
		if err := w.claims.Accept(ctx, c, "id of "+r.DeliveryID); err != nil {
			return err
		}
		o.Result = event.Accepted
	case claim.Accepted:
		o.Result = event.Accepted
	case claim.Gone:
		o.Result = event.Superseded
	default:
		return fmt.Errorf("the claim is %s", c.State)
	}
	return w.report(ctx, o)
}

func (w *worker) report(ctx context.Context, o event.Outcome) error {
	w.mu.Lock()
	w.results = append(w.results, o.Result)
	w.mu.Unlock()
	return w.bus.Report(ctx, o)
}

// send opens the content, as proof that it can be.
func (w *worker) send(r event.Requested) error {
	plain, err := w.keys.Open(event.SealContent, r.DeliveryID, r.Sealed)
	if err != nil {
		return err
	}
	var content event.Mail
	if err := json.Unmarshal(plain, &content); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[r.DeliveryID]++
	w.content[r.DeliveryID] = content
	return nil
}

// count of different deliveries that were sent.
func (w *worker) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sent)
}

// saw returns the n of each publication of a delivery that came.
func (w *worker) saw(deliveryID string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ns[deliveryID])
}

// once checks that each mail was sent once, with its own content.
func (w *worker) once(all []outbox.Entry) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range all {
		if w.sent[e.ID] != 1 {
			w.t.Errorf("mail %d was sent %d times", i, w.sent[e.ID])
		}
		if want := fmt.Sprintf("user%d@example.com", i); w.content[e.ID].To != want {
			w.t.Errorf("mail %d went to %q, want %q", i, w.content[e.ID].To, want)
		}
	}
	if len(w.sent) != len(all) {
		w.t.Errorf("%d mails were sent, want %d", len(w.sent), len(all))
	}
}
