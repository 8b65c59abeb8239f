package mailcode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// room is the rules of codes by mail on real stores, with a clock of its own.
type room struct {
	*mailcode.Service
	t       *testing.T
	mu      sync.Mutex
	now     time.Time
	store   *sqlstore.Store
	short   *ephemeral.Memory
	claims  *claim.Book
	keys    *seal.Keyring
	log     bytes.Buffer
	tenants *tenant.Service
	account string
	asked   int
}

func (r *room) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *room) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// Wake stands where the relay stands.
func (r *room) Wake() {}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	r.keys, err = seal.Parse("keys", seal.NewKey())
	r.must(err)
	index, err := seal.ParseIndex("index", seal.NewKey())
	r.must(err)
	r.store, err = sqlstore.Open(t.Context(), sqlstore.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Keys: r.keys, Index: index})
	r.must(err)
	t.Cleanup(func() { _ = r.store.Close() })
	r.must(r.store.Migrate(t.Context()))
	r.tenants = &tenant.Service{Store: r.store, Now: r.clock}
	account, err := r.tenants.CreateAccount(t.Context(), "acme", "")
	r.must(err)
	r.account = account.ID
	r.short = ephemeral.NewMemory(r.clock)
	r.claims = &claim.Book{Store: r.short, Now: r.clock}
	composer := &outbox.Composer{Keys: r.keys, Host: "login.example.com", Now: r.clock}
	templates := &template.Service{Store: r.store, Outbox: composer, Relay: r, Now: r.clock}
	watch := &guard.Guard{Store: r.store, Codes: r.short, Policy: guard.DefaultPolicy(), Now: r.clock, Outbox: composer}
	notices := &notice.Service{Outbox: composer, Store: r.store, Relay: r, Now: r.clock, Templates: templates}
	r.Service = &mailcode.Service{
		Store: r.store, Codes: r.short, Claims: r.claims, Guard: watch, Factors: &factor.Service{Store: r.store, Notices: notices, Now: r.clock},
		Outbox: composer, Relay: r, Templates: templates, Index: index, Now: r.clock, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	return r
}

// nobody is an address of a new organization that has no user there.
func (r *room) nobody(env, email string) mailcode.Whose {
	r.t.Helper()
	r.asked++
	org, err := r.tenants.CreateOrganization(r.t.Context(), r.account, tenant.NewOrganization{Name: fmt.Sprint("Org ", r.asked)})
	r.must(err)
	address, err := user.ParseAddress(email)
	r.must(err)
	return mailcode.Whose{
		Tenant: tenant.ID{Account: r.account, Org: org.ID, Env: env}, Org: org, Address: address,
		RequestID: fmt.Sprint("verification_", r.asked), By: activity.By{Actor: activity.User, TraceID: "trace"},
	}
}

// somebody is a user of a new organization.
func (r *room) somebody(env, email string) mailcode.Whose {
	r.t.Helper()
	w := r.nobody(env, email)
	u, err := (&user.Service{Store: r.store, Now: r.clock}).Create(r.t.Context(), w.Tenant, user.Change{Email: &email})
	r.must(err)
	w.User = &u
	return w
}

// letter is a mail in the outbox.
type letter struct {
	event.Requested
	event.Mail
	payload []byte
}

// letters opens the mails that are due.
func (r *room) letters() (out []letter) {
	r.t.Helper()
	rows, err := r.store.TakeDue(r.t.Context(), outbox.Message, 100, time.Hour, r.clock())
	r.must(err)
	for _, row := range rows {
		l := letter{payload: row.Payload}
		l.Requested, err = row.Requested()
		r.must(err)
		plain, err := r.keys.Open(event.SealContent, l.DeliveryID, l.Sealed)
		r.must(err)
		r.must(json.Unmarshal(plain, &l.Mail))
		out = append(out, l)
	}
	return out
}

// send sends a code and returns its mail.
func (r *room) send(w mailcode.Whose) letter {
	r.t.Helper()
	r.must(r.Send(r.t.Context(), w))
	letters := r.letters()
	if len(letters) != 1 {
		r.t.Fatalf("%d mails are due, want 1", len(letters))
	}
	return letters[0]
}

func (r *room) check(w mailcode.Whose, code string) mailcode.Checked {
	r.t.Helper()
	checked, err := r.Check(r.t.Context(), w, secret.New(code))
	r.must(err)
	return checked
}

// wants fails unless a check has this outcome.
func (r *room) wants(w mailcode.Whose, code string, want ephemeral.Outcome) {
	r.t.Helper()
	if got := r.check(w, code); got.Outcome != want {
		r.t.Errorf("the outcome is %q, want %q", got.Outcome, want)
	}
}

// other is a code that is not this one.
func other(code string) string {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func (r *room) deliveries(w mailcode.Whose) []delivery.Delivery {
	r.t.Helper()
	found, err := r.store.Deliveries(r.t.Context(), w.Tenant, delivery.Filter{RequestID: w.RequestID}, listing.Of(1, 100))
	r.must(err)
	return found.Items
}

func (r *room) happened(w mailcode.Whose) []activity.Entry {
	r.t.Helper()
	found, err := r.store.Activity(r.t.Context(), w.Tenant, activity.Filter{}, listing.Of(1, 100))
	r.must(err)
	return found.Items
}

// together calls f from many goroutines at once.
func together(t *testing.T, n int, f func(ctx context.Context) error) []error {
	t.Helper()
	errs, begin := make([]error, n), make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-begin
			errs[i] = f(t.Context())
		})
	}
	close(begin)
	running.Wait()
	return errs
}
