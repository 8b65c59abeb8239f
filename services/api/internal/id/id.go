// Package id mints identifiers in the shapes of the contract.
//
// UUIDs and KSUIDs name things and may be shown; they still carry 122 and 128
// random bits. What acts as a credential is a [Token], or an [Opaque] where a
// client expects the look of a UUID.
package id

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

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

// Opaque returns 128 random bits in the look of a UUID. Unlike a UUID it has no
// version in it, so that all of its bits are random: what acts as a credential
// carries 128 of them.
func Opaque() secret.Text {
	var raw uuid.UUID
	_, _ = rand.Read(raw[:]) // never fails since Go 1.24
	return secret.New(raw.String())
}

// IsOpaque reports whether a text has the form of an [Opaque]: the lower-case
// hex digits of a UUID in their groups, of any version or none.
func IsOpaque(text string) bool { return IsUUID(text) }

// FromDigest returns a UUID made of a keyed digest: the same for the same
// digest, and to whoever lacks the key as good as a random one.
func FromDigest(digest []byte) string {
	var u uuid.UUID
	copy(u[:], digest)
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // version 4, as the others
	return u.String()
}

// Of returns the UUID of what there is one of, such as a connection of an
// organization. It is derived from the names (RFC 9562, version 5) and no
// secret.
func Of(names ...string) string {
	return uuid.NewSHA1(uuid.Nil, []byte(strings.Join(names, "|"))).String()
}
