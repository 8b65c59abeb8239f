package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"
)

// PublicLife is how long the published keys may be kept.
const PublicLife = time.Minute

// PublicKey is a signing key as it is published (RFC 7517): nothing in it is
// secret.
type PublicKey struct {
	ID          string
	Modulus     string // base64url
	Exponent    string // base64url
	Certificate string // DER in base64, self-signed: some clients read nothing else
}

// PublicKeys lists the keys that verify, newest first, with the one that will
// sign next. It asks the store each time: a client comes here when it has seen
// a key that it does not know, and must not get an old answer.
func (s *Service) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	known, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	var out []PublicKey
	for _, k := range known.keys {
		if k.private == nil || k.retired(now) {
			continue
		}
		public := k.private.PublicKey
		out = append(out, PublicKey{
			ID: k.id, Modulus: base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
			Exponent:    base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
			Certificate: base64.StdEncoding.EncodeToString(k.certificate),
		})
	}
	return out, nil
}

// certificateLife is longer than anybody keeps a key. Nobody checks it: what
// verifies a token is the key, and what ends a key is that it is published no
// more.
const certificateLife = 20 * 365 * 24 * time.Hour

// certify makes the certificate of a key. All that is in it comes from the row
// and the signature is PKCS #1 v1.5, so every replica makes the same bytes.
func certify(k key) ([]byte, error) {
	sum := sha256.Sum256([]byte(k.id))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:16]),
		Subject:      pkix.Name{CommonName: "Countersign " + k.id},
		NotBefore:    k.created.UTC().Truncate(time.Second), NotAfter: k.created.UTC().Truncate(time.Second).Add(certificateLife),
		KeyUsage:           x509.KeyUsageDigitalSignature,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.private.PublicKey, k.private)
	if err != nil {
		return nil, fmt.Errorf("make certificate of signing key %s: %w", k.id, err)
	}
	return der, nil
}
