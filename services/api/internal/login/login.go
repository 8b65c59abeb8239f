// Package login ends logins: it decides whether what was proven is enough,
// and hands out the authorization code that API keys turn into tokens. A login
// in a browser ends here in nothing but that it is complete: its session and
// its code are the business of package flow.
//
// It is called by whatever proves something (a password, a link, a second
// factor) with a record of just that. A user with a second factor gets no code
// for anything less, whichever way the login came: the login waits,
// under the id of its request, until the factor is proven too.
package login

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/tenant"
)

const (
	// waits is how long the second half of a login may take.
	waits = 10 * time.Minute
	// enrols is how long it may take from the first half on where a recovery
	// code was used: as long as a flow. Whoever runs out of it has no second
	// factor left and needs an administrator, and an app takes time to install.
	enrols = 30 * time.Minute
)

// Factors tell who has a second factor that can be asked for.
type Factors interface {
	Enrolled(ctx context.Context, t tenant.ID, userID string) (bool, error)
}

// Grants hand out authorization codes.
type Grants interface {
	NewCode(ctx context.Context, n grant.New) (secret.Text, error)
}

// Passwords tell which of a user's passwords is the present one, and whether
// it is good for nothing but setting another.
type Passwords interface {
	PresentPassword(ctx context.Context, t tenant.ID, userID string) (number int, mustChange bool, err error)
}

// ErrStale answers for a login whose password was replaced before its end.
var ErrStale = fault.New(fault.NotFound, "not_found", "the password was changed meanwhile; begin the login again")

// Waiting keeps first halves. Losing them is safe: the user begins again.
type Waiting interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
}

// Service is the rules of ending logins.
type Service struct {
	Factors   Factors
	Passwords Passwords
	Grants    Grants
	Waiting   Waiting
	Now       func() time.Time
}

// Login is what has been proven, about whom, for whom.
type Login struct {
	RequestID   string    `json:"request_id"`
	Tenant      tenant.ID `json:"tenant"`
	UserID      string    `json:"user_id"`
	ClientID    string    `json:"client_id"`
	RedirectURI string    `json:"redirect_uri"`
	AMR         []string  `json:"amr"` // as package grant names proofs
	At          time.Time `json:"at"`
	// Password is the number of the password that was proven, zero for none: a
	// newer one makes the login worthless.
	Password int `json:"password,omitempty"`
	// MustChange says that the login ends in a new password instead of a code.
	MustChange bool `json:"must_change,omitempty"`
	// Expires is from when on it ends that way too, and Lapses from when on it
	// ends in nothing; the zero time is never. Both are looked at when the login
	// ends, which may be minutes after the password was proven.
	Expires time.Time `json:"expires,omitzero"`
	Lapses  time.Time `json:"lapses,omitzero"`
	// Browser marks a login on a page of ours, for the flow that RequestID names.
	Browser bool `json:"browser,omitempty"`
}

// Completed is how far a login has come: a code, or one of the reasons for
// there being none yet.
type Completed struct {
	Login       Login
	Code        secret.Text
	Proven      bool // all that it needs; in place of a code in a browser
	MFARequired bool
	MustChange  bool
	Lapsed      bool // the password is so old that a link alone replaces it
}

// Expired is when the password stopped being good for a login; the zero time
// while it is.
func (c Completed) Expired() time.Time {
	if !c.MustChange && !c.Lapsed {
		return time.Time{}
	}
	return c.Login.Expires
}

// scope of a login over the headless API.
var scope = []string{"openid", "email", "profile"}

// isSecond reports whether a proof is one of a second factor. A recovery code
// is none: it stands in for one that has to be enrolled anew before the login
// ends.
func isSecond(proof string) bool {
	return proof == grant.SMS || proof == grant.App
}

// Complete ends a login, or lets it wait for the second factor. One that comes
// to nothing does not wait for that.
func (s *Service) Complete(ctx context.Context, l Login) (Completed, error) {
	if slices.ContainsFunc(l.AMR, isSecond) || over(l.Lapses, s.Now()) {
		return s.end(ctx, l)
	}
	enrolled, err := s.Factors.Enrolled(ctx, l.Tenant, l.UserID)
	if err != nil {
		return Completed{}, err
	}
	if enrolled {
		return Completed{Login: l, MFARequired: true}, s.wait(ctx, l)
	}
	return s.end(ctx, l)
}

// Waits reports whether a login waits under a request for the second factor of
// this user, so that nothing is compared for one that does not.
func (s *Service) Waits(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error) {
	_, stored, err := s.waiting(ctx, requestID, t, userID, clientID)
	return stored != nil, err
}

// Continue ends the login of a request whose second factor was proven just
// now. It reports false when no such login waits: it was ended before, its
// time is over, or it is somebody else's.
func (s *Service) Continue(ctx context.Context, requestID string, t tenant.ID, userID, clientID string, proofs ...string) (Completed, bool, error) {
	l, stored, err := s.waiting(ctx, requestID, t, userID, clientID)
	if err != nil || stored == nil {
		return Completed{}, false, err
	}
	// Of many that have proven it, one takes it.
	taken, err := s.Waiting.Swap(ctx, key(t, userID, requestID), stored, nil, 0)
	if err != nil || !taken {
		return Completed{}, false, err
	}
	l.AMR = slices.Concat(l.AMR, proofs)
	done, err := s.end(ctx, l)
	return done, err == nil, err
}

