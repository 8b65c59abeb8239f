package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// LogoutLife is how long a browser has to come with the code of a logout.
const LogoutLife = 5 * time.Minute

// ErrLogout answers for every code of a logout that is not good, without
// saying why.
var ErrLogout = fault.New(fault.Malformed, "invalid_logout_code", "the logout code is unknown, expired, used, or was made for another client")

// Logout is a logout that an app has begun by revoking its tokens, and that
// the browser has still to finish: the session is known to its cookie alone.
type Logout struct {
	Tenant    tenant.ID `json:"tenant"`
	SessionID string    `json:"session_id"` // the one that the revoked tokens came of
	ClientID  string    `json:"client_id"`  // who has revoked them
}

// Values is the part of the ephemeral store that holds logouts.
type Values interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Delete(ctx context.Context, key string) (bool, error)
}

// Logouts keeps logouts until the browser comes: single logout of the
// contract's gateway, whose revocation answers with a slo_code.
type Logouts struct{ Values Values }

// Offer returns the code with which a browser may finish a logout, once, within
// [LogoutLife].
func (s *Logouts) Offer(ctx context.Context, l Logout) (secret.Text, error) {
	value, err := json.Marshal(l)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode logout: %w", err)
	}
	code := id.Token()
	return code, s.Values.Put(ctx, logoutKey(code), value, LogoutLife)
}

// Take uses a code up and returns its logout. One that a client shows to whom
// it was not given is used up too. It returns ErrLogout.
func (s *Logouts) Take(ctx context.Context, code secret.Text, clientID string) (Logout, error) {
	key := logoutKey(code)
	value, err := s.Values.Get(ctx, key)
	if err != nil {
		return Logout{}, err
	}
	mine, err := s.Values.Delete(ctx, key)
	if err != nil {
		return Logout{}, err
	}
	if value == nil || !mine {
		return Logout{}, ErrLogout
	}
	var l Logout
	if err := json.Unmarshal(value, &l); err != nil {
		return Logout{}, fmt.Errorf("decode logout: %w", err)
	}
	if l.ClientID != clientID {
		return Logout{}, ErrLogout
	}
	return l, nil
}

// logoutKey has the digest of a code: who reads the store cannot use it.
func logoutKey(code secret.Text) string {
	sum := sha256.Sum256([]byte(code.Reveal()))
	return "logout:" + base64.RawURLEncoding.EncodeToString(sum[:])
}
