package password

import (
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // PBKDF2 over it is what old systems have; nothing new is made with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// digest is what PBKDF2 is made with.
type digest struct {
	size int // bytes
	new  func() hash.Hash
}

var (
	sha1Sum   = digest{sha1.Size, sha1.New}
	sha256Sum = digest{sha256.Size, sha256.New}
	sha512Sum = digest{sha512.Size, sha512.New}
)

// pbkdf2Hash is PBKDF2 (RFC 8018).
type pbkdf2Hash struct {
	digest
	rounds    int
	salt, sum []byte
}

// passlibBase64 has a dot where base64 has a plus.
func passlibBase64(text string) string { return strings.ReplaceAll(text, ".", "+") }

// readPBKDF2 reads <rounds>$<salt>$<tag>, which is passlib's form, and
// i=<rounds>[,l=<size>]$<salt>$<tag>, which is PHC's.
func readPBKDF2(d digest) func(string) (foreign, error) {
	return func(rest string) (foreign, error) {
		parts, err := fields(rest, 3)
		if err != nil {
			return nil, err
		}
		rounds, size, isPHC := strings.Cut(strings.TrimPrefix(parts[0], "i="), ",l=")
		h := pbkdf2Hash{digest: d}
		if h.salt, err = bounded(plainBase64, passlibBase64(parts[1]), minForeign, maxSalt); err != nil {
			return nil, err
		}
		if h.sum, err = bounded(plainBase64, passlibBase64(parts[2]), minTag, maxTag); err != nil {
			return nil, err
		}
		if isPHC && size != strconv.Itoa(len(h.sum)) {
			return nil, ErrHashForm
		}
		return h.within(rounds)
	}
}

// readDjangoPBKDF2 reads <rounds>$<salt>$<tag>; the salt is text.
func readDjangoPBKDF2(d digest) func(string) (foreign, error) {
	return func(rest string) (foreign, error) {
		parts, err := fields(rest, 3)
		if err != nil {
			return nil, err
		}
		h := pbkdf2Hash{digest: d}
		if h.salt, err = textSalt(parts[1]); err != nil {
			return nil, err
		}
		if h.sum, err = bounded(base64.StdEncoding.Strict(), parts[2], minTag, maxTag); err != nil {
			return nil, err
		}
		return h.within(parts[0])
	}
}

// within sets the rounds when they cost no more than they may. Each block of
// the output takes all of them.
func (h pbkdf2Hash) within(rounds string) (foreign, error) {
	blocks := (len(h.sum) + h.size - 1) / h.size
	n, err := number(rounds, 1, maxRounds/blocks)
	h.rounds = n
	return h, err
}

func (h pbkdf2Hash) tag() []byte { return h.sum }

func (h pbkdf2Hash) derive(typed []byte) ([]byte, error) {
	sum, err := pbkdf2.Key(h.new, string(typed), h.salt, h.rounds, len(h.sum))
	if err != nil {
		return nil, fmt.Errorf("derive PBKDF2: %w", err)
	}
	return sum, nil
}
