// Package token makes and reads access tokens: those of API keys, and those of
// end users with their ID tokens.
//
// They are JWTs in the shape that the contract's client SDKs demand (RS256,
// typ JWT, the issuer in header and payload). An API key's token says which
// key it was made for and no more that is believed: scopes and state of the
// key are read at every call, so a revoked key ends its tokens at once. An end
// user's names its grant, which package grant knows to be alive or not.
//
// Each kind is read by a method of its own and by no other: [Service.Read],
// [Service.ReadUser]; an ID token is read by none. Keys rotate: see keys.go.
package token

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/id"
)

// How long tokens live.
const (
	Life     = time.Hour        // an API key's
	UserLife = 10 * time.Minute // an end user's access and ID token
)

const (
	algorithm = jose.RS256
	maxSize   = 8 << 10 // bytes, before anything is parsed
	skew      = 60      // seconds that another replica's clock may be ahead
)

// The kinds of tokens, as the claims type and jtt name them.
const (
	typeAPIKey = "api_v2"
	kindAPIKey = "api_key"
	kindAccess = "access"
	kindID     = "openid"
)

// ErrInvalid answers for every token that is not good, without saying why.
var ErrInvalid = fault.New(fault.Unauthorized, "unauthorized", "the access token is missing, expired or not valid; get one from /api/v2/oauth/token")

// Service makes and reads tokens.
type Service struct {
	Store  Store
	Keys   Sealer
	Issuer string // base URL; the path of the account or organization is added
	Now    func() time.Time

	mu      sync.RWMutex
	ring    *ring
	asking  sync.Mutex
	asked   time.Time // when an unknown key id made us ask the store; under asking
	loading sync.Mutex
}

// standard claims of every token.
type standard struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti"`
	IssuedAt  int64  `json:"iat"`
	Expiry    int64  `json:"exp"`
	NotBefore int64  `json:"nbf,omitempty"` // never set by us, but obeyed
}

// claims of an API key's token: the union that every reading of the contract
// accepts.
type claims struct {
	standard
	Type        string `json:"type"`
	TokenType   string `json:"jtt"`
	Version     int    `json:"ver"`
	Database    string `json:"dbs"`
	Environment string `json:"env"`
	Org         string `json:"org"`
	Tenant      string `json:"tnt"`
	Client      string `json:"cid"`
	Scope       string `json:"scp"`
}

// Issue makes a token for a key.
func (s *Service) Issue(ctx context.Context, k apikey.Key) (secret.Text, error) {
	return s.sign(ctx, s.issuer(k.AccountDomain), claims{
		standard: s.standard(s.issuer(k.AccountDomain), k.ID, Life),
		Type:     typeAPIKey, TokenType: kindAPIKey, Version: 1, Database: k.Env, Environment: k.Env,
		Org: k.AccountDomain, Tenant: k.AccountDomain, Client: k.ID, Scope: strings.Join(k.Scopes, " "),
	})
}

// Read verifies an API key's token and returns the id of its key with the
// account and environment it was made for. It returns ErrInvalid, or a store's
// fault.
func (s *Service) Read(ctx context.Context, raw secret.Text) (keyID, account, env string, err error) {
	var c claims
	if err := s.verify(ctx, raw, &c); err != nil {
		return "", "", "", err
	}
	if c.Type != typeAPIKey || c.TokenType != kindAPIKey || !s.holds(c.standard, c.Tenant) {
		return "", "", "", ErrInvalid
	}
	return c.Client, c.Tenant, c.Environment, nil
}

// issuer is who signs for an account or an organization.
func (s *Service) issuer(domain string) string { return s.Issuer + "/t/" + domain }

func (s *Service) standard(issuer, subject string, life time.Duration) standard {
	now := s.Now()
	return standard{
		Issuer: issuer, Subject: subject, ID: id.UUID(),
		// Client SDKs demand that iat lies strictly in the past.
		IssuedAt: now.Unix() - 1, Expiry: now.Add(life).Unix(),
	}
}

// holds checks what is the same for every kind: issuer and times.
func (s *Service) holds(c standard, domain string) bool {
	now := s.Now().Unix()
	return domain != "" && c.Issuer == s.issuer(domain) && now < c.Expiry && c.IssuedAt <= now+skew && c.NotBefore <= now+skew
}

// sign makes a token of claims, with the header that the contract wants.
func (s *Service) sign(ctx context.Context, issuer string, claims any) (secret.Text, error) {
	key, err := s.signer(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", key.id).WithHeader("iss", issuer)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key.private}, options)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make signer: %w", err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign token: %w", err)
	}
	return secret.New(raw), nil
}

// verify checks size, form, algorithm, type and signature, in this order, and
// reads the claims. Of the header it believes the key id alone, which names
// one of our own keys or nothing.
func (s *Service) verify(ctx context.Context, raw secret.Text, into any) error {
	text := raw.Reveal()
	if len(text) > maxSize || strings.Count(text, ".") != 2 {
		return ErrInvalid
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{algorithm})
	if err != nil || len(parsed.Headers) != 1 {
		return ErrInvalid.Because(err)
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "JWT" {
		return ErrInvalid
	}
	key, err := s.verifier(ctx, header.KeyID)
	if err != nil {
		return err
	}
	if err := parsed.Claims(&key.private.PublicKey, into); err != nil {
		return ErrInvalid.Because(err)
	}
	return nil
}
