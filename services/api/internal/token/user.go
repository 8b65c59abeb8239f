package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/user"
)

// provider stands in front of the user's id in sub: who has authenticated it.
const provider = "countersign|"

const userVersion = 3

// common claims of the two tokens of an end user.
type common struct {
	standard
	TokenType   string   `json:"jtt"`
	Version     int      `json:"ver"`
	Environment string   `json:"env"`
	Org         string   `json:"org"`
	AuthTime    int64    `json:"auth_time"`
	AMR         []string `json:"amr"`
	ACR         string   `json:"acr"`
	Email       string   `json:"email,omitempty"`
}

type accessClaims struct {
	common
	Audience []string `json:"aud"` // the issuer: an ID token, which is for the client, is none
	Client   string   `json:"client_id"`
	Grant    string   `json:"gid"`
	Scope    []string `json:"scope"`
}

// idClaims has lists and maps that are always empty: the contract's clients
// read them.
type idClaims struct {
	common
	Audience      string        `json:"aud"`
	AtHash        string        `json:"at_hash"`
	CHash         string        `json:"c_hash,omitempty"`
	Nonce         string        `json:"nonce,omitempty"`
	EmailVerified *bool         `json:"email_verified,omitempty"`
	PhoneVerified bool          `json:"phone_number_verified"`
	Identities    []struct{}    `json:"identities"`
	Meta          struct{}      `json:"meta_data"`
	Profile       *user.Profile `json:"profile,omitempty"`
}

// Tokens are what a code or a refresh token is exchanged for.
type Tokens struct {
	Access secret.Text
	ID     secret.Text // empty unless the scope has openid
}

// IssueUser makes the tokens of a session; code is the one that was exchanged,
// empty for a refresh. What they say of the proofs is what the grant has
// recorded, whatever the client asked for.
func (s *Service) IssueUser(ctx context.Context, of grant.Session, code secret.Text) (Tokens, error) {
	access := accessClaims{common: s.common(of, kindAccess), Client: of.ClientID, Grant: of.Grant.ID, Scope: of.Scope}
	access.Audience = []string{access.Issuer}
	raw, err := s.sign(ctx, access.Issuer, access)
	if err != nil {
		return Tokens{}, err
	}
	if !slices.Contains(of.Scope, grant.OpenID) {
		return Tokens{Access: raw}, nil
	}
	identity := idClaims{
		common: s.common(of, kindID), Audience: of.ClientID, AtHash: half(raw), CHash: half(code), Nonce: of.Nonce,
		PhoneVerified: of.User.PhoneVerified, Identities: []struct{}{},
	}
	if identity.Email != "" {
		identity.EmailVerified = &of.User.EmailVerified
	}
	if slices.Contains(of.Scope, grant.Profile) {
		identity.Profile = &of.User.Profile
	}
	signed, err := s.sign(ctx, identity.Issuer, identity)
	return Tokens{Access: raw, ID: signed}, err
}

func (s *Service) common(of grant.Session, kind string) common {
	c := common{
		standard: s.standard(s.issuer(of.Org), provider+of.User.ID, UserLife), TokenType: kind, Version: userVersion,
		Environment: of.Tenant.Env, Org: of.Org, AuthTime: of.AuthTime.Unix(), AMR: of.AMR, ACR: of.ACR,
	}
	if slices.Contains(of.Scope, grant.Email) {
		c.Email = of.User.Email.Written
	}
	return c
}

// half is the left half of the SHA-256 of a token or code, which binds an ID
// token to it (OpenID Connect Core 3.3.2.11). Of nothing it is nothing.
func half(value secret.Text) string {
	if value.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(value.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// Access is what an end user's access token says. That the grant is still
// good, it does not say: ask grant.Service.Live.
type Access struct {
	ID       string
	GrantID  string
	UserID   string
	ClientID string
	Org      string // domain
	Env      string
	Scope    []string
	AMR      []string
	ACR      string
	AuthTime time.Time
	Expiry   time.Time
}

// ReadUser verifies an end user's access token. It returns ErrInvalid, also
// for ID tokens and for tokens of API keys, or a store's fault.
func (s *Service) ReadUser(ctx context.Context, raw secret.Text) (Access, error) {
	var c accessClaims
	if err := s.verify(ctx, raw, &c); err != nil {
		return Access{}, err
	}
	userID, ours := strings.CutPrefix(c.Subject, provider)
	if c.TokenType != kindAccess || c.Version != userVersion || !ours || !id.IsUUID(userID) || !s.holds(c.standard, c.Org) || !slices.Contains(c.Audience, c.Issuer) {
		return Access{}, ErrInvalid
	}
	return Access{
		ID: c.standard.ID, GrantID: c.Grant, UserID: userID, ClientID: c.Client, Org: c.Org, Env: c.Environment, Scope: c.Scope,
		AMR: c.AMR, ACR: c.ACR, AuthTime: time.Unix(c.AuthTime, 0).UTC(), Expiry: time.Unix(c.Expiry, 0).UTC(),
	}, nil
}
