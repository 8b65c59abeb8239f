package guard

import (
	"context"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
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

// Failure is a wrong code.
type Failure struct {
	Subject
	Limit SprayLimit
	At    time.Time
	// Told is written with the count, Tripped by the call that trips the
	// breaker.
	Told, Tripped []outbox.Entry
}

// Sprays keeps the count of wrong codes of an organization.
type Sprays interface {
	// CountFailure counts one wrong code of a user, in one transaction, and
	// trips the breaker by one conditional statement: of many parallel calls
	// one reports Tripped.
	CountFailure(ctx context.Context, f Failure) (Spray, error)
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
func (g *Guard) failed(ctx context.Context, t Try, now time.Time) error {
	f := Failure{Subject: t.Subject, Limit: sprayLimit, At: now, Told: g.refused(t, ephemeral.Wrong)}
	if g.Outbox != nil {
		f.Tripped = []outbox.Entry{g.Outbox.Event(activity.Record{
			Tenant: t.Tenant, Action: event.TypeSprayed, Result: activity.Failure, By: activity.By{Actor: activity.System, TraceID: t.By.TraceID},
		})}
	}
	spray, err := g.Store.CountFailure(ctx, f)
	if err == nil && spray.Tripped && g.Alarm != nil {
		g.Alarm(ctx, t.Tenant, spray)
	}
	return err
}

// refused is the record of a guess that was not taken.
func (g *Guard) refused(t Try, why ephemeral.Outcome) []outbox.Entry {
	if g.Outbox == nil {
		return nil
	}
	return []outbox.Entry{g.Outbox.Event(activity.Record{
		Tenant: t.Tenant, UserID: t.UserID, Action: activity.CodeRefused, Result: activity.Failure, By: t.By,
		Data: map[string]string{"purpose": t.Purpose, "reason": string(why)},
	})}
}
