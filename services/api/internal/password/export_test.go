package password

import (
	"strings"
	"sync/atomic"

	"countersign.dev/pkg/secret"
)

// Count makes a Hasher count its evaluations.
func (h *Hasher) Count() *atomic.Int64 {
	n, derive := new(atomic.Int64), h.derive
	h.derive = func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte {
		n.Add(1)
		return derive(password, salt, passes, memory, threads, size)
	}
	return n
}

// Composed is what is hashed of a password.
func Composed(typed secret.Text) (string, error) { return compose(typed) }

// Reparse reads a stored hash and writes it again.
func Reparse(phc string) (string, error) {
	s, err := parse(phc)
	return s.String(), err
}

// Dummy is what an attempt costs where nothing is stored, as it would stand
// before the salt of a hash.
func (h *Hasher) Dummy() string {
	phc := h.dummy.String()
	for range 2 {
		phc = phc[:strings.LastIndex(phc, "$")]
	}
	return phc
}
