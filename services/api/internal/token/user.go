package token

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
)

// Tokens are what a code or a refresh token is exchanged for.
type Tokens struct {
	Access    secret.Text
	ID        secret.Text // empty unless the scope has openid
	ExpiresIn int         // seconds that the access token lives
}

// bound are the hashes that bind an ID token to what comes with it.
type bound struct {
	atHash string
	cHash  string // empty for a refresh
}

// IssueUser makes the tokens of a session, in the shape that its client gets;
// code is the one that was exchanged, empty for a refresh. What they say of the
// proofs is what the grant has recorded, whatever the client asked for.
func (s *Service) IssueUser(ctx context.Context, of grant.Session, code secret.Text) (Tokens, error) {
	var access func(grant.Session) draft
	var identity func(grant.Session, bound) draft
	switch of.Profile {
	case app.Standard:
		access, identity = s.standardAccess, s.standardID
	case app.Gateway:
		access, identity = s.gatewayAccess, s.gatewayID
	case "":
		access, identity = s.headlessAccess, s.headlessID
	default:
		return Tokens{}, fmt.Errorf("there are no tokens of profile %q", of.Profile)
	}
	raw, err := s.sign(ctx, access(of))
	if err != nil {
		return Tokens{}, err
	}
	made := Tokens{Access: raw, ExpiresIn: int(UserLife.Seconds())}
	if slices.Contains(of.Scope, grant.OpenID) {
		made.ID, err = s.sign(ctx, identity(of, bound{half(raw), half(code)}))
	}
	return made, err
}

// half is the left half of the SHA-256 of a token or code, which binds an ID
// token to it (OpenID Connect Core 3.3.2.11). Of nothing it is nothing.
func half(value secret.Text) string {
	if value.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(value.Reveal()))
	return encode(sum[:len(sum)/2])
}

// Subject is the sub that a session's tokens have, by their shape.
func Subject(of grant.Session) string {
	if of.Profile == app.Standard {
		return of.User.ID
	}
	return provider + of.User.ID
}

// IssuerOf is the iss that a session's tokens have, by their shape.
func (s *Service) IssuerOf(of grant.Session) string {
	if of.Profile == app.Standard {
		return s.Issuer
	}
	return s.issuer(of.Org)
}
