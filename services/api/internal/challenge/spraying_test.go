package challenge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/tenant"
)

// One wrong code for each of many users pauses what would accept a code alone,
// in that environment of that organization, for a while. Second factors go on.
// Covers R-009 but for the ways to sign in by a code alone, which do not exist
// yet.
func TestSprayingPausesCodesAlone(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	here, there := c.elsewhere(tenant.Sandbox), c.elsewhere(tenant.Sandbox)
	alarms := 0
	c.Guard.Alarm = func(_ context.Context, of tenant.ID, s guard.Spray) {
		if alarms++; of != here || s.Fails != 100 || s.Users != 100 {
			t.Errorf("an alarm about %+v of %+v", s, of)
		}
	}
	guess := func(r challenge.Request, code string) checked {
		t.Helper()
		result, err := c.compare(t.Context(), challenge.Answer{Subject: r.Subject, Purpose: r.Purpose, Factor: r.Factor, To: r.To, Code: secret.New(code)})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	wrong := 0
	spray := func() {
		t.Helper()
		r := c.ask(here, fmt.Sprintf("+49151%05d000", wrong))
		c.sends(r)
		if !guess(r, "000000").Wrong() { // one in a million is right
			return
		}
		wrong++
	}
	for wrong < 99 {
		spray()
	}
	if err := c.Guard.Sprayed(t.Context(), here); err != nil || alarms != 0 {
		t.Fatalf("after 99 wrong codes: %v, %d alarms", err, alarms)
	}
	for wrong < 120 {
		spray()
	}
	err := c.Guard.Sprayed(t.Context(), here)
	if f, ok := errors.AsType[*fault.Error](err); !errors.Is(err, guard.ErrSprayed) || !ok || f.After != 15*time.Minute || alarms != 1 {
		t.Fatalf("after 120 wrong codes: %v, %d alarms", err, alarms)
	}
	for _, other := range []tenant.ID{there, {Account: here.Account, Org: here.Org, Env: tenant.Default}} {
		if err := c.Guard.Sprayed(t.Context(), other); err != nil {
			t.Errorf("another tenant is paused: %v", err)
		}
	}
	ordinary := c.ask(here, "+4917212345678")
	c.sends(ordinary)
	c.answers(ordinary)
	c.pass(15*time.Minute - time.Second)
	if err := c.Guard.Sprayed(t.Context(), here); !errors.Is(err, guard.ErrSprayed) {
		t.Errorf("after 14:59: %v", err)
	}
	c.pass(time.Second)
	if err := c.Guard.Sprayed(t.Context(), here); err != nil {
		t.Errorf("after 15 minutes: %v", err)
	}
}
