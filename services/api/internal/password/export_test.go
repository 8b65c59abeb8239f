package password

import (
	"maps"
	"slices"
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
	h.evaluated = func() { n.Add(1) }
	return n
}

// Check refuses a password by a policy alone, about nobody and nowhere.
func (p Policy) Check(typed secret.Text) error {
	a, err := p.Assess(typed, Known{}, nil)
	if err != nil {
		return err
	}
	return a.Refused("")
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

// ReadForeign reads a hash of another system and says what one evaluation of
// it costs: bytes of memory, and thousandths of what a login may take.
func ReadForeign(text string) (memory, share int, err error) {
	f, err := readForeign(text)
	if err != nil {
		return 0, 0, err
	}
	switch h := f.(type) {
	case bcryptHash:
		return 4 << 10, 1000 << h.cost >> maxCost, nil
	case scryptHash:
		return scryptShare * h.n * h.r, 1000 * h.n * h.r * h.p / maxWork, nil
	case firebaseHash:
		return scryptShare * h.n * h.r, 1000 * h.n * h.r * h.p / maxWork, nil
	case pbkdf2Hash:
		return len(h.sum), int(int64(1000) * int64(h.rounds) * int64((len(h.sum)+h.size-1)/h.size) / maxRounds), nil
	case argon2Hash:
		return int(h.Memory) << 10, int(int64(1000) * int64(h.Memory) * int64(h.Passes) / maxArgon), nil
	}
	panic("a family without a cost")
}

// Languages are all that is said, by language and then by code or advice.
func Languages() map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, s := range speeches {
		out[s.lang] = maps.Clone(s.refusals)
		for advice, said := range s.advice {
			out[s.lang][string(advice)] = said
		}
	}
	return out
}

// Sentences are all that is said, in all languages.
func Sentences() (all []string) {
	for _, says := range Languages() {
		all = append(all, slices.Collect(maps.Values(says))...)
	}
	return all
}
