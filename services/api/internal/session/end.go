package session

import (
	"context"
	"slices"
	"strconv"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// List returns a user's sessions, the last used first. Nothing in it is a
// credential.
func (s *Service) List(ctx context.Context, t tenant.ID, userID string) ([]Session, error) {
	return s.Store.Sessions(ctx, t, userID, s.Now(), Idle)
}

// End ends a session and the grants that came of it, but those with
// offline_access. One that is not there has ended.
func (s *Service) End(ctx context.Context, t tenant.ID, sessionID string, c Cause) error {
	err := s.Store.EndSession(ctx, t, sessionID, s.ending(t, c))
	if err == nil {
		s.Relay.Wake()
	}
	return err
}

// EndOf is End for a session that has to be the user's. It returns the session
// as it was, or ErrNotFound.
func (s *Service) EndOf(ctx context.Context, w Whose, sessionID string, c Cause) (Session, error) {
	all, err := s.List(ctx, w.Tenant, w.UserID)
	if err != nil {
		return Session{}, err
	}
	i := slices.IndexFunc(all, func(of Session) bool { return of.ID == sessionID })
	if i < 0 {
		return Session{}, ErrNotFound
	}
	return all[i], s.End(ctx, w.Tenant, sessionID, c)
}

// EndUser is End for all sessions of a user but the one named, which may be
// none.
func (s *Service) EndUser(ctx context.Context, w Whose, except string, c Cause) error {
	err := s.Store.EndUserSessions(ctx, w, except, s.ending(w.Tenant, c))
	if err == nil {
		s.Relay.Wake()
	}
	return err
}

// EndAll is End for the sessions of all users that have begun by now, and
// returns how many there were. After an error some have ended: it goes on where
// it stopped when it is called again.
func (s *Service) EndAll(ctx context.Context, t tenant.ID, by activity.By) (all int, err error) {
	now := s.Now()
	told := func(ended int) outbox.Entry {
		return s.Outbox.Event(activity.Record{
			Tenant: t, Action: event.TypeSessionsEnded, By: by, Data: map[string]string{"count": strconv.Itoa(ended)},
		})
	}
	for more := true; more; {
		var ended int
		if ended, more, err = s.Store.EndTenantSessions(ctx, t, now, told); err != nil {
			return all, err
		}
		all += ended
		s.Relay.Wake()
	}
	return all, nil
}

// ending is what is recorded of each session that ends.
func (s *Service) ending(t tenant.ID, c Cause) Ending {
	return Ending{At: s.Now().Truncate(time.Millisecond), Told: func(of Ended) outbox.Entry {
		return s.Outbox.Event(activity.Record{
			Tenant: t, Action: event.TypeSessionEnded, By: c.By, UserID: of.UserID, Data: map[string]string{"session": of.ID, "why": c.Why},
		})
	}}
}
