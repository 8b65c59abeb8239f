package factor

import (
	"context"
	"slices"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// What somebody with the scope for it does to the factors of a user. The user
// is told of each but a new name.

// Of returns one factor of the user, or ErrNotFound.
func (w Whose) Of(factorID string) (Factor, error) {
	i := slices.IndexFunc(w.Factors, func(f Factor) bool { return f.ID == factorID })
	if i < 0 {
		return Factor{}, ErrNotFound
	}
	return w.Factors[i], nil
}

// Rename gives a factor another name. It returns ErrNotFound, or a fault of
// kind Invalid.
func (s *Service) Rename(ctx context.Context, w Whose, factorID, name string) (Factor, error) {
	f, err := w.Of(factorID)
	if err != nil {
		return Factor{}, err
	}
	if f.Name, err = tenant.CleanName("name", name); err != nil {
		return Factor{}, err
	}
	err = s.Store.Rename(ctx, w.Tenant, w.User.ID, f.ID, f.Name, []outbox.Entry{s.happened(w, event.TypeFactorRenamed, about(f))})
	return f, s.wake(err)
}

// Disable stops a factor for good. It goes on counting as one: a login still
// needs a second factor. It returns ErrNotFound.
func (s *Service) Disable(ctx context.Context, w Whose, factorID string) (Factor, error) {
	f, err := w.Of(factorID)
	if err != nil || !f.Takes() {
		return f, err // it is disabled already
	}
	told, err := s.toldChanged(ctx, w, event.TypeFactorDisabled, f)
	if err != nil {
		return Factor{}, err
	}
	f.DisabledAt, f.DisabledBy = s.Now(), ByAdministrator
	_, err = s.Store.Disable(ctx, Stop{Tenant: w.Tenant, UserID: w.User.ID, Factor: f.ID, By: f.DisabledBy, At: f.DisabledAt}, told)
	return f, s.wake(err)
}

// Remove takes a factor away. Who has no other logs in without one from then
// on. It returns ErrNotFound.
func (s *Service) Remove(ctx context.Context, w Whose, factorID string) (Factor, error) {
	f, err := w.Of(factorID)
	if err != nil {
		return Factor{}, err
	}
	told, err := s.toldChanged(ctx, w, event.TypeFactorRemoved, f)
	if err != nil {
		return Factor{}, err
	}
	return f, s.wake(s.Store.Remove(ctx, w.Tenant, w.User.ID, f.ID, told))
}

// Reset takes all factors and recovery codes away and ends all logins, for a
// user who has lost everything and whose identity somebody has verified.
func (s *Service) Reset(ctx context.Context, w Whose) error {
	mail, err := s.mail(ctx, w, event.TemplateNoticeFactorsReset, "")
	if err != nil {
		return err
	}
	told := []outbox.Entry{s.happened(w, event.TypeFactorsReset, nil), mail}
	return s.wake(s.Store.Reset(ctx, w.Tenant, w.User.ID, told, s.Now()))
}

func (s *Service) wake(err error) error {
	if err == nil {
		s.Notices.Relay.Wake()
	}
	return err
}

func (s *Service) toldChanged(ctx context.Context, w Whose, action string, f Factor) ([]outbox.Entry, error) {
	mail, err := s.mail(ctx, w, event.TemplateNoticeFactorChanged, f.Method)
	return []outbox.Entry{s.happened(w, action, about(f)), mail}, err
}

func about(f Factor) map[string]string {
	return map[string]string{"method": f.Method, "factor": f.ID}
}
