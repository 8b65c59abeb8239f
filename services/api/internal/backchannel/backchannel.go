// Package backchannel tells apps that a session has ended (OpenID Connect
// Back-Channel Logout 1.0).
//
// Whatever ends a session writes a notice for each app that was granted
// something in it, in the same transaction; nobody who signs out waits for an
// app. [Service.Run] takes notices one by one, each with a lease, signs a logout
// token for each try and posts it. An app that does not answer is told again,
// for a day. It may be told twice and is never left out: a process that dies
// between the answer and its note leaves the notice to the next one.
//
// An app that lets us wait has one place at a time, however much it has still to
// be told, and those that have failed share half of the places: the other apps
// hear in time beside any number of them.
package backchannel

import (
	"context"
	"fmt"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

const (
	// Lasts is how long an app is told, from the end of the session.
	Lasts = 24 * time.Hour
	// lease is how long a notice is one process's: longer than Within, so that
	// nobody tells an app that is just being told.
	lease = 30 * time.Second
	// every is how often somebody looks for notices.
	every = time.Second
	// atOnce is how many apps are told at the same time, and slowAtOnce how many
	// of them may have failed before.
	atOnce     = 8
	slowAtOnce = atOnce / 2
)

// waits are how long an app is left alone after each failure; the last one
// stays.
var waits = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}

// Notice is what an app has still to be told.
type Notice struct {
	Tenant    tenant.ID
	UserID    string
	SessionID string
	ClientID  string
	Tries     int // with the one that it was taken for
	EndedAt   time.Time
}

// Outcome is what became of a try.
type Outcome string

// The outcomes.
const (
	Told   Outcome = "told"
	Later  Outcome = "later"  // it is tried again
	Failed Outcome = "failed" // for a day: given up
)

// Outcomes are all of them.
func Outcomes() []Outcome { return []Outcome{Told, Later, Failed} }

// Store keeps notices.
type Store interface {
	// LogoutsDue reports whether ClaimLogout may find something. It only reads.
	LogoutsDue(ctx context.Context, at time.Time) (bool, error)
	// ClaimLogout takes a notice that is due, by one conditional statement, and
	// leaves it alone until until, as it leaves the app's others: an app that is
	// slow or down takes one turn of many, however much it has still to be told.
	// Unless slow, it leaves out every app that has failed and was not reached
	// since. It is not ok when there is none.
	ClaimLogout(ctx context.Context, at, until time.Time, slow bool) (n Notice, ok bool, err error)
	// RetryLogout says when a notice is due again, unless somebody else has
	// taken it meanwhile.
	RetryLogout(ctx context.Context, n Notice, due time.Time) error
	// EndLogout forgets a notice.
	EndLogout(ctx context.Context, n Notice) error
	// AppByID returns app.ErrNotFound.
	AppByID(ctx context.Context, clientID string) (app.App, error)
}

// Tokens sign logout tokens.
type Tokens interface {
	IssueLogout(ctx context.Context, l token.Logout) (secret.Text, error)
}

// Poster hands logout tokens to apps.
type Poster interface {
	// Post returns why an app was not told. What it returns names no address
	// beyond the app's own host.
	Post(ctx context.Context, to Target, logoutToken secret.Text) error
}

// Target is where an app listens.
type Target struct {
	URI string
	// Near says that it may be this machine or a private network: see
	// Service.Near.
	Near bool
}

// Service tells apps.
type Service struct {
	Store  Store
	Tokens Tokens
	Poster Poster
	// Near lets apps of the sandbox listen on this machine and in private
	// networks. That is for a machine on which apps are made: anywhere else it
	// would let whoever may register an app post into the operator's network.
	Near bool
	Now  func() time.Time
	// Observe hears of each try; why is nil for Told.
	Observe func(ctx context.Context, n Notice, o Outcome, why error)
}

func (s *Service) try(ctx context.Context, n Notice, a app.App) error {
	signed, err := s.Tokens.IssueLogout(ctx, token.Logout{App: a, UserID: n.UserID, SessionID: n.SessionID})
	if err != nil {
		return fmt.Errorf("sign logout token: %w", err)
	}
	return s.Poster.Post(ctx, Target{URI: a.BackchannelURI, Near: s.Near && a.Tenant.Env == tenant.Sandbox}, signed)
}
