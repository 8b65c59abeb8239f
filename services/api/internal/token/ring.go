package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign.dev/services/api/internal/id"
)

// ring is what a replica knows of the keys, newest first within each
// algorithm. It is never changed, only replaced.
type ring struct {
	keys   []key
	loaded time.Time
}

// key is one of them. Retired keys are not opened: what sealed them may be
// gone, too.
type key struct {
	id          string
	algorithm   jose.SignatureAlgorithm // the only one that it signs and verifies by
	created     time.Time
	starts      time.Time
	leaves      time.Time
	private     crypto.Signer
	certificate []byte
	// signers are ready for each typ whose header is the same in all tokens.
	signers map[string]jose.Signer
}

func (k key) retired(now time.Time) bool { return !k.leaves.IsZero() && !now.Before(k.leaves) }

// active is the newest key of an algorithm that has started. Where the clock
// of whoever made the only one is ahead of ours, it is that one.
func (r *ring) active(algorithm jose.SignatureAlgorithm, now time.Time) *key {
	var oldest *key
	for i := range r.keys {
		k := &r.keys[i]
		if k.algorithm != algorithm {
			continue
		}
		if !k.starts.After(now) {
			return k
		}
		oldest = k
	}
	return oldest
}

// newest is the last key that was added of an algorithm, nil where there is
// none yet.
func (r *ring) newest(algorithm jose.SignatureAlgorithm) *key {
	for i := range r.keys {
		if r.keys[i].algorithm == algorithm {
			return &r.keys[i]
		}
	}
	return nil
}

// signer makes what signs a draft, or takes the one that is ready.
func (k *key) signer(d draft) (jose.Signer, error) {
	if ready := k.signers[d.typ]; ready != nil && d.issuer == "" {
		return ready, nil
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(d.typ)).WithHeader("kid", k.id)
	if d.issuer != "" {
		options = options.WithHeader("iss", d.issuer)
	}
	return jose.NewSigner(jose.SigningKey{Algorithm: k.algorithm, Key: k.private}, options)
}

func (r *ring) find(id string) *key {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
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
	successors := map[string]time.Time{} // the earliest start among the newer ones of an algorithm
	for i, row := range stored {
		k := key{id: row.ID, algorithm: jose.SignatureAlgorithm(row.Algorithm), created: row.CreatedAt, starts: row.StartsAt}
		if k.starts.IsZero() {
			k.starts = row.CreatedAt
		}
		successor, replaced := successors[row.Algorithm]
		if replaced {
			k.leaves = successor.Add(staysFor)
		}
		if !replaced || k.starts.Before(successor) {
			successors[row.Algorithm] = k.starts
		}
		var before *key
		if s.ring != nil {
			before = s.ring.find(row.ID)
		}
		switch {
		case k.retired(now):
		case before != nil && before.private != nil:
			k.private, k.certificate, k.signers = before.private, before.certificate, before.signers
		default:
			if err := s.open(&k, row); err != nil {
				return nil, err
			}
		}
		next.keys[i] = k
	}
	return next, nil
}

// make makes a key, sealed.
func (s *Service) make(algorithm jose.SignatureAlgorithm) (SigningKey, error) {
	private, err := generate(algorithm)
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

func generate(algorithm jose.SignatureAlgorithm) (crypto.Signer, error) {
	if algorithm == jose.ES256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, rsaBits)
}

// open opens the key of a row, which must be one of the row's algorithm.
func (s *Service) open(k *key, row SigningKey) error {
	der, err := s.Keys.Open(purposeKey, row.ID, row.Sealed)
	if err != nil {
		return fmt.Errorf("open signing key %s (were COUNTERSIGN_SEAL_KEYS replaced?): %w", row.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("decode signing key %s: %w", row.ID, err)
	}
	switch private := parsed.(type) {
	case *rsa.PrivateKey:
		if k.algorithm == jose.RS256 {
			k.private = private
		}
	case *ecdsa.PrivateKey:
		if k.algorithm == jose.ES256 && private.Curve == elliptic.P256() {
			k.private = private
		}
	}
	if k.private == nil {
		return fmt.Errorf("signing key %s is none for %s", row.ID, row.Algorithm)
	}
	signers := map[string]jose.Signer{}
	for _, as := range []form{accessES, identityES, identityRS} {
		if as.algorithm != k.algorithm {
			continue
		}
		if signers[as.typ], err = k.signer(draft{form: as}); err != nil {
			return fmt.Errorf("make signer of %s: %w", row.ID, err)
		}
	}
	k.signers = signers
	k.certificate, err = certify(*k)
	return err
}
