// Package seal keeps secrets unreadable at rest and on the bus.
//
// A [Keyring] seals with AES-256-GCM. Every purpose has a subkey of its own
// (HKDF-SHA-256), and the associated data names the row, so that a sealed
// value copied to another row or used for another purpose does not open. The
// first key of the ring seals; all of them open, so keys rotate by putting a
// new one in front. An [Index] makes keyed digests for looking up what must
// not be stored readably; its key never rotates.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"countersign.dev/pkg/secret"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	version   = 1
	kidSize   = 4
	headerLen = 1 + kidSize
)

// ErrUnsealable is returned for every value that does not open: damaged,
// sealed for another purpose or row, or under a key that is not in the ring.
// It does not say which.
var ErrUnsealable = errors.New("sealed value does not open with any key for this purpose and row")

type key struct {
	id     [kidSize]byte
	secret []byte
}

// Keyring seals and opens. It is safe for concurrent use.
type Keyring struct {
	keys  []key
	aeads sync.Map // kid+purpose -> cipher.AEAD: deriving a subkey costs more than sealing
}

// NewKey makes a random key in the form that [Parse] reads.
func NewKey() secret.Text {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	return secret.New(base64.StdEncoding.EncodeToString(raw))
}

// Parse reads a comma-separated list of base64 keys of 32 bytes; the first
// seals. Its errors name the setting and never the key.
func Parse(name string, list secret.Text) (*Keyring, error) {
	ring := &Keyring{}
	for text := range strings.SplitSeq(list.Reveal(), ",") {
		raw, err := parseKey(name, text)
		if err != nil {
			return nil, err
		}
		id := sha256.Sum256(append([]byte("countersign key id\x00"), raw...))
		ring.keys = append(ring.keys, key{id: [kidSize]byte(id[:kidSize]), secret: raw})
	}
	return ring, nil
}

func parseKey(name, text string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != KeySize {
		return nil, fmt.Errorf("%s: a key is %d random bytes in base64, e.g. from: openssl rand -base64 %d", name, KeySize, KeySize)
	}
	distinct := map[byte]bool{}
	for _, b := range raw {
		distinct[b] = true
	}
	// 32 random bytes hold about 30 different values; fewer than 8 is a
	// pattern somebody typed.
	if len(distinct) < 8 {
		return nil, fmt.Errorf("%s: the key is not random; make one with: openssl rand -base64 %d", name, KeySize)
	}
	return raw, nil
}

// Seal encrypts plain for one purpose and one row (aad).
func (k *Keyring) Seal(purpose, aad string, plain []byte) ([]byte, error) {
	head := k.keys[0]
	aead, err := k.aead(head, purpose)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headerLen, headerLen+len(plain)+aead.Overhead())
	out[0] = version
	copy(out[1:], head.id[:])
	return aead.Seal(out, nil, plain, bind(purpose, aad)), nil
}

// Open decrypts what Seal made for the same purpose and row.
func (k *Keyring) Open(purpose, aad string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerLen || sealed[0] != version {
		return nil, ErrUnsealable
	}
	for _, candidate := range k.keys {
		if string(candidate.id[:]) != string(sealed[1:headerLen]) {
			continue
		}
		aead, err := k.aead(candidate, purpose)
		if err != nil {
			return nil, err
		}
		if plain, err := aead.Open(nil, nil, sealed[headerLen:], bind(purpose, aad)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrUnsealable
}

// Stale reports whether a value should be sealed again because the ring has a
// newer key.
func (k *Keyring) Stale(sealed []byte) bool {
	return len(sealed) < headerLen || string(sealed[1:headerLen]) != string(k.keys[0].id[:])
}

func (k *Keyring) aead(from key, purpose string) (cipher.AEAD, error) {
	cacheKey := string(from.id[:]) + purpose
	if cached, ok := k.aeads.Load(cacheKey); ok {
		return cached.(cipher.AEAD), nil
	}
	subkey, err := hkdf.Key(sha256.New, from.secret, nil, "countersign seal "+purpose, KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive subkey: %w", err)
	}
	block, err := aes.NewCipher(subkey)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	k.aeads.Store(cacheKey, aead)
	return aead, nil
}

func bind(purpose, aad string) []byte { return []byte(purpose + "\x00" + aad) }

// Index makes keyed digests: the same input gives the same digest, and
// without the key nobody can try candidates. It is safe for concurrent use.
type Index struct{ key []byte }

// ParseIndex reads the one base64 key of an index.
func ParseIndex(name string, text secret.Text) (*Index, error) {
	raw, err := parseKey(name, text.Reveal())
	if err != nil {
		return nil, err
	}
	return &Index{key: raw}, nil
}

// Sum returns HMAC-SHA-256 over the purpose and the parts. Lengths are part
// of the input, so ("ab", "c") and ("a", "bc") differ.
func (i *Index) Sum(purpose string, parts ...string) []byte {
	mac := hmac.New(sha256.New, i.key)
	write := func(part string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	write(purpose)
	for _, part := range parts {
		write(part)
	}
	return mac.Sum(nil)
}
