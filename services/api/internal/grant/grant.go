// Package grant owns what a login turns into: a grant, the authorization code
// that stands for it for a minute, and the family of refresh tokens that the
// code is exchanged for.
//
// Rules that have proven who somebody is call [Service.NewCode]; the token
// paths exchange ([Service.Redeem], [Service.Refresh]); what ends logins, such
// as a new password, calls [Service.RevokeUser]. It signs nothing: package
// token makes tokens of a [Session].
//
// Codes and refresh tokens have 256 random bits and are stored as SHA-256
// alone, so looking one up is no comparison that somebody could time. Each is
// used up by one conditional statement; what was bound to it is looked at
// after that, so a code is dead after any try. Whoever shows a used one has it
// from somewhere: then everything that came of it ends.
package grant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// How long things live.
const (
	CodeLife = time.Minute
	Idle     = 7 * 24 * time.Hour  // a refresh token that nobody uses
	Absolute = 30 * 24 * time.Hour // a family, however often it is used
	// Grace is how long a client that lost an answer may ask again for it.
	Grace = 10 * time.Second
)

// Scopes of OpenID Connect.
const (
	OpenID  = "openid"
	Email   = "email"
	Profile = "profile"
	Phone   = "phone"
	// Offline lets a grant outlive the logout of the browser session that it
	// came of (OpenID Connect Core 11); it decides nothing else.
	Offline = "offline_access"
)

// Grant is what somebody has let a client have, and how they proved who they
// are. Nothing of it changes but that it ends.
type Grant struct {
	ID        string
	Tenant    tenant.ID
	UserID    string
	ClientID  string // the id of an API key or of an app
	SessionID string // the browser session that it came of; empty for none
	Scope     []string
	AMR       []string // what was proven, RFC 8176
	ACR       string   // what that is worth
	AuthTime  time.Time
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero while it is good
}

// Code is an authorization code at rest.
type Code struct {
	Digest      []byte
	RedirectURI string // empty: none
	Challenge   string // of PKCE, S256; empty: none
	Nonce       string
	ExpiresAt   time.Time
}

