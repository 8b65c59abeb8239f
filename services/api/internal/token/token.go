// Package token makes and reads tokens: access tokens of API keys, of end users
// and of apps, and ID tokens.
//
// All are JWTs, in one of three shapes, which is the client's. API keys get
// what the contract's client SDKs demand (RS256, typ JWT, the issuer in header
// and payload), for themselves and for the users that log in to them. Apps get
// what the standards say (RFC 9068 and OpenID Connect Core, see standard.go), or
// what the contract's gateway clients read (see gateway.go).
//
// An API key's token says which key it was made for and no more that is
// believed: scopes and state of the key are read at every call, so a revoked
// key ends its tokens at once. An end user's names its grant, which package
// grant knows to be alive or not.
//
// Each kind is read by a method of its own and by no other: [Service.Read],
// [Service.ReadUser], [Service.ReadApp], [Service.ReadHint]. Keys rotate: see
// keys.go.
package token

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/id"
)

// How long tokens live.
const (
	Life     = time.Hour        // an API key's
	UserLife = 10 * time.Minute // an end user's access and ID token, and an app's own
)

const (
	maxSize = 8 << 10 // bytes, before anything is parsed
	skew    = 60      // seconds that another replica's clock may be ahead
)

// form is what stands in the header of a kind of token, beside the key: no kind
// is read in the form of another (RFC 8725 3.11).
type form struct {
	typ       string
	algorithm jose.SignatureAlgorithm
}

// The forms.
var (
	contract   = form{"JWT", jose.RS256}    // all that the contract's clients read
	accessES   = form{"at+jwt", jose.ES256} // RFC 9068
	identityES = form{"JWT", jose.ES256}    // ID tokens of apps
	identityRS = form{"JWT", jose.RS256}    // ID tokens of apps that read no ES256
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
	Store Store
	Keys  Sealer
	// Issuer is the base URL, without a slash at its end. It is the issuer of
	// standard tokens; for the contract's, the path of the account or the
	// organization is added.
	Issuer string
	Now    func() time.Time

	mu      sync.RWMutex
	ring    *ring
	asking  sync.Mutex
	asked   time.Time // when an unknown key id made us ask the store; under asking
	loading sync.Mutex
}

// registered claims, as RFC 7519 4.1 calls them, of every token.
type registered struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti,omitempty"`
	IssuedAt  int64  `json:"iat"`
	Expiry    int64  `json:"exp"`
	NotBefore int64  `json:"nbf,omitempty"` // never set by us, but obeyed
}

// claims of an API key's token: the union that every reading of the contract
// accepts.
type claims struct {
	registered
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
	issuer := s.issuer(k.AccountDomain)
	return s.sign(ctx, draft{contract, issuer, claims{
		registered: s.registered(issuer, k.ID, Life),
		Type:       typeAPIKey, TokenType: kindAPIKey, Version: 1, Database: k.Env, Environment: k.Env,
		Org: k.AccountDomain, Tenant: k.AccountDomain, Client: k.ID, Scope: strings.Join(k.Scopes, " "),
	}})
}

// Read verifies an API key's token and returns the id of its key with the
// account and environment it was made for. It returns ErrInvalid, or a store's
// fault.
func (s *Service) Read(ctx context.Context, raw secret.Text) (keyID, account, env string, err error) {
	var c claims
	if err := s.verify(ctx, raw, contract, &c); err != nil {
		return "", "", "", err
	}
	if c.Type != typeAPIKey || c.TokenType != kindAPIKey || c.Tenant == "" || !s.holds(c.registered, s.issuer(c.Tenant)) {
		return "", "", "", ErrInvalid
	}
	return c.Client, c.Tenant, c.Environment, nil
}

// issuer is who signs the contract's tokens for an account or an organization.
func (s *Service) issuer(domain string) string { return s.Issuer + "/t/" + domain }

func (s *Service) registered(issuer, subject string, life time.Duration) registered {
	now := s.Now()
	return registered{
		Issuer: issuer, Subject: subject, ID: id.UUID(),
		// Client SDKs demand that iat lies strictly in the past.
		IssuedAt: now.Unix() - 1, Expiry: now.Add(life).Unix(),
	}
}

// holds checks what is the same for every kind: issuer and times.
func (s *Service) holds(c registered, issuer string) bool {
	return s.Now().Unix() < c.Expiry && s.begun(c, issuer)
}

// begun is holds for what may have expired.
func (s *Service) begun(c registered, issuer string) bool {
	now := s.Now().Unix()
	return c.Issuer == issuer && c.IssuedAt <= now+skew && c.NotBefore <= now+skew
}

// draft is a token that is not signed yet.
type draft struct {
	form
	issuer string // for the header, where the contract's clients read it; empty: not there
	claims any
}

// sign makes a token of a draft, by the key of its algorithm.
func (s *Service) sign(ctx context.Context, d draft) (secret.Text, error) {
	key, err := s.signer(ctx, d.algorithm)
	if err != nil {
		return secret.Text{}, err
	}
	signer, err := key.signer(d)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make signer: %w", err)
	}
	payload, err := json.Marshal(d.claims)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode claims: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign token: %w", err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		return secret.Text{}, fmt.Errorf("write token: %w", err)
	}
	return secret.New(raw), nil
}
