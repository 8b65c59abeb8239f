package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/seal"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// floor is the durable work of a call and nothing else: no HTTP, no token, no
// tenant, no sealing.
type floor struct {
	*testing.B
	store *sqlstore.Store
	short ephemeral.Store
	bus   *bus.Bus
	where tenant.ID
	users []string
}

func newFloor(b *testing.B, database string, short ephemeral.Store, conn *bus.Bus) *floor {
	b.Helper()
	ctx := context.Background()
	keys, err := seal.Parse("keys", seal.NewKey())
	must(b, err)
	store, err := sqlstore.Open(ctx, sqlstore.Config{DSN: database, Keys: keys})
	must(b, err)
	b.Cleanup(func() { _ = store.Close() })
	must(b, store.Migrate(ctx))
	tenants := &tenant.Service{Store: store, Now: time.Now}
	account, err := tenants.CreateAccount(ctx, "floor", "")
	must(b, err)
	org, err := tenants.CreateOrganization(ctx, account.ID, tenant.NewOrganization{Name: "Floor"})
	must(b, err)
	f := &floor{B: b, store: store, short: short, bus: conn, where: tenant.ID{Account: account.ID, Org: org.ID, Env: tenant.Sandbox}}
	people := &user.Service{Store: store, Now: time.Now}
	for i := range 8 * inFlight {
		email := fmt.Sprintf("user%d@acme.test", i)
		made, err := people.Create(ctx, f.where, user.Change{Email: &email})
		must(b, err)
		f.users = append(f.users, made.ID)
	}
	return f
}

func (f *floor) fail(err error) {
	if err != nil {
		f.Error(err)
	}
}

func (f *floor) number(i int) []byte { return fmt.Appendf(nil, "floor number %10d", i%len(f.users)) }

func (f *floor) send(i int, now time.Time) challenge.Send {
	person := f.users[i%len(f.users)]
	number := fmt.Sprintf("number:%x", f.number(i))
	const most = 1 << 30
	return challenge.Send{Number: f.number(i), At: now, Budgets: []challenge.Budget{
		{Key: number, Span: 10 * time.Minute, Most: most, Fault: challenge.ErrNumber},
		{Key: number, Span: 24 * time.Hour, Most: most, Fault: challenge.ErrNumber},
		{Key: "user:" + person, Span: 24 * time.Hour, Most: most, Fault: challenge.ErrUser},
		{Key: "org:" + f.where.Org, Span: time.Hour, Most: most, Fault: challenge.ErrOrg},
		{Key: "org:" + f.where.Org, Span: 24 * time.Hour, Most: most, Fault: challenge.ErrOrg},
	}}
}

func (f *floor) key(i int) string { return fmt.Sprintf("floor:{%s}", f.users[i%len(f.users)]) }

func (f *floor) challenge(i int) {
	ctx, now := context.Background(), time.Now()
	id := fmt.Sprintf("delivery_floor%d_%d", i, now.UnixNano())
	f.fail(f.store.Reserve(ctx, f.send(i, now), delivery.Delivery{
		ID: id, Tenant: f.where, UserID: f.users[i%len(f.users)], RequestID: id, TraceID: id, Channel: event.ChannelSMS, To: "+49•••••78",
		State: delivery.Pending, ExpiresAt: now.Add(5 * time.Minute), CreatedAt: now, UpdatedAt: now,
	}))
	f.fail(f.short.Put(ctx, "floor-claim:{"+id+"}", []byte("open"), 5*time.Minute))
	f.armOne(i, now)
	f.fail(f.bus.Request(ctx, event.Requested{
		DeliveryID: id, N: 1, RequestID: id, TraceID: id, Channel: event.ChannelSMS, Env: event.EnvSandbox, OrgID: f.where.Org,
		CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(5 * time.Minute).UnixMilli(), Sealed: make([]byte, 160),
	}))
}

var floorDigest = []byte("a digest of thirty-two bytes....")

func (f *floor) armOne(i int, now time.Time) {
	_, err := f.short.Arm(context.Background(), f.key(i), ephemeral.Code{
		ID: "floor", Ref: "floor", Digest: floorDigest, Tries: 5, IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute),
	}, 6*time.Minute)
	f.fail(err)
}

func (f *floor) arm(n int) {
	for i := range n {
		f.armOne(i+1, time.Now())
	}
}

func (f *floor) validate(i int) {
	ctx, now := context.Background(), time.Now()
	subject := guard.Subject{Tenant: f.where, UserID: f.users[i%len(f.users)], Class: guard.SecondFactor}
	count, err := f.store.CountGuess(ctx, subject, guard.Window{Guesses: 5, Cap: 100, Spans: [3]int64{900_000, 3_600_000, 86_400_000}}, now)
	f.fail(err)
	verdict, err := f.short.Consume(ctx, f.key(i), floorDigest, now)
	f.fail(err)
	if !count.OK || verdict.Outcome != ephemeral.Right {
		f.Errorf("counted %v, compared %v", count.OK, verdict.Outcome)
	}
	f.fail(f.store.ClearGuesses(ctx, subject))
	_, err = f.store.Answered(ctx, f.number(i), f.where, "floor")
	f.fail(err)
}