// Token is a refresh token at rest.
type Token struct {
	Digest    []byte
	Number    int // in its family
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Session is a grant that is good at this moment, with whose it is.
type Session struct {
	Grant
	User user.User
	Org  string // domain of the organization
	// Profile is the shape of tokens that the client gets, as package app names
	// them, and IDTokenAlg what signs its ID tokens; both are empty for an API
	// key, whose tokens are the contract's.
	Profile    string
	Audience   string // of the gateway's tokens; empty: the client's id
	IDTokenAlg string
	// Nonce and the refresh token are there after an exchange.
	Nonce            string
	Refresh          secret.Text
	RefreshExpiresAt time.Time // when nobody uses it; never later than the grant
}

// Draft is a grant with its code, not stored yet: for a rule that stores it in
// the transaction of its own change.
type Draft struct {
	Grant Grant
	Code  Code
}

// ErrInvalid answers for every code and refresh token that is not good,
// without saying why.
var ErrInvalid = fault.New(fault.Malformed, "invalid_grant", "the code or refresh token is unknown, expired, used, revoked, or was not made for this client; begin a new login")

// ErrScope answers a refresh that asks for more than was granted.
var ErrScope = fault.New(fault.Malformed, "invalid_scope", "the scope asks for more than this client may have here; ask for what it was granted, or for less")

// Store keeps grants.
type Store interface {
	// AddGrant stores a draft, or returns user.ErrNotFound when the user is
	// gone or deactivated, the organization is gone, or the app is gone,
	// inactive or not allowed by the user; and session.ErrNone when the session that it names has ended.
	AddGrant(ctx context.Context, d Draft) error
	// RedeemCode uses a code up, in one conditional statement. When the
	// grant is good it asks accept for the first refresh token and stores it;
	// the error of accept is returned, and the code is used all the same. It
	// returns ErrInvalid, or for a code that was used before a Reuse, with the
	// grant revoked.
	RedeemCode(ctx context.Context, digest []byte, at time.Time, accept func(Code, Session) (Token, error)) (Session, error)
	// RotateRefresh uses a refresh token up, in one conditional statement, and
	// stores its successor. See Rotation for what else it may return, beside
	// ErrInvalid.
	RotateRefresh(ctx context.Context, r Rotation) (Rotated, error)
	// RefreshHolder reads a refresh token that is good, or returns ErrInvalid.
	RefreshHolder(ctx context.Context, digest []byte, at time.Time) (Held, error)
	// RevokeRefresh ends the grant of a client's refresh token, and returns it
	// when this call has ended it.
	RevokeRefresh(ctx context.Context, digest []byte, clientID string, at time.Time) (Grant, error)
	// LiveGrant reads a grant that is good, or returns ErrInvalid.
	LiveGrant(ctx context.Context, grantID string, at time.Time) (Session, error)
	// RevokeGrant ends one grant; one that is not there is none.
	RevokeGrant(ctx context.Context, t tenant.ID, grantID string, at time.Time) error
	// RevokeUserGrants ends a user's grants but one.
	RevokeUserGrants(ctx context.Context, t tenant.ID, userID, except string, at time.Time) error
	// SweepGrants forgets grants that ended before ended, those whose code
	// was let lapse before lapsed, and sealed successors of tokens that were
	// used before answered. It reports whether there may be more.
	SweepGrants(ctx context.Context, ended, lapsed, answered time.Time) (more bool, err error)
}

// Sealer seals successors of refresh tokens.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Reuse is returned by stores for what was used before. The grant was revoked
// by the same call.
type Reuse struct {
	What  string // "code" or "refresh_token"
	Grant Grant
}

// Error implements error.
func (r Reuse) Error() string { return r.What + " was used before; its grant is revoked" }

// Service is the rules of grants.
type Service struct {
	Store Store
	Keys  Sealer
	Now   func() time.Time
	// Alarm hears when a used code or token was shown and ended its grant;
	// nil hears nothing.
	Alarm func(ctx context.Context, r Reuse)
}

// New is what is known when somebody has proven who they are.
type New struct {
	Tenant      tenant.ID
	UserID      string
	ClientID    string // who may redeem the code: the id of an API key or of an app
	SessionID   string // the browser session that it comes of; empty for none
	RedirectURI string // where the code is sent; empty when it is in an answer
	Challenge   string // of PKCE, S256
	Nonce       string
	Scope       []string
	AMR         []string  // the proofs, as they were recorded
	AuthTime    time.Time // of the last proof; zero means now
}

// NewCode records a login and returns the code that stands for it, for one
// minute and one use. It returns user.ErrNotFound when the user is gone or
// deactivated.
func (s *Service) NewCode(ctx context.Context, n New) (secret.Text, error) {
	_, code, err := s.Begin(ctx, n)
	return code, err
}

// Begin is NewCode for who has to name the grant as well.
func (s *Service) Begin(ctx context.Context, n New) (Grant, secret.Text, error) {
	draft, code, err := s.Draft(n)
	if err != nil {
		return Grant{}, secret.Text{}, err
	}
	return draft.Grant, code, s.Store.AddGrant(ctx, draft)
}

// Draft is NewCode without storing anything.
func (s *Service) Draft(n New) (Draft, secret.Text, error) {
	proofs, level, err := Assess(n.AMR)
	if err != nil {
		return Draft{}, secret.Text{}, err
	}
	if n.ClientID == "" || len(n.Scope) == 0 {
		return Draft{}, secret.Text{}, errors.New("a grant needs a client and a scope")
	}
	if n.Challenge != "" && !isToken(n.Challenge) {
		return Draft{}, secret.Text{}, errors.New("a code challenge is the SHA-256 of a verifier in base64url")
	}
	now := s.Now()
	if n.AuthTime.IsZero() || n.AuthTime.After(now) {
		n.AuthTime = now
	}
	code := id.Token()
	return Draft{
		Grant: Grant{
			ID: id.UUID(), Tenant: n.Tenant, UserID: n.UserID, ClientID: n.ClientID, SessionID: n.SessionID, Scope: slices.Clone(n.Scope), AMR: proofs,
			ACR: level, AuthTime: n.AuthTime, CreatedAt: now, ExpiresAt: now.Add(Absolute),
		},
		Code: Code{Digest: digest(code), RedirectURI: n.RedirectURI, Challenge: n.Challenge, Nonce: n.Nonce, ExpiresAt: now.Add(CodeLife)},
	}, code, nil
}

// Live returns a grant with its user for as long as it is good, or ErrInvalid:
// what an access token says is not believed without it.
func (s *Service) Live(ctx context.Context, grantID string) (Session, error) {
	if !id.IsUUID(grantID) {
		return Session{}, ErrInvalid
	}
	return s.Store.LiveGrant(ctx, grantID, s.Now())
}

// Revoke ends one grant with all tokens that came of it.
func (s *Service) Revoke(ctx context.Context, t tenant.ID, grantID string) error {
	return s.Store.RevokeGrant(ctx, t, grantID, s.Now())
}

// RevokeUser ends all of a user's grants but the one named, which may be
// empty: after a new password, a new factor, a deactivation. Codes
// that nobody has redeemed yet end too.
func (s *Service) RevokeUser(ctx context.Context, t tenant.ID, userID, except string) error {
	return s.Store.RevokeUserGrants(ctx, t, userID, except, s.Now())
}

// Sweep forgets what nobody can use or replay any more.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Now()
	for {
		more, err := s.Store.SweepGrants(ctx, now, now.Add(-time.Hour), now.Add(-Grace))
		if err != nil || !more {
			return err
		}
	}
}

// heard passes errors of the store on, and a reuse to the alarm.
func (s *Service) heard(ctx context.Context, err error) error {
	reuse, ok := errors.AsType[Reuse](err)
	if !ok {
		return err
	}
	if s.Alarm != nil {
		s.Alarm(ctx, reuse)
	}
	return ErrInvalid.Because(reuse)
}

// size of a code, and of the random part of a refresh token, as text.
const size = 43

// isToken reports whether text has the form of 256 bits in base64url.
func isToken(text string) bool {
	if len(text) != size {
		return false
	}
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// digest is the stored form of a code or token.
func digest(value secret.Text) []byte {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return sum[:]
}

func wrapKeys(what string, err error) error {
	return fmt.Errorf("%s successor of refresh token: %w", what, err)
}
