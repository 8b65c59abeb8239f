package token

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
)

// Signing keys are rows, sealed. A new one is published as soon as it is there
// and signs from its start on; the one before it goes on verifying until
// nobody can have a token of it any more. All of it follows from the rows and
// the clock, so replicas agree without talking to each other.

const (
	rsaBits    = 2048
	purposeKey = "token.signing_key"
	// reloadAtMost is how often an unknown kid may ask the store: kids are
	// chosen by whoever sends the token.
	reloadAtMost = time.Second
	// reloadEvery is how old what a replica knows may be.
	reloadEvery = time.Minute
	// staysFor is how long a key verifies after its successor has started:
	// the longest life of a token, and a day.
	staysFor = Life + 24*time.Hour
)

// Lead is how long a new key is published before it signs: by then every
// replica has loaded it, and what a client's cache has kept of the published
// keys ([PublicLife]) is over.
const Lead = 2 * time.Minute

// ErrRotated answers to one of two rotations at the same moment.
var ErrRotated = fault.New(fault.Conflict, "signing_key_rotated", "somebody else has just added a signing key; look at the list")

// SigningKey is a private key at rest.
type SigningKey struct {
	ID        string
	Algorithm string
	Sealed    []byte // PKCS #8, sealed with the key id as associated data
	CreatedAt time.Time
	StartsAt  time.Time // when it begins to sign; zero means when it was made
}

// Store keeps signing keys.
type Store interface {
	// SigningKeys lists them, newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddFirstSigningKey stores k unless there is one already, in one
	// statement: of many replicas that start at once one succeeds.
	AddFirstSigningKey(ctx context.Context, k SigningKey) error
	// AddSigningKey stores k as the next one, or returns ErrRotated unless
	// the newest one has the id after.
	AddSigningKey(ctx context.Context, k SigningKey, after string) error
}

// Sealer seals and opens private keys.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// State is what a signing key is good for at this moment.
type State string

// The states.
const (
	Next      State = "next"      // published, does not sign yet
	Signing   State = "signing"   // makes the tokens
	Verifying State = "verifying" // published, still verifies old tokens
	Retired   State = "retired"   // does nothing any more
)

// KeyStatus is a signing key without its secret.
type KeyStatus struct {
	ID        string
	State     State
	CreatedAt time.Time
	StartsAt  time.Time
	LeavesAt  time.Time // zero while it has no successor
}

// ring is what a replica knows of the keys, newest first. It is never changed,
// only replaced.
type ring struct {
	keys   []key
	loaded time.Time
}

// key is one of them. Retired keys are not opened: what sealed them may be
// gone, too.
type key struct {
	id          string
	created     time.Time
	starts      time.Time
	leaves      time.Time
	private     *rsa.PrivateKey
	certificate []byte
}

func (k key) retired(now time.Time) bool { return !k.leaves.IsZero() && !now.Before(k.leaves) }

// active is the newest key that has started. Where the clock of whoever made
// the only one is ahead of ours, it is that one.
func (r *ring) active(now time.Time) *key {
	for i := range r.keys {
		if !r.keys[i].starts.After(now) {
			return &r.keys[i]
		}
	}
	return &r.keys[len(r.keys)-1]
}

