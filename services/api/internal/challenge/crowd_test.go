package challenge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/delivery"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// crowd is a room with many people, and ears for what limits say.
type crowd struct {
	*room
	t       *testing.T
	store   *sqlstore.Store
	log     bytes.Buffer
	alarms  []challenge.Alarm
	stopped map[string]int
	people  int
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{room: newRoom(t), t: t, stopped: map[string]int{}}
	c.store = c.Store.(*sqlstore.Store)
	c.Log = slog.New(slog.NewTextHandler(&c.log, nil))
	c.Alarm = func(a challenge.Alarm) { c.alarms = append(c.alarms, a) }
	c.Stopped = func(env, code string) { c.stopped[env+" "+code]++ }
	return c
}

// elsewhere is another organization of the account, or another environment.
func (c *crowd) elsewhere(env string) tenant.ID {
	c.t.Helper()
	c.people++
	tenants := &tenant.Service{Store: c.store, Now: c.clock}
	org, err := tenants.CreateOrganization(c.t.Context(), c.subject.Tenant.Account, tenant.NewOrganization{Name: fmt.Sprint("Org ", c.people)})
	if err != nil {
		c.t.Fatal(err)
	}
	return tenant.ID{Account: org.AccountID, Org: org.ID, Env: env}
}

// ask is a request of a new user of the tenant for a code to a number.
func (c *crowd) ask(where tenant.ID, to string) challenge.Request {
	c.t.Helper()
	c.people++
	email := fmt.Sprintf("user%d@acme.test", c.people)
	u, err := (&user.Service{Store: c.store, Now: c.clock}).Create(c.t.Context(), where, user.Change{Email: &email})
	if err != nil {
		c.t.Fatal(err)
	}
	r := c.request("login")
	r.Subject.Tenant, r.Subject.UserID, r.To, r.Prefix = where, u.ID, to, to[:6]
	r.Limits = challenge.Limits{OrgPerHour: 100_000, OrgPerDay: 100_000}
	return r
}

// send issues a code and says what became of it.
func (c *crowd) send(r challenge.Request) error {
	c.t.Helper()
	_, err := c.Issue(c.t.Context(), r)
	return err
}

func (c *crowd) sends(r challenge.Request) {
	c.t.Helper()
	if err := c.send(r); err != nil {
		c.t.Fatal(err)
	}
}

// refuses checks the fault and the time to come back.
func (c *crowd) refuses(r challenge.Request, why *fault.Error, after time.Duration) {
	c.t.Helper()
	err := c.send(r)
	if f, ok := errors.AsType[*fault.Error](err); !ok || !errors.Is(err, why) || f.After != after {
		c.t.Fatalf("the send answered %v, want %s after %v: %+v", err, why.Code, after, f)
	}
}

// answers types the code that was sent last.
func (c *crowd) answers(r challenge.Request) {
	c.t.Helper()
	last := c.sent[len(c.sent)-1]
	plain, err := c.keys.Open(event.SealContent, last.DeliveryID, last.Sealed)
	if err != nil {
		c.t.Fatal(err)
	}
	var content event.SMS
	if err := json.Unmarshal(plain, &content); err != nil {
		c.t.Fatal(err)
	}
	result, err := c.compare(c.t.Context(), challenge.Answer{
		Subject: r.Subject, Purpose: r.Purpose, Factor: r.Factor, To: r.To, Prefix: r.Prefix, Code: secret.New(content.Code),
	})
	if err != nil || !result.OK() {
		c.t.Fatalf("the right code answered %v, %v", result.Outcome, err)
	}
}

// loseRedis empties the short-lived state. The API's tests do it to a Redis.
func (c *crowd) loseRedis() {
	short := ephemeral.NewMemory(c.clock)
	c.Codes, c.Guard.Codes, c.Claims = short, short, &claim.Book{Store: short, Now: c.clock}
}

// reasons counts the deliveries of a tenant by state and reason.
func (c *crowd) reasons(where tenant.ID) map[string]int {
	c.t.Helper()
	out := map[string]int{}
	for page := 1; ; page++ {
		list, err := c.store.Deliveries(c.t.Context(), where, delivery.Filter{}, listing.Of(page, listing.MaxPer))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range list.Items {
			out[strings.TrimSpace(string(d.State)+" "+d.Reason)]++
			if !strings.Contains(d.To, "•••") {
				c.t.Errorf("a delivery shows the number %s", d.To)
			}
		}
		if len(list.Items) < listing.MaxPer {
			return out
		}
	}
}
