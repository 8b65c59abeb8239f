package password

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/link"
)

// Draft is a password that somebody is typing, and what the caller says about
// who that is.
type Draft struct {
	Plain secret.Text
	Email string
	Names []string
}

// Strength judges a draft as Set would, but for what that has to ask: whether
// it has leaked, and whether it is the one before. Nothing is hashed, kept or
// counted, and no user is read: the answer depends on the call and the
// organization alone. It returns ErrMalformed or ErrNoConnection.
func (s *Service) Strength(ctx context.Context, c link.Caller, d Draft) (Assessment, error) {
	if err := CheckSize(d.Plain); err != nil {
		return Assessment{}, err
	}
	connection, err := s.Store.PasswordConnection(ctx, c.Tenant)
	if err != nil {
		return Assessment{}, err
	}
	return connection.policy().Assess(d.Plain, Known{Email: d.Email, Names: d.Names, Org: c.Org, Host: s.Host}, s.Blocklist)
}