func (r *ring) find(id string) *key {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// Prepare makes sure that a signing key exists and is loaded.
func (s *Service) Prepare(ctx context.Context) error {
	_, err := s.signer(ctx)
	return err
}

// Rotate adds the next signing key, which signs after lead. It returns
// ErrRotated when somebody else did so at the same moment.
func (s *Service) Rotate(ctx context.Context, lead time.Duration) (KeyStatus, error) {
	if lead < 0 {
		return KeyStatus{}, fault.New(fault.Invalid, "invalid_parameter", "a signing key cannot start in the past")
	}
	known, err := s.load(ctx)
	if err != nil {
		return KeyStatus{}, err
	}
	made, err := s.make()
	if err != nil {
		return KeyStatus{}, err
	}
	made.StartsAt = made.CreatedAt.Add(lead)
	if err := s.Store.AddSigningKey(ctx, made, known.keys[0].id); err != nil {
		return KeyStatus{}, err
	}
	all, err := s.List(ctx)
	if err != nil {
		return KeyStatus{}, err
	}
	return all[0], nil
}

// List returns all signing keys, newest first.
func (s *Service) List(ctx context.Context) ([]KeyStatus, error) {
	known, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	active := known.active(now)
	var out []KeyStatus
	for i := range known.keys {
		k := &known.keys[i]
		status := KeyStatus{ID: k.id, State: Verifying, CreatedAt: k.created, StartsAt: k.starts, LeavesAt: k.leaves}
		switch {
		case k == active:
			status.State = Signing
		case k.retired(now):
			status.State = Retired
		case k.starts.After(now):
			status.State = Next
		}
		out = append(out, status)
	}
	return out, nil
}

// signer returns the key that signs now.
func (s *Service) signer(ctx context.Context) (*key, error) {
	known, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	active := known.active(s.Now())
	if active.private == nil {
		return nil, fmt.Errorf("signing key %s is retired", active.id)
	}
	return active, nil
}

// verifier finds the key of a token. One that is not known yet may be
// another replica's new one, so the store is asked.
func (s *Service) verifier(ctx context.Context, kid string) (*key, error) {
	known, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if known.find(kid) == nil {
		if known, err = s.ask(ctx, kid); err != nil {
			return nil, err
		}
	}
	found := known.find(kid)
	if found == nil || found.private == nil || found.retired(s.Now()) {
		return nil, ErrInvalid
	}
	return found, nil
}

// ask looks for a key id that is not known, at most once a second. Whoever
// comes while somebody asks waits for that answer: it may be about the same
// key.
func (s *Service) ask(ctx context.Context, kid string) (*ring, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.mu.RLock()
	known := s.ring
	s.mu.RUnlock()
	now := s.Now()
	if known.find(kid) != nil || now.Sub(s.asked) < reloadAtMost {
		return known, nil
	}
	s.asked = now
	return s.load(ctx)
}

// current returns what is known of the keys, and looks again once a minute.
// One caller does that while the others go on with what there is; where the
// store does not answer, all do.
func (s *Service) current(ctx context.Context) (*ring, error) {
	s.mu.RLock()
	known := s.ring
	s.mu.RUnlock()
	if known == nil {
		return s.load(ctx)
	}
	if s.Now().Sub(known.loaded) < reloadEvery || !s.loading.TryLock() {
		return known, nil
	}
	defer s.loading.Unlock()
	fresh, err := s.load(ctx)
	if err != nil {
		return known, nil //nolint:nilerr // the old keys are good, and the next call tries again
	}
	return fresh, nil
}

// load asks the store, and makes the first key where there is none.
func (s *Service) load(ctx context.Context) (*ring, error) {
	asOf := s.Now() // the answer may be late, and what it says is no newer for that
	stored, err := s.Store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		first, err := s.make()
		if err != nil {
			return nil, err
		}
		if err := s.Store.AddFirstSigningKey(ctx, first); err != nil {
			return nil, err
		}
		if stored, err = s.Store.SigningKeys(ctx); err != nil {
			return nil, err
		}
	}
	if len(stored) == 0 {
		return nil, errors.New("there is no signing key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, err := s.merge(stored, asOf)
	if err != nil {
		return nil, err
	}
	s.ring = known
	return known, nil
}

// merge makes a ring of the rows. Keys that are known already are not opened
// again. A list that is older than what is known, by a read that was overtaken
// by another, does not replace it.
func (s *Service) merge(stored []SigningKey, asOf time.Time) (*ring, error) {
	now := s.Now()
	if s.ring != nil && len(stored) < len(s.ring.keys) {
		return s.ring, nil
	}
	next := &ring{keys: make([]key, len(stored)), loaded: asOf}
	var successor time.Time // the earliest start among the newer ones
	for i, row := range stored {
		k := key{id: row.ID, created: row.CreatedAt, starts: row.StartsAt}
		if k.starts.IsZero() {
			k.starts = row.CreatedAt
		}
		if i > 0 {
			k.leaves = successor.Add(staysFor)
		}
		if i == 0 || k.starts.Before(successor) {
			successor = k.starts
		}
		var before *key
		if s.ring != nil {
			before = s.ring.find(row.ID)
		}
		switch {
		case k.retired(now):
		case before != nil && before.private != nil:
			k.private, k.certificate = before.private, before.certificate
		default:
			if err := s.open(&k, row); err != nil {
				return nil, err
			}
		}
		next.keys[i] = k
	}
	return next, nil
}

func (s *Service) make() (SigningKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return SigningKey{}, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return SigningKey{}, fmt.Errorf("encode signing key: %w", err)
	}
	kid := id.UUID()
	sealed, err := s.Keys.Seal(purposeKey, kid, der)
	if err != nil {
		return SigningKey{}, fmt.Errorf("seal signing key: %w", err)
	}
	return SigningKey{ID: kid, Algorithm: string(algorithm), Sealed: sealed, CreatedAt: s.Now()}, nil
}

func (s *Service) open(k *key, row SigningKey) error {
	der, err := s.Keys.Open(purposeKey, row.ID, row.Sealed)
	if err != nil {
		return fmt.Errorf("open signing key %s (were COUNTERSIGN_SEAL_KEYS replaced?): %w", row.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("decode signing key %s: %w", row.ID, err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("signing key %s is not RSA", row.ID)
	}
	k.private = private
	k.certificate, err = certify(*k)
	return err
}
