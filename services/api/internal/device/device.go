// Package device owns the browsers that a user is known to sign in from.
//
// A browser in which somebody has completed a sign-in gets 256 random bits in a
// cookie, of which a digest is kept beside the user. It opens nothing. It says
// from where a password is tried, so that package guard can count those tries
// apart from everybody else's: who guesses from elsewhere cannot keep a user
// out of it, and who has stolen it has ten guesses more.
//
// One browser may be known to several users, under one cookie. Package flow
// calls [Service.Know] at the end of a sign-in, which replaces the bits each
// time: what somebody planted or saw before is worth nothing after.
package device

import (
	"context"
	"crypto/sha256"
	"regexp"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

const (
	// Life is how long a browser is known after a sign-in.
	Life = 365 * 24 * time.Hour
	// Most are the browsers that a user is known by; of more, the ones fall out
	// whose last sign-in is the longest ago.
	Most = 10
)

// Device is a browser that a user has signed in with.
type Device struct {
	Tenant    tenant.ID
	UserID    string
	Digest    []byte // of its cookie
	SeenAt    time.Time
	ExpiresAt time.Time
}

// Store keeps devices.
type Store interface {
	// KnowDevice stores a device without guesses, drops what its user has beyond
	// so many, and gives the users who know the browser by the digest of old the
	// new one, in one transaction. A nil old is known to nobody. It returns a
	// fault of kind NotFound when the user is gone.
	KnowDevice(ctx context.Context, d Device, old []byte, most int) error
}

// Service is the rules of known devices.
type Service struct {
	Store Store
	Now   func() time.Time
}

// Know notes that a user has signed in with a browser, and returns what it is
// known by from now on. Have is what it was known by, to whomever; anything of
// another shape is nothing.
func (s *Service) Know(ctx context.Context, t tenant.ID, userID string, have secret.Text) (secret.Text, error) {
	var old []byte
	if Shaped(have) {
		old = Digest(have)
	}
	token, now := id.Token(), s.Now().Truncate(time.Millisecond)
	err := s.Store.KnowDevice(ctx, Device{Tenant: t, UserID: userID, Digest: Digest(token), SeenAt: now, ExpiresAt: now.Add(Life)}, old, Most)
	if err != nil {
		return secret.Text{}, err
	}
	return token, nil
}

var shape = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// Shaped reports whether a text can be 256 bits of ours.
func Shaped(text secret.Text) bool { return shape.MatchString(text.Reveal()) }

// Digest is the stored form of 256 random bits: nobody can try candidates.
func Digest(token secret.Text) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}
