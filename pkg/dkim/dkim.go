// Package dkim owns the keys with which mails are signed (RFC 6376): what is
// good as one, how a new one is made, and what the DNS must show of it.
//
// The api and the operator's tool make keys here and show their records; the
// e-mail worker reads them here and signs with its mail library.
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"countersign.dev/pkg/secret"
)

// Kind is what a key is of.
type Kind string

// The kinds. Every receiver can check RSA; Ed25519 (RFC 8463) is shorter, and
// some cannot yet.
const (
	RSA     Kind = "rsa"
	Ed25519 Kind = "ed25519"
)

// Bounds of RSA keys in bits: less is refused by receivers (RFC 8301), and a
// longer record does not fit where it has to.
const (
	leastBits = 2048
	mostBits  = 4096
)

// Longest domain and selector in characters. Longer ones would have to be
// broken in the middle when the header of a signature is folded.
const (
	longestDomain   = 70
	longestSelector = 63
)

// What may be wrong with a key, a domain or a selector.
var (
	ErrKey      = errors.New("the key is not one RSA key of 2048 to 4096 bits, or Ed25519 key, in PEM without a password")
	ErrDomain   = errors.New("the domain is not one such as example.com, of at most 70 characters")
	ErrSelector = errors.New("the selector is not letters, digits and dashes, with dots between, of at most 63 characters")
)

var nameShape = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// CheckNames returns ErrDomain or ErrSelector for what cannot stand in a
// signature.
func CheckNames(domain, selector string) error {
	if len(domain) > longestDomain || !nameShape.MatchString(domain) || !strings.Contains(domain, ".") {
		return ErrDomain
	}
	if len(selector) > longestSelector || !nameShape.MatchString(selector) {
		return ErrSelector
	}
	return nil
}

// Covers reports whether a signature of domain speaks for an address: its
// domain is that one or below it, which is what DMARC calls aligned.
func Covers(domain, address string) bool {
	_, host, _ := strings.Cut(address, "@")
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// NewKey makes a key, in PEM (PKCS #8).
func NewKey(kind Kind) (secret.Text, error) {
	var key any
	var err error
	switch kind {
	case RSA:
		key, err = rsa.GenerateKey(rand.Reader, leastBits)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		return secret.Text{}, fmt.Errorf("make DKIM key: %q is neither rsa nor ed25519", kind)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("make DKIM key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode DKIM key: %w", err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), nil
}

// Parse reads a key in PEM, of PKCS #8 or, for RSA, PKCS #1. It returns ErrKey
// for everything that must not sign.
func Parse(text secret.Text) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(text.Reveal()))
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, ErrKey
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, ErrKey
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return key, nil
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits >= leastBits && bits <= mostBits {
			return key, nil
		}
	}
	return nil, ErrKey
}

// RecordName is where the DNS must show the record of a key.
func RecordName(domain, selector string) string { return selector + "._domainkey." + domain }

// Record is the text of that TXT record (RFC 6376 3.6.1, RFC 8463 4). What is
// longer than 255 characters is entered as several texts of one record.
func Record(key crypto.Signer) string {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	case *rsa.PublicKey:
		if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
			return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
		}
	}
	return ""
}
