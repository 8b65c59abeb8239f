package session

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// Store keeps sessions. What is not good is ErrNone everywhere: idle for too
// long, past its end, of a user who is gone or deactivated, or of an
// organization that is deleted.
type Store interface {
	// AddSession stores a session, or returns user.ErrNotFound when the user is
	// gone or deactivated, or the organization is gone. It fills User and Org.
	AddSession(ctx context.Context, s Session) (Session, error)
	// FindSession notes the use of the session of a token and returns it.
	FindSession(ctx context.Context, q Query) (Session, error)
	// RaiseSession gives a session another token and what was proven, if it
	// still has the token of old: exactly one of many parallel calls succeeds.
	RaiseSession(ctx context.Context, old []byte, s Session, idle time.Duration) (Session, error)
	// EndSession deletes a session, revokes the grants that came of it, but
	// those with offline_access, and writes the record. One that is not there is
	// none.
	EndSession(ctx context.Context, t tenant.ID, sessionID string, e Ending) error
	// EndUserSessions does that to all sessions of a user but one.
	EndUserSessions(ctx context.Context, w Whose, except string, e Ending) error
	// EndTenantSessions does that to some of the sessions that have begun by at,
	// and to grants of sessions that are over, under one record. It returns how
	// many sessions there were and whether there may be more.
	EndTenantSessions(ctx context.Context, t tenant.ID, at time.Time, told func(ended int) outbox.Entry) (ended int, more bool, err error)
	// Sessions lists a user's good sessions, the last used first.
	Sessions(ctx context.Context, t tenant.ID, userID string, at time.Time, idle time.Duration) ([]Session, error)
	// SweepSessions forgets sessions whose time was over at. It reports whether
	// there may be more.
	SweepSessions(ctx context.Context, at time.Time) (more bool, err error)
}

// Whose says whose sessions are meant.
type Whose struct {
	Tenant tenant.ID
	UserID string
}

// Ending is what is written with the end of sessions.
type Ending struct {
	At time.Time
	// Told makes the record of a session that was there.
	Told func(of Ended) outbox.Entry
}

// Ended is a session that was there until now.
type Ended struct{ ID, UserID string }

// Query asks for the session of a token.
type Query struct {
	Digest []byte
	// Where it has to be: Tenant, or with a zero one the environment of the
	// living organization with the domain Org.
	Tenant tenant.ID
	Org    string
	Env    string
	At     time.Time
	Idle   time.Duration
}

// Service is the rules of sessions.
type Service struct {
	Store  Store
	Outbox *outbox.Composer
	Relay  outbox.Waker
	Now    func() time.Time
}

// New is what is known when somebody has signed in.
type New struct {
	Tenant tenant.ID
	UserID string
	AMR    []string // the proofs, as they were recorded
	// At is when the last of them was made; the zero time is now. What a page
	// asks after that, such as consent, makes no sign-in younger.
	At     time.Time
	Source netip.Addr
}

// Begin starts a session after a login and returns what the browser gets of
// it. It returns user.ErrNotFound when the user is gone or deactivated.
func (s *Service) Begin(ctx context.Context, n New) (secret.Text, Session, error) {
	proofs, level, err := grant.Assess(n.AMR)
	if err != nil {
		return secret.Text{}, Session{}, err
	}
	token, now := id.Token(), s.Now()
	if n.At.IsZero() {
		n.At = now
	}
	of := Session{
		ID: id.UUID(), Tenant: n.Tenant, Digest: digest(token), AMR: proofs, ACR: level, AuthTime: n.At, Source: Mask(n.Source),
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(Absolute),
	}
	of.User.ID = n.UserID
	of, err = s.Store.AddSession(ctx, of)
	if err != nil {
		return secret.Text{}, Session{}, err
	}
	return token, of, nil
}

// Find returns the good session of a token in a tenant and notes its use, or
// returns ErrNone.
func (s *Service) Find(ctx context.Context, t tenant.ID, token secret.Text) (Session, error) {
	return s.find(ctx, token, Query{Tenant: t})
}

// FindIn is Find in a realm: see [Realm].
func (s *Service) FindIn(ctx context.Context, realm string, token secret.Text) (Session, error) {
	org, env, ok := OfRealm(realm)
	if !ok {
		return Session{}, ErrNone
	}
	return s.find(ctx, token, Query{Org: org, Env: env})
}

func (s *Service) find(ctx context.Context, token secret.Text, q Query) (Session, error) {
	if !tokenShape.MatchString(token.Reveal()) {
		return Session{}, ErrNone
	}
	q.Digest, q.At, q.Idle = digest(token), s.Now(), Idle
	return s.Store.FindSession(ctx, q)
}

// Raise notes further proofs in a session that was found, and replaces what
// the browser has of it: the old token is worth nothing at once. A
// second factor alone leaves the time of the sign-in as it was, so that a
// password of hours ago does not count as one of now. It returns ErrNone when
// the session has ended, or was raised by somebody else meanwhile.
func (s *Service) Raise(ctx context.Context, of Session, proofs ...string) (secret.Text, Session, error) {
	return s.RaiseAt(ctx, of, s.Now(), proofs...)
}

// RaiseAt is Raise with proofs of a while ago.
func (s *Service) RaiseAt(ctx context.Context, of Session, at time.Time, proofs ...string) (secret.Text, Session, error) {
	merged, level, err := grant.Assess(slices.Concat(of.AMR, proofs))
	if err != nil {
		return secret.Text{}, Session{}, err
	}
	old, token := of.Digest, id.Token()
	of.Digest, of.AMR, of.ACR, of.SeenAt = digest(token), merged, level, s.Now()
	if slices.ContainsFunc(proofs, grant.IsFirst) && at.After(of.AuthTime) {
		of.AuthTime = at
	}
	of, err = s.Store.RaiseSession(ctx, old, of, Idle)
	if err != nil {
		return secret.Text{}, Session{}, err
	}
	return token, of, nil
}

// Sweep forgets sessions whose day is over. Those that are idle for too long
// stay until then, good for nothing.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		more, err := s.Store.SweepSessions(ctx, s.Now())
		if err != nil || !more {
			return err
		}
	}
}

// Fresh reports whether the last sign-in is recent enough, and the session of
// the level that the user has, for a change of what somebody proves with
// . Enrolled says that the user has a second factor.
func (of Session) Fresh(now time.Time, enrolled bool) bool {
	return now.Sub(of.AuthTime) <= Fresh && (!enrolled || of.ACR == grant.TwoFactors)
}

// digest is the stored form of a token.
func digest(token secret.Text) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}

// Mask is the network of an address: enough to know it again, and not whose it
// is. Of none it is empty.
func Mask(source netip.Addr) string {
	source = source.Unmap().WithZone("")
	bits := 24
	if source.Is6() {
		bits = 48
	}
	network, err := source.Prefix(bits)
	if err != nil || !source.IsValid() {
		return ""
	}
	return network.String()
}
