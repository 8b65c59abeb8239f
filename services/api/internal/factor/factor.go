// Package factor owns second factors: who has which, how one is enrolled, what
// is accepted as a proof of it, and what becomes of it. A factor is an
// authenticator app or a phone that receives text messages; recovery codes
// stand in for both, once each.
//
// It is called by the edges. Codes that are sent are the challenge rules'
// business, comparing is the guard's. An enrolled factor stays in force until
// the new one is confirmed.
package factor

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/totp"
	"countersign.dev/services/api/internal/user"
)

// Methods of factors, and Recovery for the codes that stand in for them.
const (
	SMS      = "sms"
	App      = "totp"
	Recovery = "recovery"
)

// Factor is a second factor of a user.
type Factor struct {
	ID     string
	Tenant tenant.ID
	UserID string
	Method string
	Name   string // what the user calls it; may be empty
	Phone  string // of SMS, E.164; sealed at rest
	Key    totp.Key
	// LastStep is the last time step of an app that was accepted, Drift how
	// far its clock was from ours then, in steps.
	LastStep int64
	Drift    int
	Mode     Mode
	// CreatedAt is when the enrolment was started, ExpiresAt when one that
	// waits for its first code dies.
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ConfirmedAt time.Time // zero while it waits
	UsedAt      time.Time
	DisabledAt  time.Time // zero while it takes codes
	DisabledBy  string
}

// Why a factor takes no codes any more.
const (
	ByGuesses       = "guesses"       // too many wrong ones in a row
	ByRecovery      = "recovery"      // a recovery code stood in for it
	ByAdministrator = "administrator" // somebody with the scope disabled it
)

// Waiting reports whether the factor waits for its first code.
func (f Factor) Waiting() bool { return f.ConfirmedAt.IsZero() }

// Takes reports whether the factor takes codes.
func (f Factor) Takes() bool { return !f.Waiting() && f.DisabledAt.IsZero() }

// What may go wrong, as the caller reads it.
var (
	ErrInactive    = fault.New(fault.NotFound, "not_found", "the TOTP connection of this organization is not active; activate it with PUT totp-connection active=true")
	ErrNotEnrolled = fault.New(fault.NotFound, "not_found", "the user has no second factor; enrol the user first")
	ErrNoPhone     = fault.New(fault.NotFound, "not_found", "the user has no phone enrolled; an authenticator app makes its codes itself: validate one")
	ErrNoWaiting   = fault.New(fault.NotFound, "not_found", "no enrolment is waiting for a code; start one first")
	ErrNotFound    = fault.New(fault.NotFound, "not_found", "not_found")
	ErrEnrolled    = fault.New(fault.Conflict, "already_enrolled", "the user has a second factor already; name another device with device_name, or replace all of them with force_enroll=true")
	ErrReenrol     = fault.New(fault.Forbidden, "reenrolment_required", "a recovery code was used: nothing but an enrolment is open to the user until a new factor is confirmed")
)

// Standing is what every call about a user's second factors begins with. It is
// read at every call, so that a change of any of it counts at the next one.
type Standing struct {
	User       user.User
	Connection tenant.Connection
	Factors    []Factor // confirmed ones, the oldest first
	Waiting    Factor   // its ID is empty when none waits
	Recovery   Set
}

// Phone is the user's phone, if there is one; its ID is empty otherwise.
func (s Standing) Phone() Factor {
	if i := slices.IndexFunc(s.Factors, func(f Factor) bool { return f.Method == SMS }); i >= 0 {
		return s.Factors[i]
	}
	return Factor{}
}

// Enrolled reports whether a login needs a second factor. One that is disabled
// counts: wrong codes must not open what they could not.
func (s Standing) Enrolled() bool { return len(s.Factors) > 0 || s.Recovery.Obliged }

