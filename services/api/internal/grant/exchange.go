package grant

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

const (
	sealSuccessor = "grant.refresh_successor"
	maxRefresh    = 63 + 1 + size // an organization's domain, a dot, the rest
)

// Binding is what a client says beside a code. All of it must be what the code
// was made for.
type Binding struct {
	ClientID    string // authenticated
	RedirectURI string
	// MayOmitURI lets a client leave the redirect URI out, as the contract's
	// headless clients do. One that it names is compared all the same.
	MayOmitURI bool
	Verifier   secret.Text // of PKCE
	// IdleVerifier lets a verifier stand beside a code that was made without a
	// challenge, where it counts for nothing: clients of the verification flow
	// send one with every code. Beside a challenge it is compared all the same.
	IdleVerifier bool
	// GrantID is the grant that the client believes the code to stand for;
	// compared where it is named.
	GrantID string
}

// Redeem exchanges a code for a session with its first refresh token. It
// returns ErrInvalid, after which the code is dead whatever was wrong.
func (s *Service) Redeem(ctx context.Context, code secret.Text, b Binding) (Session, error) {
	if !isToken(code.Reveal()) {
		return Session{}, ErrInvalid
	}
	now := s.Now()
	var refresh secret.Text
	session, err := s.Store.RedeemCode(ctx, digest(code), now, func(c Code, of Session) (Token, error) {
		if !b.fits(c, of.Grant) || !now.Before(c.ExpiresAt) {
			return Token{}, ErrInvalid
		}
		refresh = newRefresh(of.Org)
		return Token{Digest: digest(refresh), Number: 1, CreatedAt: now, ExpiresAt: now.Add(Idle)}, nil
	})
	if err != nil {
		return Session{}, s.heard(ctx, err)
	}
	return session.with(refresh, now), nil
}

// with adds a refresh token that was made at a time.
func (s Session) with(refresh secret.Text, made time.Time) Session {
	s.Refresh, s.RefreshExpiresAt = refresh, made.Add(Idle)
	if s.ExpiresAt.Before(s.RefreshExpiresAt) {
		s.RefreshExpiresAt = s.ExpiresAt
	}
	return s
}

// Spoil makes a code useless: somebody has shown it who may not redeem it. A
// code that was used before ends what it was used for.
func (s *Service) Spoil(ctx context.Context, code secret.Text) error {
	_, err := s.Redeem(ctx, code, Binding{}) // nobody's: no code fits
	return err
}

// fits reports whether a code was made for who shows it. Redirect URI and
// challenge are no secrets: the one is registered, the other the digest of one.
func (b Binding) fits(c Code, g Grant) bool {
	if b.ClientID != g.ClientID || b.GrantID != "" && b.GrantID != g.ID {
		return false
	}
	if b.RedirectURI != c.RedirectURI && (b.RedirectURI != "" || !b.MayOmitURI) {
		return false
	}
	if c.Challenge == "" && b.IdleVerifier {
		return true
	}
	return challenge(b.Verifier) == c.Challenge
}

