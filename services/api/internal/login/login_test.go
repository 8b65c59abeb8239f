package login_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/tenant"
)

// enrolled says that everybody has a second factor.
type enrolled struct{}

func (enrolled) Enrolled(context.Context, tenant.ID, string) (bool, error) { return true, nil }

// A login waits for ten minutes for its second factor, and for half an hour for
// the enrolment that follows a recovery code: that has stopped the factor, so
// whoever runs out of time there is locked out.
// Covers R-026 for how long an enrolment may take.
func TestHowLongALoginWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		recovered bool
		after     time.Duration
		waits     bool
	}{
		"for a code":                      {false, 10 * time.Minute, true},
		"for a code, too long":            {false, 10*time.Minute + time.Millisecond, false},
		"for an enrolment":                {true, 30 * time.Minute, true},
		"for an enrolment, for too long":  {true, 30*time.Minute + time.Millisecond, false},
		"for an enrolment, beyond a code": {true, 12 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, at := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC), tenant.ID{Account: "acme", Org: "org", Env: tenant.Sandbox}
			clock := func() time.Time { return now }
			s := &login.Service{Factors: enrolled{}, Waiting: ephemeral.NewMemory(clock), Now: clock}
			began, err := s.Complete(t.Context(), login.Login{
				RequestID: "r", Tenant: at, UserID: "ana", ClientID: "shop", AMR: []string{grant.Password}, At: now, Browser: true,
			})
			if err != nil || !began.MFARequired {
				t.Fatalf("%+v, %v", began, err)
			}
			if c.recovered {
				now = now.Add(9 * time.Minute)
				if used, err := s.Recovered(t.Context(), "r", at, "ana", "shop"); err != nil || !used {
					t.Fatalf("a recovery code: %v, %v", used, err)
				}
				now = now.Add(-9 * time.Minute)
			}
			now = now.Add(c.after)
			if waits, err := s.Waits(t.Context(), "r", at, "ana", "shop"); err != nil || waits != c.waits {
				t.Errorf("after %v it waits: %v, %v", c.after, waits, err)
			}
		})
	}
}

// A password that is proven once more, for the same page, does not take away the
// recovery code that was used there.
// Covers R-026 for a password in another tab.
func TestAPasswordTakesNoRecoveryCodeAway(t *testing.T) {
	t.Parallel()
	clock, at := time.Now, tenant.ID{Account: "acme", Org: "org", Env: tenant.Sandbox}
	s := &login.Service{Factors: enrolled{}, Waiting: ephemeral.NewMemory(clock), Now: clock}
	half := login.Login{RequestID: "r", Tenant: at, UserID: "ana", ClientID: "shop", AMR: []string{grant.Password}, At: clock(), Browser: true}
	for range 2 { // the second one takes the first one's place
		if began, err := s.Complete(t.Context(), half); err != nil || !began.MFARequired {
			t.Fatalf("%+v, %v", began, err)
		}
	}
	if used, err := s.Recovered(t.Context(), "r", at, "ana", "shop"); err != nil || !used {
		t.Fatalf("a recovery code: %v, %v", used, err)
	}
	if began, err := s.Complete(t.Context(), half); err != nil || !began.MFARequired {
		t.Fatalf("the password again: %+v, %v", began, err)
	}
	done, waited, err := s.Reenrolled(t.Context(), "r", at, "ana", "shop", grant.App)
	if err != nil || !waited || !slices.Equal(done.Login.AMR, []string{grant.Password, grant.Recovery, grant.App}) {
		t.Errorf("the new factor: %+v, %v, %v", done, waited, err)
	}

	// Of another password it does: the login of the old one comes to nothing.
	if began, err := s.Complete(t.Context(), half); err != nil || !began.MFARequired {
		t.Fatalf("%+v, %v", began, err)
	}
	if used, err := s.Recovered(t.Context(), "r", at, "ana", "shop"); err != nil || !used {
		t.Fatalf("a recovery code: %v, %v", used, err)
	}
	half.Password = 2
	if began, err := s.Complete(t.Context(), half); err != nil || !began.MFARequired {
		t.Fatalf("another password: %+v, %v", began, err)
	}
	if done, waited, err := s.Reenrolled(t.Context(), "r", at, "ana", "shop", grant.App); err != nil || waited {
		t.Errorf("with another password: %+v, %v, %v", done, waited, err)
	}
}
