package flow

import (
	"context"

	"countersign.dev/pkg/secret"
)

// Turn goes to another step that the page offers (View.Others), or back from
// it. It changes nothing where the flow is at neither.
func (s *Service) Turn(ctx context.Context, flow secret.Text, b Browser, to Step) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Address takes the address of StepAddress.
func (s *Service) Address(ctx context.Context, flow secret.Text, b Browser, email string) (Outcome, error) {
	return Outcome{}, ErrOver
}

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

// Recover takes a recovery code in place of the second factor. What follows is
// an enrolment.
func (s *Service) Recover(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Enrol begins the enrolment of a factor: of an authenticator app, or of the
// phone with a number, to which a code is sent.
func (s *Service) Enrol(ctx context.Context, flow secret.Text, b Browser, method, number string) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Confirm takes the first code of the enrolment.
func (s *Service) Confirm(ctx context.Context, flow secret.Text, b Browser, typed secret.Text) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Saved goes on from the recovery codes, which nobody shows again.
func (s *Service) Saved(ctx context.Context, flow secret.Text, b Browser, saved bool) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Renew sets another password in place of one that was right and must change.
func (s *Service) Renew(ctx context.Context, flow secret.Text, b Browser, plain secret.Text) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Consent says whether the app may have what it asks for.
func (s *Service) Consent(ctx context.Context, flow secret.Text, b Browser, given bool) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Again leads the browser of a finished flow to the app once more, with a new
// code for the same request, if it is still signed in.
func (s *Service) Again(ctx context.Context, flow secret.Text, b Browser) (Outcome, error) {
	return Outcome{}, ErrOver
}

// Own begins a sign-in to the account page of a realm, with all that the user
// has. Whoever is signed in there already proves it anew.
func (s *Service) Own(ctx context.Context, realm string, b Browser) (Outcome, error) {
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