// challenge is the S256 challenge of a verifier, empty without one. A verifier
// of another form than RFC 7636 4.1 allows has a challenge that no code has.
func challenge(verifier secret.Text) string {
	text := verifier.Reveal()
	if text == "" {
		return ""
	}
	if len(text) < 43 || len(text) > 128 || strings.Trim(text, unreserved) != "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

// newRefresh makes a refresh token. The domain in front is for the client,
// which reads the organization off it; it is part of what is stored.
func newRefresh(org string) secret.Text { return secret.New(org + "." + id.Token().Reveal()) }

// Rotation is one exchange of a refresh token.
//
// Where the token is unused, good, and the client's own, it is used up and the
// successor stored. Where it was used within Grace by the same client, that
// one's successor is returned. Where it was used otherwise, the grant is
// revoked and a Reuse returned.
type Rotation struct {
	Digest   []byte
	ClientID string
	Next     []byte // digest of the successor
	Sealed   []byte // the successor itself
	At       time.Time
	Grace    time.Duration
	Idle     time.Duration // life of the successor; it ends with its grant in any case
	// Accept looks at the session that would go on. Its error is returned, and
	// the token is as unused as it was.
	Accept func(Session) error
}

// Rotated is a session that goes on.
type Rotated struct {
	Session
	// Successor is the sealed one of an earlier exchange of the same token;
	// nil when this one was the first.
	Successor []byte
}

// Refresh exchanges a refresh token for its session and the next one. A client
// that lost the answer gets the same one again for a few seconds, not a second
// family.
//
// A scope narrows what this session may do, and not what the next refresh may
// ask for (RFC 6749 6); none leaves it as it was granted. It returns
// ErrInvalid, or ErrScope, after which the token is still good.
func (s *Service) Refresh(ctx context.Context, raw secret.Text, clientID string, scope ...string) (Session, error) {
	org, ok := orgOf(raw)
	if !ok || clientID == "" {
		return Session{}, ErrInvalid
	}
	row, next := digest(raw), newRefresh(org)
	sealed, err := s.Keys.Seal(sealSuccessor, hex.EncodeToString(row), []byte(next.Reveal()))
	if err != nil {
		return Session{}, wrapKeys("seal", err)
	}
	now := s.Now()
	rotated, err := s.Store.RotateRefresh(ctx, Rotation{
		Digest: row, ClientID: clientID, Next: digest(next), Sealed: sealed, At: now, Grace: Grace, Idle: Idle,
		Accept: func(of Session) error { return within(scope, of.Scope) },
	})
	if err != nil {
		return Session{}, s.heard(ctx, err)
	}
	if rotated.Successor != nil {
		plain, err := s.Keys.Open(sealSuccessor, hex.EncodeToString(row), rotated.Successor)
		if err != nil {
			return Session{}, wrapKeys("open", err)
		}
		next = secret.New(string(plain))
	}
	if len(scope) > 0 {
		rotated.Scope = scope
	}
	return rotated.Session.with(next, now), nil
}

// within returns ErrScope when something is asked for that was not granted.
func within(asked, granted []string) error {
	for _, scope := range asked {
		if !slices.Contains(granted, scope) {
			return ErrScope
		}
	}
	return nil
}

// Held is a refresh token that can be used at this moment, with its session.
type Held struct {
	Session
	CreatedAt time.Time
	ExpiresAt time.Time // of the token; its grant may end before
}

// Holder returns what a refresh token stands for, without using it up:
// ErrInvalid for one that was used or is otherwise not good.
func (s *Service) Holder(ctx context.Context, raw secret.Text) (Held, error) {
	if _, ok := orgOf(raw); !ok {
		return Held{}, ErrInvalid
	}
	return s.Store.RefreshHolder(ctx, digest(raw), s.Now())
}

// RevokeRefresh ends the grant of a refresh token, one that was used before
// too, for the client that it was given to: for others, and for what is no
// token, nothing happens (RFC 7009 2.1, 2.2). It returns the grant that was
// ended by this call, a zero one when none was.
func (s *Service) RevokeRefresh(ctx context.Context, raw secret.Text, clientID string) (Grant, error) {
	if _, ok := orgOf(raw); !ok {
		return Grant{}, nil
	}
	return s.Store.RevokeRefresh(ctx, digest(raw), clientID, s.Now())
}

// IsRefresh reports whether a text has the form of a refresh token. No access
// token has it.
func IsRefresh(raw secret.Text) bool {
	_, ok := orgOf(raw)
	return ok
}

// orgOf reads the organization off a refresh token, or reports that it is none.
func orgOf(raw secret.Text) (string, bool) {
	text := raw.Reveal()
	if len(text) > maxRefresh {
		return "", false
	}
	org, rest, _ := strings.Cut(text, ".")
	return org, tenant.IsDomain(org) && isToken(rest)
}
