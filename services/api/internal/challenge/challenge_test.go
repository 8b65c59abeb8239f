package challenge_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// room is the rules of challenges on real stores, with a clock of its own.
type room struct {
	*challenge.Service
	mu      sync.Mutex
	now     time.Time
	keys    *seal.Keyring
	claims  *claim.Book
	sent    []event.Requested
	refuse  error
	subject guard.Subject
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

// Request stands where the bus stands.
func (r *room) Request(_ context.Context, e event.Requested) error {
	r.sent = append(r.sent, e)
	return r.refuse
}

func newRoom(t *testing.T) *room {
	t.Helper()
	ctx := t.Context()
	r := &room{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	if r.keys, err = seal.Parse("keys", seal.NewKey()); err != nil {
		t.Fatal(err)
	}
	index, err := seal.ParseIndex("index", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(ctx, sqlstore.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Keys: r.keys, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	tenants := &tenant.Service{Store: store, Now: r.clock}
	account, err := tenants.CreateAccount(ctx, "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	where := tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Default}
	email := "ana@acme.test"
	ana, err := (&user.Service{Store: store, Now: r.clock}).Create(ctx, where, user.Change{Email: &email})
	if err != nil {
		t.Fatal(err)
	}
	r.subject = guard.Subject{Tenant: where, UserID: ana.ID, Class: guard.SecondFactor}
	short := ephemeral.NewMemory(r.clock)
	r.claims = &claim.Book{Store: short, Now: r.clock}
	r.Service = &challenge.Service{
		Store: store, Codes: short, Claims: r.claims, Publisher: r, Keys: r.keys, Index: index, Policy: challenge.DefaultPolicy(),
		Guard: &guard.Guard{Store: store, Codes: short, Policy: guard.DefaultPolicy(), Now: r.clock},
		Host:  "login.example.com", Now: r.clock, Log: slog.New(slog.DiscardHandler),
	}
	return r
}

func (r *room) issue(t *testing.T, purpose string) (challenge.Challenge, secret.Text) {
	t.Helper()
	c, err := r.Issue(t.Context(), r.request(purpose))
	if err != nil {
		t.Fatal(err)
	}
	last := r.sent[len(r.sent)-1]
	plain, err := r.keys.Open(event.SealContent, last.DeliveryID, last.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	var content event.SMS
	if err := json.Unmarshal(plain, &content); err != nil {
		t.Fatal(err)
	}
	return c, secret.New(content.Code)
}

func (r *room) request(purpose string) challenge.Request {
	return challenge.Request{
		Kind: "totp-challenge", Subject: r.subject, Purpose: purpose, Factor: "factor-1", To: "+4915112345678", Brand: "Acme",
		Limits: challenge.Limits{OrgPerHour: 100, OrgPerDay: 100},
	}
}

// checked is what became of an answer.
type checked struct {
	guard.Verdict
	challenge.Found
}

func (c checked) OK() bool    { return c.Outcome == ephemeral.Right }
func (c checked) Wrong() bool { return c.Outcome == ephemeral.Wrong }

// compare goes the way of an answer, as the factor rules do.
func (r *room) compare(ctx context.Context, a challenge.Answer) (out checked, err error) {
	out.Verdict, err = r.Guard.Digits(ctx, guard.Try{Subject: a.Subject, Purpose: a.Purpose}, guard.Digits{Typed: a.Code, Sent: r.Expected(a)}, nil)
	if err != nil {
		return out, err
	}
	out.Found, err = r.Settle(ctx, a, out.Sent)
	return out, err
}

func (r *room) check(t *testing.T, purpose, factor string, code secret.Text) checked {
	t.Helper()
	result, err := r.compare(t.Context(), challenge.Answer{Subject: r.subject, Purpose: purpose, Factor: factor, To: "+4915112345678", Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Covers R-021 for the life of five minutes.
func TestACodeLivesFiveMinutes(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	_, code := r.issue(t, "login")
	r.pass(5 * time.Minute)
	if !r.check(t, "login", "factor-1", code).OK() {
		t.Error("refused at 5:00")
	}
	_, code = r.issue(t, "login")
	r.pass(5*time.Minute + time.Second)
	if result := r.check(t, "login", "factor-1", code); result.OK() {
		t.Error("accepted at 5:01")
	}
}

// Covers R-021 for codes bound to their flow.
func TestACodeIsBoundToWhatItIsFor(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	_, login := r.issue(t, "login")
	r.pass(time.Minute) // past the gap
	_, enroll := r.issue(t, "enroll")
	if login.Reveal() != enroll.Reveal() && r.check(t, "enroll", "factor-1", login).OK() {
		t.Error("the code of a login confirmed an enrolment")
	}
	if r.check(t, "login", "factor-2", login).OK() {
		t.Error("a code proved another factor")
	}
	if !r.check(t, "login", "factor-1", login).OK() {
		t.Error("the code does not work where it belongs")
	}
}

// What could not be published is taken back whole: no code is live, no claim
// is open, the budget is as before.
func TestWhatIsNotPublishedIsTakenBack(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.refuse = fault.New(fault.Unavailable, "delivery_unavailable", "down")
	for range 20 { // more than any budget of a number
		if _, err := r.Issue(t.Context(), r.request("login")); fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("Issue = %v, want Unavailable", err)
		}
	}
	for _, e := range r.sent {
		if c, err := r.claims.Take(t.Context(), e.DeliveryID, time.Second); err != nil || c.State != claim.Gone {
			t.Fatalf("the claim of an event that was refused is %v, %v", c.State, err)
		}
	}
	if result := r.check(t, "login", "factor-1", secret.New("123456")); result.Outcome != ephemeral.None {
		t.Errorf("a code is live: %v", result.Outcome)
	}
	r.refuse = nil
	r.issue(t, "login")
}

// A used code leaves nothing to send: its message, still queued, is withdrawn.
func TestAUsedCodeIsNotSentAnyMore(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	_, code := r.issue(t, "login")
	first := r.sent[0].DeliveryID
	if !r.check(t, "login", "factor-1", code).OK() {
		t.Fatal("refused")
	}
	if c, err := r.claims.Take(t.Context(), first, time.Second); err != nil || c.State != claim.Gone {
		t.Errorf("the claim of a used code is %v, %v", c.State, err)
	}
	_, _ = r.issue(t, "login")
	r.pass(time.Minute)
	_, _ = r.issue(t, "login")
	if c, err := r.claims.Take(t.Context(), r.sent[1].DeliveryID, time.Second); err != nil || c.State != claim.Gone {
		t.Errorf("the claim of a replaced code is %v, %v", c.State, err)
	}
	if c, err := r.claims.Take(t.Context(), r.sent[2].DeliveryID, time.Second); err != nil || c.State != claim.Taken {
		t.Errorf("the claim of the newest code is %v, %v", c.State, err)
	}
}

// Every digit of every place is as likely as any other: chi-square over the
// six places of a million codes, 54 degrees of freedom. The bounds leave one
// false alarm in a million runs; a lost leading zero or a bias of one percent
// is hundreds of times beyond them.
// Covers R-021 for uniform codes.
func TestCodesAreUniform(t *testing.T) {
	t.Parallel()
	const n = 1_000_000
	var count [6][10]int
	for range n {
		code, err := challenge.NewCode()
		if err != nil {
			t.Fatal(err)
		}
		if !challenge.IsCode(code.Reveal()) {
			t.Fatalf("a code of another shape")
		}
		for place, digit := range []byte(code.Reveal()) {
			count[place][digit-'0']++
		}
	}
	chi := 0.0
	for _, digits := range count {
		for _, seen := range digits {
			d := float64(seen) - n/10
			chi += d * d / (n / 10)
		}
	}
	if chi < 17 || chi > 120 {
		t.Errorf("chi-square is %.1f, want 17 to 120: %v", chi, count)
	}
}
