// Package exchange owns logins that an app's own page leads through step by
// step, without cookies: the verification flow.
//
// An app asks for a request id ([Service.Generate]), shows the methods that may
// be used ([Service.Methods]), starts one ([Service.Initiate]), sends what the
// user has typed ([Service.Verify]) and sends the browser to finish
// ([Service.Finish]), which leads it back to the app with a code. A user with a
// second factor needs one more round before that; where a recovery code stood
// in for it, an enrolment ([Service.Enrol], [Service.Confirm]).
//
// What proves something is compared by the rules of passwords, factors and
// mailed codes; package login decides whether it is enough. This package keeps
// the stages, so that no step is skipped, repeated or crossed:
//
//	request -> attempt (exchange id) -> proven (next exchange id, status id) -> code
//
// Each id is 128 random bits of which only a digest is a key, and what is kept
// under it is sealed. It is bound to its purpose, method, user, app and
// request. An exchange id is good for one proof, five tries and five minutes; a
// status id for one finish; a request for one code. Whoever shows one that is
// used, or beside what it does not belong to, ends the login that it is of
//
//
// Before anything is proven nobody learns who has an account: everybody is
// shown the same methods, and a proof for nobody is as wrong as a wrong one.
package exchange

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/mailcode"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

const (
	// RequestLife is how long a login may take, from its request id on.
	RequestLife = 30 * time.Minute
	// Life of an exchange id, and of the status id that goes with it.
	Life = 5 * time.Minute
	// TrackLife is how long a login may wait for its next proof.
	TrackLife = 10 * time.Minute
	// remembered is how long an id that has ended is still known as such.
	remembered = 5 * time.Minute
	// tries of one exchange id. The guard counts beside it, by user.
	tries = 5
	// people is how many users one request may name.
	people = 10
)

// Method is how somebody proves who they are, as the contract writes it.
type Method string

// The methods.
const (
	TOTP       Method = "TOTP"
	SMS        Method = "SMS"
	Email      Method = "EMAIL"
	Password   Method = "PASSWORD"
	BackupCode Method = "BACKUPCODE" // our recovery codes
)

// Usage is what a proof is for.
type Usage string

// The usages. The first two begin a login, the third goes on with one.
const (
	Initial      Usage = "INITIAL_AUTHENTICATION"
	Passwordless Usage = "PASSWORDLESS_AUTHENTICATION"
	MultiFactor  Usage = "MULTIFACTOR_AUTHENTICATION"
)

// What may go wrong, as the app reads it.
var (
	ErrRequest = fault.New(fault.Malformed, "request_id_not_valid", "the request id is unknown, too old or used, or its app is gone; ask for a new one")
	ErrPeople  = fault.New(fault.Malformed, "request_id_spent", "this request id has named too many users; ask for a new one")
	ErrSub     = fault.New(fault.Malformed, "sub_not_valid", "sub or medium_id is none that this request id was given; list the methods, or name the user by email")
	ErrUsage   = fault.New(fault.Malformed, "usage_type_not_valid", "usage_type must be INITIAL_AUTHENTICATION, PASSWORDLESS_AUTHENTICATION or MULTIFACTOR_AUTHENTICATION")
	ErrMethod  = fault.New(fault.Malformed, "method_unknown", "the method must be TOTP, SMS, EMAIL, PASSWORD or BACKUPCODE")
	// ErrInactive answers for methods that this login may not use now.
	ErrInactive = fault.New(fault.Malformed, "method_not_active", "this method cannot be used here: the app does not allow it, the organization has no sign-in by a code alone, or the user has not set it up")
	ErrFirst    = fault.New(fault.Malformed, "first_factor_missing", "a second factor follows a first one: begin with INITIAL_AUTHENTICATION")
	ErrExchange = fault.New(fault.Malformed, "exchange_id_not_valid", "the exchange id is unknown, used, or belongs to something else; start the method again")
	ErrExpired  = fault.New(fault.Malformed, "exchange_id_expired", "the exchange id is too old; start the method again")
	ErrStatus   = fault.New(fault.Malformed, "status_id_not_valid", "the status id is unknown, used, not proven yet, or belongs to something else; start the method again")
	ErrTrack    = fault.New(fault.Malformed, "track_id_not_valid", "the track id is unknown, used, too old, or belongs to something else; begin the login again")
	ErrNoCode   = fault.New(fault.Malformed, "code_missing", "send the code in pass_code, or the password in password")
	ErrCode     = fault.New(fault.Malformed, "code_not_valid", "the code or password is wrong, was used, or comes after too many wrong ones: then wait before the next try")
	ErrPassword = fault.New(fault.Malformed, "password_must_change", "the password is right, and is too old or was revoked: set another one, then sign in again")
	ErrFresh    = fault.New(fault.Forbidden, "reauthentication_required", "factors are changed within five minutes of a sign-in with all that the user has; sign in again")
	ErrSetUp    = fault.New(fault.NotFound, "not_configured", "the user has not set up that method")
)

