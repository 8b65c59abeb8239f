package flow

import (
	"context"

	"countersign.dev/pkg/secret"
)

// Link sends a link to sign in with to an address, from StepLink.
func (s *Service) Link(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Shown takes the code that another browser has shown where the link was
// opened, at StepLinkSent.
func (s *Service) Shown(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Forgot sends a link to set another password with to an address.
func (s *Service) Forgot(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Begun is what may be said of a flow in another browser than its own.
type Begun struct {
	Here    bool   // it is this browser's
	App     string // name; empty for the account page
	Network string // masked
	Device  string // what its browser calls itself, cut short and made harmless
}

// Begun tells about a flow by its key (see Key).
func (s *Service) Begun(ctx context.Context, key string, b Browser) (Begun, error) {
	return Begun{}, ErrOver
}

// Followed goes on with the flow that a link belongs to, whose user has just
// opened it. In the browser of the flow the address is proven. In another one a
// code is made for the flow's own browser, which is returned to be shown, and
// nobody is signed in.
func (s *Service) Followed(ctx context.Context, key, userID string, b Browser) (out Outcome, code secret.Text, err error) {
	return Outcome{}, secret.Text{}, ErrOver
}

// linkable reports whether people can sign in by a link.
func (s *Service) linkable(ctx context.Context, h at) (bool, error) {
	return false, nil
}
