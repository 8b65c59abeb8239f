package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"countersign.dev/services/api/internal/token"
)

// opened is the private key of a row.
func (m *minted) opened(t *testing.T, row token.SigningKey) any {
	t.Helper()
	der, err := m.keys.Open("token.signing_key", row.ID, row.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// newest is the newest key of an algorithm with its id.
func (m *minted) newest(t *testing.T, algorithm string) (kid string, private any) {
	t.Helper()
	rows, err := m.store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Algorithm == algorithm {
			return row.ID, m.opened(t, row)
		}
	}
	t.Fatalf("no key of %s", algorithm)
	return "", nil
}

// forge signs any header and claims with any key by the algorithm that the
// header names: what no library would do. A text is a shared key, nil signs
// with nothing.
func forge(t *testing.T, key any, header, claims map[string]any) string {
	t.Helper()
	claims = maps.Clone(claims)
	for name, value := range claims {
		if number, ok := value.(float64); ok {
			claims[name] = int64(number) // 1e9 is no time
		}
	}
	input := encoded(t, header) + "." + encoded(t, claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature(t, key, header["alg"], []byte(input)))
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func signature(t *testing.T, key, algorithm any, input []byte) (out []byte) {
	t.Helper()
	sum := sha256.Sum256(input)
	var err error
	switch private := key.(type) {
	case string:
		code := hmac.New(sha256.New, []byte(private))
		code.Write(input)
		return code.Sum(nil)
	case *rsa.PrivateKey:
		switch algorithm {
		case "PS256":
			out, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], nil)
		case "RS512":
			long := sha512.Sum512(input)
			out, err = rsa.SignPKCS1v15(nil, private, crypto.SHA512, long[:])
		default:
			out, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, failed := ecdsa.Sign(rand.Reader, private, sum[:])
		out, err = make([]byte, 64), failed
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// publicPEM is a public key as a text that everybody can have.
func publicPEM(t *testing.T, private any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(private.(crypto.Signer).Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// publicJWK is a public key as a header brings it.
func publicJWK(t *testing.T, private any) json.RawMessage {
	t.Helper()
	text, err := jose.JSONWebKey{Key: private.(crypto.Signer).Public()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