// Store keeps all that is short-lived. Losing it is safe: the user begins again.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
	Allow(ctx context.Context, key string, rate ephemeral.Rate) (ephemeral.Allowance, error)
	Delete(ctx context.Context, key string) (bool, error)
}

// Sealer keeps it from whoever reads the store; seal.Keyring implements it.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Connections are the policies of organizations about second factors.
type Connections interface {
	Connection(ctx context.Context, t tenant.ID) (tenant.Connection, error)
}

// Users find users.
type Users interface {
	Find(ctx context.Context, t tenant.ID, key string) (user.User, error)
}

// Passwords check passwords.
type Passwords interface {
	Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, source netip.Addr) (password.Verdict, error)
}

// Factors check and enrol second factors.
type Factors interface {
	Find(ctx context.Context, t tenant.ID, text string) (factor.Standing, error)
	ReadCode(ctx context.Context, source netip.Addr, text secret.Text) (factor.Code, error)
	Validate(ctx context.Context, w factor.Whose, code factor.Code) (factor.Checked, error)
	Challenge(ctx context.Context, w factor.Whose) (factor.Issued, error)
	Enrol(ctx context.Context, w factor.Whose, e factor.Enrolment) (factor.Issued, error)
	ConfirmEnrolment(ctx context.Context, w factor.Whose, code factor.Code) (factor.Confirmed, error)
	Remove(ctx context.Context, w factor.Whose, factorID string) (factor.Factor, error)
	Rename(ctx context.Context, w factor.Whose, factorID, name string) (factor.Factor, error)
}

// Mails send codes by e-mail and check them.
type Mails interface {
	Send(ctx context.Context, w mailcode.Whose) error
	Check(ctx context.Context, w mailcode.Whose, typed secret.Text) (mailcode.Checked, error)
}

// Logins decide whether what was proven is enough.
type Logins interface {
	Complete(ctx context.Context, l login.Login) (login.Completed, error)
	Continue(ctx context.Context, requestID string, t tenant.ID, userID, clientID string, proofs ...string) (login.Completed, bool, error)
	Recovered(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error)
	Reenrolled(ctx context.Context, requestID string, t tenant.ID, userID, clientID, proof string) (login.Completed, bool, error)
	Current(ctx context.Context, l login.Login) error
}

// Grants make codes.
type Grants interface {
	Begin(ctx context.Context, n grant.New) (grant.Grant, secret.Text, error)
	Revoke(ctx context.Context, t tenant.ID, grantID string) error
}

// Live tells whether the login of an access token is still good.
type Live interface {
	Live(ctx context.Context, grantID string) (grant.Session, error)
}

// Breaker tells whether signing in by a code alone is paused.
type Breaker interface {
	Sprayed(ctx context.Context, t tenant.ID) error
}

// Notices tell users what happened to their accounts.
type Notices interface {
	Tell(ctx context.Context, a notice.About, kind, typ string) error
}

// Service is the rules of the verification flow.
type Service struct {
	Store         Store
	Keys          Sealer
	Index         Index
	Apps          flow.Apps
	Organizations flow.Organizations
	Connections   Connections
	Users         Users
	Passwords     Passwords
	Resets        Resets
	Factors       Factors
	Mails         Mails
	Logins        Logins
	Grants        Grants
	Live          Live
	Breaker       Breaker
	Notices       Notices
	BaseURL       string // the issuer
	// Level is how long starting a message takes at least, so that the time
	// tells nobody whether there was anybody to send it to. Zero levels nothing.
	Level time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// From is where a call comes from.
type From struct {
	Source  netip.Addr
	TraceID string
}

func (f From) by() activity.By { return activity.By{Actor: activity.User, TraceID: f.TraceID} }
