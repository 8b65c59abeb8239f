package token

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign.dev/pkg/fault"
)

// Signing keys are rows, sealed. A new one is published as soon as it is there
// and signs from its start on; the one before it goes on verifying until
// nobody can have a token of it any more. Each algorithm has its own row of
// keys, which knows nothing of the other. All of it follows from the rows and
// the clock, so replicas agree without talking to each other.

// What tokens are signed by (RFC 7518 3.1): ES256 where a client reads the
// standards, RS256 where it reads nothing else.
const (
	ES256 = string(jose.ES256)
	RS256 = string(jose.RS256)
)

// Algorithms lists what there are keys for.
func Algorithms() []string { return []string{ES256, RS256} }

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
	// SigningKeys lists them, those of RS256 before those of ES256 and each
	// newest first.
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// AddFirstSigningKey stores k unless there is one of its algorithm
	// already, in one statement: of many replicas that start at once one
	// succeeds.
	AddFirstSigningKey(ctx context.Context, k SigningKey) error
	// AddSigningKey stores k as the next one of its algorithm, or returns
	// ErrRotated unless the newest one of that has the id after.
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
	Algorithm string // ES256 or RS256
	State     State
	CreatedAt time.Time
	StartsAt  time.Time
	LeavesAt  time.Time // zero while it has no successor
}

// Prepare makes sure that a signing key of each algorithm exists and is loaded.
func (s *Service) Prepare(ctx context.Context) error {
	_, err := s.current(ctx)
	return err
}

// Rotate adds the next signing key of each algorithm that is named, which signs
// after lead; none names all. It returns ErrRotated when somebody else did so
// at the same moment.
func (s *Service) Rotate(ctx context.Context, lead time.Duration, algorithms ...string) ([]KeyStatus, error) {
	if lead < 0 {
		return nil, fault.New(fault.Invalid, "invalid_parameter", "a signing key cannot start in the past")
	}
	if len(algorithms) == 0 {
		algorithms = Algorithms()
	}
	known, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	var added []string
	for _, name := range algorithms {
		newest := known.newest(jose.SignatureAlgorithm(name))
		if newest == nil {
			return nil, fault.New(fault.Invalid, "invalid_parameter", "a signing key is for ES256 or for RS256")
		}
		made, err := s.make(newest.algorithm)
		if err != nil {
			return nil, err
		}
		made.StartsAt = made.CreatedAt.Add(lead)
		if err := s.Store.AddSigningKey(ctx, made, newest.id); err != nil {
			return nil, err
		}
		added = append(added, made.ID)
	}
	all, err := s.List(ctx)
	return slices.DeleteFunc(all, func(k KeyStatus) bool { return !slices.Contains(added, k.ID) }), err
}

// List returns all signing keys, newest first within each algorithm.
func (s *Service) List(ctx context.Context) ([]KeyStatus, error) {
	known, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var out []KeyStatus
	for i := range known.keys {
		k := &known.keys[i]
		status := KeyStatus{
			ID: k.id, Algorithm: string(k.algorithm), State: Verifying, CreatedAt: k.created, StartsAt: k.starts, LeavesAt: k.leaves,
		}
		switch {
		case k == known.active(k.algorithm, now):
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

// signer returns the key of an algorithm that signs now.
func (s *Service) signer(ctx context.Context, algorithm jose.SignatureAlgorithm) (*key, error) {
	known, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	active := known.active(algorithm, s.Now())
	if active == nil || active.private == nil {
		return nil, fmt.Errorf("no signing key for %s is good", algorithm)
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

// load asks the store, and makes the first key of an algorithm that has none.
func (s *Service) load(ctx context.Context) (*ring, error) {
	asOf := s.Now() // the answer may be late, and what it says is no newer for that
	stored, err := s.Store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	added := false
	for _, algorithm := range Algorithms() {
		if slices.ContainsFunc(stored, func(k SigningKey) bool { return k.Algorithm == algorithm }) {
			continue
		}
		first, err := s.make(jose.SignatureAlgorithm(algorithm))
		if err != nil {
			return nil, err
		}
		if err := s.Store.AddFirstSigningKey(ctx, first); err != nil {
			return nil, err
		}
		added = true
	}
	if added {
		if stored, err = s.Store.SigningKeys(ctx); err != nil {
			return nil, err
		}
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
