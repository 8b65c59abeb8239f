package password

import (
	"context"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/outbox"
)

// State is what an administrator may know of a password.
type State struct {
	Password
	// Expires is when it expires, Lapses when it cannot even be renewed; the
	// zero time is never.
	Expires, Lapses time.Time
}

// ErrNone answers for users without a password.
var ErrNone = fault.New(fault.NotFound, "not_found", "the user has no password")

// State reads the state of a user's password, by the user's id or address. It
// returns ErrNone, ErrNoConnection, or user.ErrNotFound.
func (s *Service) State(ctx context.Context, c link.Caller, who string) (State, error) {
	connection, err := s.Store.PasswordConnection(ctx, c.Tenant)
	if err != nil {
		return State{}, err
	}
	u, err := s.Users.Find(ctx, c.Tenant, who)
	if err != nil {
		return State{}, err
	}
	has, err := s.Store.Password(ctx, c.Tenant, u.ID)
	if err == nil && has.Number == 0 {
		err = ErrNone
	}
	if err != nil {
		return State{}, err
	}
	out := State{Password: has}
	out.Expires, out.Lapses = connection.Life.Ends(has)
	return out, nil
}

// Force makes a password good for nothing but setting another one, because
// somebody else may know it; so it ends the logins of its user, too. Doing it
// twice does nothing more. It returns what State returns.
func (s *Service) Force(ctx context.Context, c link.Caller, who string) (State, error) {
	out, err := s.State(ctx, c, who)
	if err != nil || out.MustChange {
		return out, err
	}
	happened := s.Outbox.Event(activity.Record{Tenant: c.Tenant, UserID: out.UserID, Action: event.TypePasswordForced, By: c.By, Data: map[string]string{"by": "administrator"}})
	forced, err := s.Store.ForcePassword(ctx, out.Password, s.Now(), []outbox.Entry{happened})
	if err != nil {
		return State{}, err
	}
	if forced {
		s.Relay.Wake()
	}
	return s.State(ctx, c, who) // another one, where it was changed at this moment
}