// Store keeps factors.
type Store interface {
	// Standing reads a user with policy, factors and recovery codes in one
	// statement. It returns user.ErrNotFound for others' users too.
	Standing(ctx context.Context, t tenant.ID, key user.Key) (Standing, error)
	// PutWaiting stores f as the user's only factor that waits, with the
	// entries. Where all of a user's factors are disabled a reset also gives
	// back the guesses, without which it could not be confirmed.
	PutWaiting(ctx context.Context, f Factor, told []outbox.Entry) error
	// Confirm makes the waiting factor one that takes codes, with all that
	// follows from it, in one transaction. ErrNoWaiting when it waits no more:
	// exactly one of many parallel calls succeeds.
	Confirm(ctx context.Context, c Confirmation) error
	// AcceptStep uses up a time step of an app and clears the user's guesses,
	// in one transaction with the entries. It reports false when the step or a
	// later one was used before, or the app takes no codes any more.
	AcceptStep(ctx context.Context, a Accepted, told []outbox.Entry) (bool, error)
	// UseRecoveryCode uses up one code of a set, by one conditional statement,
	// disables the user's factors and obliges the user to enrol anew, in one
	// transaction with the entries. It reports false when the code or the set
	// is used, or when the last one was used less than RecoveryGap ago.
	UseRecoveryCode(ctx context.Context, u Use, told []outbox.Entry) (bool, error)
	// Disable stops factors of a user that take codes and writes the entries
	// with it. It reports false when there was nothing to stop.
	Disable(ctx context.Context, s Stop, told []outbox.Entry) (bool, error)
	// Rename returns ErrNotFound.
	Rename(ctx context.Context, t tenant.ID, userID, factorID, name string, told []outbox.Entry) error
	// Remove returns ErrNotFound.
	Remove(ctx context.Context, t tenant.ID, userID, factorID string, told []outbox.Entry) error
	// Reset removes all factors, what waits included, voids the recovery codes
	// and ends all logins.
	Reset(ctx context.Context, t tenant.ID, userID string, told []outbox.Entry, now time.Time) error
}

// Stop disables factors of a user: one or, without an id, all.
type Stop struct {
	Tenant tenant.ID
	UserID string
	Factor string
	By     string // one of the reasons
	At     time.Time
}

// Gate is the ephemeral store, as the front gate of recovery codes.
type Gate interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// Hasher hashes recovery codes.
type Hasher interface {
	// HashSet hashes codes with one salt, in the turn of the caller. It says
	// how, and returns a tag of each.
	HashSet(codes []RecoveryCode) (made string, tags [][]byte, err error)
}

// Service is the rules of second factors.
type Service struct {
	Store      Store
	Challenges *challenge.Service
	Guard      *guard.Guard
	Gate       Gate
	Hasher     Hasher
	Notices    *notice.Service
	Now        func() time.Time
	// Drifted hears how far the clock of an app was from ours when a code of
	// it was accepted, in steps; nil hears nothing.
	Drifted func(steps int)
}

// Whose is the user a call is about, with what the rules need of the caller.
type Whose struct {
	Tenant tenant.ID
	Org    tenant.Organization
	Standing
	// MaySeeCodes says that the caller carries the scope codes:read, MayReset
	// that it carries factors:reset.
	MaySeeCodes bool
	MayReset    bool
	// Page says that the person is on a page of ours: we send the code, since
	// there is no caller that could.
	Page bool
	// Source is the person's address, where the caller tells it.
	Source netip.Addr
	By     activity.By
}

func (w Whose) subject() guard.Subject {
	return guard.Subject{Tenant: w.Tenant, UserID: w.User.ID, Class: guard.SecondFactor}
}

func (w Whose) try(purpose string) guard.Try {
	return guard.Try{Subject: w.subject(), By: w.By, Purpose: purpose}
}

// Find reads a user by id or by e-mail address, as calls about factors need it.
func (s *Service) Find(ctx context.Context, t tenant.ID, text string) (Standing, error) {
	key, err := user.ParseKey(text)
	if err != nil {
		return Standing{}, err
	}
	return s.Store.Standing(ctx, t, key)
}

// Enrolled reports whether the user has a second factor that a login needs,
// whichever way it began.
func (s *Service) Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error) {
	standing, err := s.Store.Standing(ctx, t, user.Key{ID: userID})
	return err == nil && standing.Connection.Active && standing.Enrolled(), err
}

// Purposes of codes.
const (
	purposeLogin  = "login"
	purposeEnroll = "enroll"
)

// open checks what every call about factors needs: an active connection and
// an active user.
func (w Whose) open() error {
	if !w.Connection.Active {
		return ErrInactive
	}
	if !w.User.Active {
		return user.ErrInactive
	}
	return nil
}

// enrolled is open for calls that need a factor, and for which a used recovery
// code leaves no room.
func (w Whose) enrolled() error {
	if err := w.open(); err != nil {
		return err
	}
	if w.Recovery.Obliged {
		return ErrReenrol
	}
	if len(w.Factors) == 0 {
		return ErrNotEnrolled
	}
	return nil
}