// Recovered notes that a recovery code was used for the login of a request. The
// login goes on waiting, for a new factor (see Reenrolled). It reports false
// when none waits.
func (s *Service) Recovered(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (bool, error) {
	l, stored, err := s.waiting(ctx, requestID, t, userID, clientID)
	if err != nil || stored == nil {
		return false, err
	}
	l.AMR = append(l.AMR, grant.Recovery)
	next, err := json.Marshal(l)
	if err != nil {
		return false, fmt.Errorf("encode login: %w", err)
	}
	// Nothing else changes a login that waits but its end.
	return s.Waiting.Swap(ctx, key(t, userID, requestID), stored, next, enrols+time.Minute)
}

// Reenrolled ends the login of a request whose user has used a recovery code
// for it and has now confirmed a new factor. A login without that code goes on
// waiting, and false is reported: an enrolment alone proves nothing to it.
func (s *Service) Reenrolled(ctx context.Context, requestID string, t tenant.ID, userID, clientID, proof string) (Completed, bool, error) {
	l, stored, err := s.waiting(ctx, requestID, t, userID, clientID)
	if err != nil || stored == nil || !slices.Contains(l.AMR, grant.Recovery) {
		return Completed{}, false, err
	}
	return s.Continue(ctx, requestID, t, userID, clientID, proof)
}

// waiting reads the login that waits under a request; stored is nil when there
// is none, its time is over, or it is somebody else's.
func (s *Service) waiting(ctx context.Context, requestID string, t tenant.ID, userID, clientID string) (l Login, stored []byte, err error) {
	if stored, err = s.Waiting.Get(ctx, key(t, userID, requestID)); err != nil || stored == nil {
		return Login{}, nil, err
	}
	if err := json.Unmarshal(stored, &l); err != nil {
		return Login{}, nil, fmt.Errorf("read waiting login: %w", err)
	}
	if l.ClientID != clientID || s.Now().Sub(l.At) > l.waits() {
		return Login{}, nil, nil
	}
	return l, stored, nil
}

// waits is how long the login waits, from its first half on.
func (l Login) waits() time.Duration {
	if slices.Contains(l.AMR, grant.Recovery) {
		return enrols
	}
	return waits
}

// over reports whether a time has come; the zero time never does.
func over(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

func (s *Service) end(ctx context.Context, l Login) (Completed, error) {
	now := s.Now()
	switch {
	case over(l.Lapses, now):
		return Completed{Login: l, Lapsed: true}, nil
	case l.MustChange || over(l.Expires, now):
		return Completed{Login: l, MustChange: true}, nil
	case l.Browser:
		return Completed{Login: l, Proven: true}, s.Current(ctx, l)
	}
	code, err := s.Grants.NewCode(ctx, grant.New{
		Tenant: l.Tenant, UserID: l.UserID, ClientID: l.ClientID, RedirectURI: l.RedirectURI, Scope: scope, AMR: l.AMR, AuthTime: now,
	})
	if err == nil {
		err = s.Current(ctx, l)
	}
	if err != nil {
		return Completed{}, err // nobody learns the code, and it is dead in a minute
	}
	return Completed{Login: l, Code: code}, nil
}

// Current returns ErrStale when the password of a login is the user's no more,
// or must be changed since. It is asked after something was stored for the
// login: a new password ends all that is stored by then, and what is stored
// later finds it here.
func (s *Service) Current(ctx context.Context, l Login) error {
	if l.Password == 0 {
		return nil
	}
	number, mustChange, err := s.Passwords.PresentPassword(ctx, l.Tenant, l.UserID)
	if err == nil && (number != l.Password || mustChange && !l.MustChange) {
		err = ErrStale
	}
	return err
}

// wait lets a login wait. One of the same page in which a recovery code was used
// meanwhile stays: that proof is used up, and the same password that took its
// time in another tab proves nothing beside it.
func (s *Service) wait(ctx context.Context, l Login) error {
	value, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode login: %w", err)
	}
	for {
		before, stored, err := s.waiting(ctx, l.RequestID, l.Tenant, l.UserID, l.ClientID)
		if number := before.Password; err != nil || number == l.Password && slices.Contains(before.AMR, grant.Recovery) {
			return err
		}
		if stored == nil { // none, or one that counts no more
			return s.Waiting.Put(ctx, key(l.Tenant, l.UserID, l.RequestID), value, waits+time.Minute)
		}
		kept, err := s.Waiting.Swap(ctx, key(l.Tenant, l.UserID, l.RequestID), stored, value, waits+time.Minute)
		if err != nil || kept {
			return err
		}
	}
}

func key(t tenant.ID, userID, requestID string) string {
	return fmt.Sprintf("login:{%s|%s|%s}:%s", t.Org, t.Env, userID, requestID)
}
