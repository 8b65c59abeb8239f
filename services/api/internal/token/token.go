// Package token makes and reads the access tokens of API keys.
//
// They are JWTs in the shape that the contract's client SDKs demand (RS256,
// typ JWT, the issuer in header and payload). A token says which key it was
// made for and no more that is believed: scopes and state of the key are read
// at every call, so a revoked key ends its tokens at once.
package token

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
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

// Life of an API key's token.
const Life = time.Hour

const (
	algorithm    = jose.RS256
	kindAPIKey   = "api_v2"
	maxSize      = 8 << 10 // bytes, before anything is parsed
	rsaBits      = 2048
	purposeKey   = "token.signing_key"
	reloadAtMost = time.Second // how often an unknown kid may ask the store
)

// ErrInvalid answers for every token that is not good, without saying why.
var ErrInvalid = fault.New(fault.Unauthorized, "unauthorized", "the access token is missing, expired or not valid; get one from /api/v2/oauth/token")

// SigningKey is a private key at rest.
type SigningKey struct {
	ID        string
	Algorithm string
	Sealed    []byte // PKCS #8, sealed with the key id as associated data
	CreatedAt time.Time
}

// Store keeps signing keys.
type Store interface {
	// SigningKeys lists them, newest first: the first one signs.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddFirstSigningKey stores k unless there is one already, in one
	// statement: of many replicas that start at once one succeeds.
	AddFirstSigningKey(ctx context.Context, k SigningKey) error
}

// Sealer seals and opens private keys.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Service makes and reads tokens.
type Service struct {
	Store  Store
	Keys   Sealer
	Issuer string // base URL; the account's path is added
	Now    func() time.Time

	mu     sync.RWMutex
	byID   map[string]*rsa.PrivateKey
	active string
	loaded time.Time
}

// claims of an API key's token: the union that every reading of the contract
// accepts.
type claims struct {
	Type        string `json:"type"`
	TokenType   string `json:"jtt"`
	Version     int    `json:"ver"`
	Database    string `json:"dbs"`
	Environment string `json:"env"`
	Org         string `json:"org"`
	Tenant      string `json:"tnt"`
	Client      string `json:"cid"`
	Subject     string `json:"sub"`
	Issuer      string `json:"iss"`
	ID          string `json:"jti"`
	Scope       string `json:"scp"`
	IssuedAt    int64  `json:"iat"`
	Expiry      int64  `json:"exp"`
}

// Issue makes a token for a key.
func (s *Service) Issue(ctx context.Context, k apikey.Key) (secret.Text, error) {
	kid, private, err := s.signer(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	issuer := s.issuer(k.AccountDomain)
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid).WithHeader("iss", issuer)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, options)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make signer: %w", err)
	}
	now := s.Now()
	raw, err := jwt.Signed(signer).Claims(claims{
		Type: kindAPIKey, TokenType: "api_key", Version: 1, Database: k.Env, Environment: k.Env,
		Org: k.AccountDomain, Tenant: k.AccountDomain, Client: k.ID, Subject: k.ID, Issuer: issuer, ID: id.UUID(),
		Scope: strings.Join(k.Scopes, " "),
		// Client SDKs demand that iat lies strictly in the past.
		IssuedAt: now.Unix() - 1, Expiry: now.Add(Life).Unix(),
	}).Serialize()
	if err != nil {
		return secret.Text{}, fmt.Errorf("sign token: %w", err)
	}
	return secret.New(raw), nil
}

// Read verifies a token and returns the id of its key with the account and
// environment it was made for. It returns ErrInvalid, or a store's fault.
func (s *Service) Read(ctx context.Context, raw secret.Text) (keyID, account, env string, err error) {
	text := raw.Reveal()
	if len(text) > maxSize || strings.Count(text, ".") != 2 {
		return "", "", "", ErrInvalid
	}
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{algorithm})
	if err != nil || len(parsed.Headers) != 1 {
		return "", "", "", ErrInvalid.Because(err)
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != "JWT" {
		return "", "", "", ErrInvalid
	}
	private, err := s.key(ctx, header.KeyID)
	if err != nil {
		return "", "", "", err
	}
	var c claims
	if err := parsed.Claims(&private.PublicKey, &c); err != nil {
		return "", "", "", ErrInvalid.Because(err)
	}
	now := s.Now().Unix()
	if c.Type != kindAPIKey || c.Issuer != s.issuer(c.Tenant) || now >= c.Expiry || c.IssuedAt > now+60 {
		return "", "", "", ErrInvalid
	}
	return c.Client, c.Tenant, c.Environment, nil
}

func (s *Service) issuer(account string) string { return s.Issuer + "/t/" + account }

// Prepare makes sure that a signing key exists and is loaded.
func (s *Service) Prepare(ctx context.Context) error {
	_, _, err := s.signer(ctx)
	return err
}

func (s *Service) signer(ctx context.Context) (string, *rsa.PrivateKey, error) {
	s.mu.RLock()
	kid, private := s.active, s.byID[s.active]
	s.mu.RUnlock()
	if private != nil {
		return kid, private, nil
	}
	if err := s.load(ctx); err != nil {
		return "", nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.byID[s.active] == nil {
		return "", nil, errors.New("there is no signing key")
	}
	return s.active, s.byID[s.active], nil
}

// key finds the key of a token; one that is not known yet may be another
// replica's new one, so the store is asked, but not more often than once a
// second: kids are chosen by whoever sends the token.
func (s *Service) key(ctx context.Context, kid string) (*rsa.PrivateKey, error) {
	s.mu.RLock()
	private, loaded := s.byID[kid], s.loaded
	s.mu.RUnlock()
	if private != nil {
		return private, nil
	}
	if s.Now().Sub(loaded) < reloadAtMost {
		return nil, ErrInvalid
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if private := s.byID[kid]; private != nil {
		return private, nil
	}
	return nil, ErrInvalid
}

func (s *Service) load(ctx context.Context) error {
	stored, err := s.Store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		if err := s.addFirst(ctx); err != nil {
			return err
		}
		if stored, err = s.Store.SigningKeys(ctx); err != nil {
			return err
		}
	}
	keys := make(map[string]*rsa.PrivateKey, len(stored))
	for _, k := range stored {
		if keys[k.ID], err = s.open(k); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID, s.active, s.loaded = keys, stored[0].ID, s.Now()
	return nil
}

func (s *Service) addFirst(ctx context.Context) error {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode signing key: %w", err)
	}
	kid := id.UUID()
	sealed, err := s.Keys.Seal(purposeKey, kid, der)
	if err != nil {
		return fmt.Errorf("seal signing key: %w", err)
	}
	return s.Store.AddFirstSigningKey(ctx, SigningKey{ID: kid, Algorithm: string(algorithm), Sealed: sealed, CreatedAt: s.Now()})
}

func (s *Service) open(k SigningKey) (*rsa.PrivateKey, error) {
	der, err := s.Keys.Open(purposeKey, k.ID, k.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open signing key %s (were COUNTERSIGN_SEAL_KEYS replaced?): %w", k.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("decode signing key %s: %w", k.ID, err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s is not RSA", k.ID)
	}
	return private, nil
}
