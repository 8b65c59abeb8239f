package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

// Parameters are what one evaluation of Argon2id costs.
type Parameters struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultParameters are OWASP's floor. With hashing in a bounded pool larger
// ones are safe, and cost logins per second.
func DefaultParameters() Parameters { return Parameters{Memory: 19456, Passes: 2, Threads: 1} }

// Validate refuses parameters below that floor, and those that no
// stored hash may have.
func (p Parameters) Validate() error {
	var mistakes []error
	wrong := func(bad bool, name string, least, most uint32) {
		if bad {
			mistakes = append(mistakes, fmt.Errorf("%s (R-055): must be between %d and %d", name, least, most))
		}
	}
	floor := DefaultParameters()
	wrong(p.Memory < floor.Memory || p.Memory > maxMemory, "COUNTERSIGN_ARGON2_MEMORY_KIB", floor.Memory, maxMemory)
	wrong(p.Passes < floor.Passes || p.Passes > maxPasses, "COUNTERSIGN_ARGON2_TIME", floor.Passes, maxPasses)
	wrong(p.Threads < 1 || p.Threads > maxThreads, "COUNTERSIGN_ARGON2_THREADS", 1, maxThreads)
	return errors.Join(mistakes...)
}

// Peppers are keys from the configuration that passwords are mixed with, so
// that a copy of the database alone is worth nothing to who guesses. The
// first is used for new hashes, all of them verify.
type Peppers []pepper

type pepper struct {
	id  string // as it stands in the hash
	key *seal.Index
}

// The purposes keep the digests apart, those that are stored readably from
// those that are not.
const (
	purposePepper   = "password pepper"
	purposePepperID = "password pepper id"
)

// ParsePeppers reads a comma-separated list of base64 keys of 32 bytes, as
// seal.Parse does. No list is no pepper. Its errors name the setting and never
// the key.
func ParsePeppers(name string, list secret.Text) (Peppers, error) {
	if list.IsZero() {
		return nil, nil
	}
	var peppers Peppers
	for text := range strings.SplitSeq(list.Reveal(), ",") {
		key, err := seal.ParseIndex(name, secret.New(text))
		if err != nil {
			return nil, fmt.Errorf("read peppers: %w", err)
		}
		id := plainBase64.EncodeToString(key.Sum(purposePepperID)[:keyIDSize])
		peppers = append(peppers, pepper{id, key})
	}
	return peppers, nil
}

var errNoPepper = errors.New("the stored password needs a pepper that COUNTERSIGN_PASSWORD_PEPPERS does not have any more")

// mix returns what is hashed of a password under the pepper with an id.
func (p Peppers) mix(plain, id string) ([]byte, error) {
	if id == "" {
		return []byte(plain), nil
	}
	for _, candidate := range p {
		if candidate.id == id {
			return candidate.key.Sum(purposePepper, plain), nil
		}
	}
	return nil, errNoPepper
}

func (p Peppers) current() string {
	if len(p) == 0 {
		return ""
	}
	return p[0].id
}

const (
	saltSize = 16
	tagSize  = 32
)

// Turns bound how many hashes are made at once.
type Turns interface {
	// Do runs fn when it is its turn, or returns a fault of kind Unavailable.
	// Of the jobs with one key one runs at a time; an empty key is no key.
	Do(ctx context.Context, org, key string, fn func(ctx context.Context) error) error
}

// Hasher makes and evaluates hashes. It is safe for concurrent use.
type Hasher struct {
	turns      Turns
	parameters Parameters
	peppers    Peppers
	dummy      stored
	derive     func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte
	evaluated  func() // hears of every evaluation of a foreign hash
}

// NewHasher makes a Hasher. Zero parameters are the default ones.
func NewHasher(turns Turns, p Parameters, peppers Peppers) *Hasher {
	if p == (Parameters{}) {
		p = DefaultParameters()
	}
	h := &Hasher{turns: turns, parameters: p, peppers: peppers, derive: argon2.IDKey, evaluated: func() {}}
	h.dummy = h.fresh()
	h.dummy.tag = random(tagSize) // of no password
	return h
}

// fresh is a hash with the current parameters and a new salt, without a tag.
func (h *Hasher) fresh() stored {
	return stored{Parameters: h.parameters, keyID: h.peppers.current(), salt: random(saltSize)}
}

// Hash waits for a turn of the organization and returns what is stored of a
// password. It returns ErrMalformed, or the turns' fault.
func (h *Hasher) Hash(ctx context.Context, org string, typed secret.Text) (phc string, err error) {
	plain, err := compose(typed)
	if err != nil {
		return "", err
	}
	err = h.turns.Do(ctx, org, "", func(context.Context) error {
		s := h.fresh()
		s.tag, err = h.evaluate(plain, s, tagSize)
		phc = s.String()
		return err
	})
	if err != nil {
		return "", err
	}
	return phc, nil
}

// NeedsRehash reports whether a stored hash of some age should be made anew.
// At once where Hash would do it better: in place of another system's, with
// other parameters, or with a pepper where there is none. Where there is another pepper than the first, not before
// the hash is as old as the rotation: after a pepper was added every login
// costs a second evaluation until all are renewed, and the period spreads them.
// Under the first pepper nothing is renewed, however old: the same key with
// another salt withstands no more.
func (h *Hasher) NeedsRehash(phc string, age, rotation time.Duration) bool {
	s, err := parse(phc)
	if err != nil || s.Parameters != h.parameters || len(s.salt) < saltSize || len(s.tag) < tagSize {
		return true
	}
	return s.keyID != h.peppers.current() && (s.keyID == "" || age >= rotation)
}

// CheckSize is the function of that name, for the guard.
func (*Hasher) CheckSize(typed secret.Text) error { return CheckSize(typed) }

// Tags returns the tag of a stored hash and the candidate's under the same
// parameters, of one length, for the guard to compare. Where nothing is stored
// (no such user, no password) phc is empty: that costs the same, and gives the
// tag of no password. It is one evaluation, in the turn of the caller. Its
// error is ErrMalformed, or none of the candidate's making.
func (h *Hasher) Tags(candidate secret.Text, phc string) (want, got []byte, err error) {
	plain, err := compose(candidate)
	if err != nil {
		return nil, nil, err
	}
	if IsForeign(phc) {
		return h.foreignTags(candidate, phc)
	}
	s := h.dummy
	if phc != "" {
		if s, err = parse(phc); err != nil {
			return nil, nil, err
		}
	}
	got, err = h.evaluate(plain, s, len(s.tag))
	return s.tag, got, err
}

// foreignTags are the tags of a hash that another system has made, of the
// candidate as it was typed.
func (h *Hasher) foreignTags(candidate secret.Text, stored string) (want, got []byte, err error) {
	f, err := readForeign(stored)
	if err != nil {
		return nil, nil, errStored
	}
	h.evaluated()
	got, err = f.derive([]byte(candidate.Reveal()))
	return f.tag(), got, err
}

func (h *Hasher) evaluate(plain string, s stored, size int) ([]byte, error) {
	mixed, err := h.peppers.mix(plain, s.keyID)
	if err != nil {
		return nil, err
	}
	return h.derive(mixed, s.salt, s.Passes, s.Memory, s.Threads, uint32(size)), nil //nolint:gosec // 64 at most, see parse
}

func random(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.Read(out) // never fails since Go 1.24
	return out
}
