package guard

import (
	"context"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// Spraying is one guess on each of many accounts: no budget of a user notices
// it. Wrong codes are therefore counted by organization too, and above a bound
// the organization's breaker trips: signing in by a code alone is refused for
// a while. Codes that follow a right first factor go on, since for them an
// attacker needs a password of each account as well.

// SprayLimit is when the breaker of an organization trips.
type SprayLimit struct {
	Span  time.Duration // of a window, which starts with its first wrong code
	Fails int           // wrong codes in a window, and
	Users int           // users they were typed for
	Pause time.Duration // how long the breaker stays open
}

// sprayLimit is R-009. Of 10,000 attackers who guess codes of six digits until
// it trips, 3 hit one at most.
var sprayLimit = SprayLimit{Span: 10 * time.Minute, Fails: 100, Users: 20, Pause: 15 * time.Minute}

// Spray is what was counted in the window at hand.
type Spray struct {
	Fails, Users int
	// Tripped says that this wrong code was the one that tripped the breaker.
	Tripped bool
}

// Sprays keeps the count of wrong codes of an organization.
type Sprays interface {
	// CountFailure counts one wrong code of a user, in one transaction, and
	// trips the breaker by one conditional statement: of many parallel calls
	// one reports Tripped.
	CountFailure(ctx context.Context, s Subject, limit SprayLimit, now time.Time) (Spray, error)
	// PausedUntil is until when the breaker is open: a time that has passed
	// when it is not.
	PausedUntil(ctx context.Context, t tenant.ID) (time.Time, error)
}

// ErrSprayed refuses a sign-in by a code alone.
var ErrSprayed = fault.New(fault.Limited, "passwordless_paused", "too many wrong codes were typed in this organization; sign in another way, or wait")

// Sprayed returns ErrSprayed, with the time to wait, while the breaker of an
// environment of an organization is open. Ways to sign in by a code alone ask
// it first; second factors do not.
func (g *Guard) Sprayed(ctx context.Context, t tenant.ID) error {
	until, err := g.Store.PausedUntil(ctx, t)
	if err != nil {
		return err
	}
	if rest := until.Sub(g.Now()); rest > 0 {
		return ErrSprayed.RetryIn(rest)
	}
	return nil
}

// failed counts a wrong code against the organization. Its guess has been
// counted against the user before, whatever becomes of this.
func (g *Guard) failed(ctx context.Context, s Subject, now time.Time) error {
	spray, err := g.Store.CountFailure(ctx, s, sprayLimit, now)
	if err == nil && spray.Tripped && g.Alarm != nil {
		g.Alarm(ctx, s.Tenant, spray)
	}
	return err
}
