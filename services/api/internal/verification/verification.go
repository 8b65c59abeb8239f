// Package verification owns the paths of the verification flow: logins and
// enrolments that an app's own page leads through step by step, without
// cookies, as the contract's second vendor has them.
//
// It is HTTP alone: it reads what the contract's clients send in their several
// ways, calls package exchange, and answers in the envelope that these clients
// know. The stages, and who may do what, are that package's.
//
// Each operation is one handler under all its paths: those of the vendor's
// newest clients and those of older ones. What a client sends as the text
// "undefined" or "null" it did not send (given.go). Every error is JSON with a
// code of the contract (faults.go), and all but those of the forms, which a
// browser sends by itself, can be read by pages of the app's origins.
package verification

import (
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/grant"
)

// Flows are the rules; exchange.Service implements them.
type Flows interface {
	Logins
	Enrolments
}

// Logins are the rules of logins.
type Logins interface {
	Generate(ctx context.Context, in exchange.Asked) (requestID secret.Text, v exchange.View, err error)
	Look(ctx context.Context, requestID secret.Text) (exchange.View, error)
	Methods(ctx context.Context, requestID secret.Text, who exchange.Who) ([]exchange.Configured, error)
	Initiate(ctx context.Context, from exchange.From, in exchange.Initiation) (exchange.Step, error)
	Verify(ctx context.Context, from exchange.From, v exchange.Verification) (exchange.Step, error)
	Cancel(ctx context.Context, m exchange.Method, exchangeID secret.Text) error
	Finish(ctx context.Context, from exchange.From, f exchange.Finish) (redirect secret.Text, err error)
	Login(ctx context.Context, from exchange.From, l exchange.Login) (redirect secret.Text, err error)
	Precheck(ctx context.Context, trackID secret.Text) (exchange.Precheck, error)
	Continue(ctx context.Context, from exchange.From, trackID, requestID secret.Text) (redirect secret.Text, err error)
}

// Enrolments are the rules of what users set up.
type Enrolments interface {
	Enrol(ctx context.Context, from exchange.From, of grant.Session, in exchange.Enrolment) (exchange.Enrolling, error)
	EnrolInLogin(ctx context.Context, from exchange.From, trackID secret.Text, in exchange.Enrolment) (exchange.Enrolling, error)
	Confirm(ctx context.Context, from exchange.From, v exchange.Verification) (exchange.Enrolled, error)
	Status(ctx context.Context, statusID secret.Text) (done bool, m exchange.Method, err error)
	Own(ctx context.Context, of grant.Session) ([]exchange.Own, error)
	Remove(ctx context.Context, from exchange.From, of grant.Session, m exchange.Method, medium string) error
	Rename(ctx context.Context, from exchange.From, of grant.Session, m exchange.Method, medium, name string) (string, error)
}

// Apps finds apps.
type Apps interface {
	// AppByID finds an app of any tenant, or returns app.ErrNotFound.
	AppByID(ctx context.Context, clientID string) (app.App, error)
}

// API holds what the handlers call.
type API struct {
	Flows  Flows
	Resets Resets
	Apps   Apps
}
