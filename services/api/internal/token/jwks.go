package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// PublicLife is how long the published keys may be kept.
const PublicLife = time.Minute

// PublicKey is a signing key as it is published (RFC 7517, RFC 7518 6): nothing
// in it is secret. An RSA key has Modulus and Exponent, one of an elliptic
// curve has Curve, X and Y.
type PublicKey struct {
	ID          string
	Type        string // RSA or EC
	Algorithm   string // RS256 or ES256
	Modulus     string // base64url
	Exponent    string // base64url
	Curve       string // P-256
	X, Y        string // base64url of 32 bytes each
	Certificate string // DER in base64, self-signed: some clients read nothing else
}

// PublicKeys lists the keys that verify, newest first within each algorithm,
// with those that will sign next. It asks the store each time: a client comes
// here when it has seen a key that it does not know, and must not get an old
// answer.
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
		public, err := publish(k)
		if err != nil {
			return nil, err
		}
		out = append(out, public)
	}
	return out, nil
}

func publish(k key) (PublicKey, error) {
	out := PublicKey{ID: k.id, Algorithm: string(k.algorithm), Certificate: base64.StdEncoding.EncodeToString(k.certificate)}
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		out.Type, out.Modulus, out.Exponent = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, X, Y, each of the curve's whole size (SEC 1 2.3.3)
		if err != nil {
			return PublicKey{}, fmt.Errorf("encode signing key %s: %w", k.id, err)
		}
		half := (len(point) - 1) / 2
		out.Type, out.Curve, out.X, out.Y = "EC", "P-256", encode(point[1:1+half]), encode(point[1+half:])
	}
	return out, nil
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// certificateLife is longer than anybody keeps a key. Nobody checks it: what
// verifies a token is the key, and what ends a key is that it is published no
// more.
const certificateLife = 20 * 365 * 24 * time.Hour

// certify makes the certificate of a key. Every replica makes the same bytes:
// all that is in it comes from the row, and the signature needs no random
// number, which for RSA is PKCS #1 v1.5 and for ECDSA is RFC 6979, by which
// crypto/ecdsa signs where it is given no source of them.
func certify(k key) ([]byte, error) {
	sum := sha256.Sum256([]byte(k.id))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:16]),
		Subject:      pkix.Name{CommonName: "Countersign " + k.id},
		NotBefore:    k.created.UTC().Truncate(time.Second), NotAfter: k.created.UTC().Truncate(time.Second).Add(certificateLife),
		KeyUsage:           x509.KeyUsageDigitalSignature,
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	if k.algorithm == jose.ES256 {
		template.SignatureAlgorithm = x509.ECDSAWithSHA256
	}
	der, err := x509.CreateCertificate(nil, template, template, k.private.Public(), k.private)
	if err != nil {
		return nil, fmt.Errorf("make certificate of signing key %s: %w", k.id, err)
	}
	return der, nil
}
