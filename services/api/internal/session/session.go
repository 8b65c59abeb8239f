// Package session owns the sessions of browsers: who has proven what in which
// browser, and for how long that is believed.
//
// A session belongs to one user of one organization's environment. The browser
// holds 256 random bits of it, stored as SHA-256 alone and replaced after each
// proof, so that what somebody planted or saw before is worth nothing after.
// One cookie holds the sessions of all environments that a browser is signed
// in to (see [Set]).
package session

import (
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// How long a session lives (NIST SP 800-63B-4 2.2.3).
const (
	Idle     = time.Hour
	Absolute = 24 * time.Hour
	// Fresh is how long ago the last sign-in may be for changes of what somebody
	// proves with.
	Fresh = 5 * time.Minute
)

// Session is a session that is good at this moment.
type Session struct {
	ID     string // the sid of tokens, and no secret
	Tenant tenant.ID
	Org    string // domain of the organization
	User   user.User
	// Digest is the SHA-256 of what the browser had when it was found: a
	// session that somebody else has raised meanwhile is not raised again.
	Digest   []byte
	AMR      []string // what was proven, as package grant names it
	ACR      string
	AuthTime time.Time // of the last sign-in from the start
	// Source is the masked address that it began at.
	Source    string
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}

// Why sessions end, as their records say. Who ended one is the record's actor.
const (
	SignedOut  = "signed_out" // in their own browser
	Closed     = "closed"     // from elsewhere: on the account page, or by an administrator
	Replaced   = "replaced"   // by another sign-in in the same browser
	Unfinished = "unfinished" // the sign-in that it began with came to nothing
)

// Cause is why a session ends and who ends it.
type Cause struct {
	Why string
	activity.By
}

// What may go wrong.
var (
	// ErrNotFound answers where the user has no such session.
	ErrNotFound = fault.New(fault.NotFound, "session_not_found", "the user has no such session, or it has ended; list the sessions of the user to see which there are")
	// ErrNone answers for every session that is not good, without saying why.
	ErrNone = fault.New(fault.Unauthorized, "not_signed_in", "this browser is not signed in here, or was not used for too long; sign in again")
	// ErrReauth answers where a proof is too old, or of too little, for a
	// change of what somebody proves with.
	ErrReauth = fault.New(fault.Forbidden, "reauth_required", "sign in again, with all that you have, within the last five minutes")
)
