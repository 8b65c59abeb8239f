package exchange

import (
	"context"
	"errors"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
)

var errSketch = errors.New("not there yet")

// Generate checks what an app asks and returns a request id.
func (s *Service) Generate(ctx context.Context, in Asked) (requestID secret.Text, v View, err error) {
	return secret.Text{}, View{}, errSketch
}

// Look tells what a request is. It returns ErrRequest.
func (s *Service) Look(ctx context.Context, requestID secret.Text) (View, error) {
	return View{}, errSketch
}

// Methods lists what the user may use now.
func (s *Service) Methods(ctx context.Context, requestID secret.Text, who Who) ([]Configured, error) {
	return nil, errSketch
}

// Initiate starts a method.
func (s *Service) Initiate(ctx context.Context, from From, in Initiation) (Step, error) {
	return Step{}, errSketch
}

// Verify takes a proof.
func (s *Service) Verify(ctx context.Context, from From, v Verification) (Step, error) {
	return Step{}, errSketch
}

// Cancel ends an exchange id, of a login or an enrolment, with what it is for.
func (s *Service) Cancel(ctx context.Context, m Method, exchangeID secret.Text) error {
	return errSketch
}

// Finish returns where the browser goes: to the app, with a code, or with what
// the login still needs.
func (s *Service) Finish(ctx context.Context, from From, f Finish) (redirect secret.Text, err error) {
	return secret.Text{}, errSketch
}

// Login is a password in one step, and then as Finish.
func (s *Service) Login(ctx context.Context, from From, l Login) (redirect secret.Text, err error) {
	return secret.Text{}, errSketch
}

// Precheck tells where a login stands, or returns ErrTrack.
func (s *Service) Precheck(ctx context.Context, trackID secret.Text) (Precheck, error) {
	return Precheck{}, errSketch
}

// Continue is Finish for a login that has waited. RequestID is compared where
// it is sent.
func (s *Service) Continue(ctx context.Context, from From, trackID, requestID secret.Text) (redirect secret.Text, err error) {
	return secret.Text{}, errSketch
}

// Enrol starts an enrolment of the user of an access token.
func (s *Service) Enrol(ctx context.Context, from From, of grant.Session, in Enrolment) (Enrolling, error) {
	return Enrolling{}, errSketch
}

// EnrolInLogin starts an enrolment that a login waits for.
func (s *Service) EnrolInLogin(ctx context.Context, from From, trackID secret.Text, in Enrolment) (Enrolling, error) {
	return Enrolling{}, errSketch
}

// Confirm takes the first code of an enrolment.
func (s *Service) Confirm(ctx context.Context, from From, v Verification) (Enrolled, error) {
	return Enrolled{}, errSketch
}

// Status reports whether what a status id stands for is proven, and for which
// method, or returns ErrStatus.
func (s *Service) Status(ctx context.Context, statusID secret.Text) (done bool, m Method, err error) {
	return false, "", errSketch
}

// Own lists what the user of an access token has set up.
func (s *Service) Own(ctx context.Context, of grant.Session) ([]Own, error) { return nil, errSketch }

// Remove removes what a user has set up of a method, and of one medium where
// one is named. It returns ErrFresh and ErrSetUp.
func (s *Service) Remove(ctx context.Context, from From, of grant.Session, m Method, medium string) error {
	return errSketch
}

// Rename gives a medium a name, of the user of an access token.
func (s *Service) Rename(ctx context.Context, from From, of grant.Session, m Method, medium, name string) (string, error) {
	return "", errSketch
}
