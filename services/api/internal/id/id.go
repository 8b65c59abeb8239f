// Package id mints identifiers in the shapes of the contract.
//
// UUIDs and KSUIDs name things and may be shown; they still carry 122 and 128
// random bits. What acts as a credential is a [Token].
package id

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/google/uuid"
	"github.com/segmentio/ksuid"

	"countersign.dev/pkg/secret"
)

// UUID returns a random UUID (version 4).
func UUID() string { return uuid.NewString() }

// IsUUID reports whether s is a UUID in its canonical form.
func IsUUID(s string) bool {
	parsed, err := uuid.Parse(s)
	return err == nil && parsed.String() == s
}

// Request returns <kind>_<ksuid>, the id of one request of the contract:
// 27 characters, 32 bits of time and 128 random bits.
func Request(kind string) string { return kind + "_" + ksuid.New().String() }

// Token returns 256 random bits in unpadded base64url.
func Token() secret.Text {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	return secret.New(base64.RawURLEncoding.EncodeToString(raw))
}
