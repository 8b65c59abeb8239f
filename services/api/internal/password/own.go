package password

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/tenant"
)

// Chosen is what our own page for a new password shows. It opens nothing, but
// its address is whole: whoever sees it has followed a link that was sent there.
type Chosen struct {
	Org     tenant.Organization
	Address string
	First   bool // there was no password before, as far as the link knows
	Hint    Hint
}

// pageClient stands for the app where a link was asked for none: who sets a
// password on our page is no API key, and is signed in by it nowhere.
const pageClient = "page"

// Look tells about a live code that a link to our own page has become, and
// leaves it as it is. It returns ErrCode.
func (s *Service) Look(ctx context.Context, code secret.Text) (Chosen, error) {
	found, org, err := s.Store.AnyPasswordCode(ctx, link.Digest(code), s.Now())
	if err != nil {
		return Chosen{}, err
	}
	hint, err := s.Hint(ctx, found.Tenant, org, found.Email.Written)
	return Chosen{Org: org, Address: found.Email.Written, First: found.Purpose == link.Create, Hint: hint}, err
}

// SetHere sets a password on our own page, with nothing but its code. It
// returns what Set returns.
func (s *Service) SetHere(ctx context.Context, code, plain secret.Text, by activity.By) error {
	found, org, err := s.Store.AnyPasswordCode(ctx, link.Digest(code), s.Now())
	if err != nil {
		return err
	}
	_, err = s.Set(ctx, link.Caller{App: pageClient, Tenant: found.Tenant, Org: org, By: by}, Set{Code: code, Plain: plain})
	return err
}
