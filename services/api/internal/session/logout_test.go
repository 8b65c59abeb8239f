package session_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

// A code of a logout is for one client, one use and five minutes.
func TestALogoutIsTakenOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	logouts := &session.Logouts{Values: ephemeral.NewMemory(func() time.Time { return now })}
	want := session.Logout{Tenant: tenant.ID{Account: "a", Org: "o", Env: tenant.Sandbox}, SessionID: "s", ClientID: "app_1"}
	offer := func() secret.Text {
		code, err := logouts.Offer(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	refused := func(what string, code secret.Text, clientID string) {
		t.Helper()
		if _, err := logouts.Take(ctx, code, clientID); fault.KindOf(err) != fault.Malformed || !errors.Is(err, session.ErrLogout) {
			t.Errorf("%s: %v", what, err)
		}
	}
	code := offer()
	if got, err := logouts.Take(ctx, code, "app_1"); err != nil || got != want {
		t.Errorf("took %+v, %v", got, err)
	}
	refused("a second use", code, "app_1")
	code = offer()
	refused("another client", code, "app_2")
	refused("after another client", code, "app_1")
	code = offer()
	now = now.Add(session.LogoutLife)
	refused("after five minutes", code, "app_1")
	refused("none", secret.Text{}, "app_1")
	for range 100 {
		code := offer()
		var taken atomic.Int64
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				if _, err := logouts.Take(ctx, code, "app_1"); err == nil {
					taken.Add(1)
				}
			})
		}
		group.Wait()
		if taken.Load() != 1 {
			t.Fatalf("%d of 32 took one logout", taken.Load())
		}
	}
}
