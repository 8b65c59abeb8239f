package factor

import (
	"context"

	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Enrolled reports whether the user has a second factor that can be asked
// for: a login then needs it, whichever way it began.
func (s *Service) Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error) {
	standing, err := s.Store.Standing(ctx, t, user.Key{ID: userID})
	return err == nil && standing.Connection.Active && standing.SMS.ID != "", err
}
