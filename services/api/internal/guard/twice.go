package guard

import (
	"crypto/subtle"

	"countersign.dev/pkg/secret"
)

// TypedTwice reports whether a person has typed one new secret in two fields.
// Both come with one request, so that nothing is guessed and nothing counted.
func TypedTwice(first, again secret.Text) bool {
	return subtle.ConstantTimeCompare([]byte(first.Reveal()), []byte(again.Reveal())) == 1
}
