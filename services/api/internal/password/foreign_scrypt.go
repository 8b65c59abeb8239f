package password

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"golang.org/x/crypto/scrypt"
)

// scryptHash is scrypt (RFC 7914).
type scryptHash struct {
	n, r, p   int
	salt, sum []byte
}

// readScrypt reads ln=<log2 N>,r=<r>,p=<p>$<salt>$<tag>: passlib's form, and
// that of PHC.
func readScrypt(rest string) (foreign, error) {
	parts, err := fields(rest, 3)
	if err != nil {
		return nil, err
	}
	h, err := scryptCost(parts[0])
	if err != nil {
		return nil, err
	}
	if h.salt, err = bounded(plainBase64, parts[1], minForeign, maxSalt); err != nil {
		return nil, err
	}
	h.sum, err = bounded(plainBase64, parts[2], minTag, maxTag)
	return h, err
}

// scryptCost reads ln=<log2 N>,r=<r>,p=<p>.
func scryptCost(text string) (h scryptHash, err error) {
	values, err := named(text, "ln", "r", "p")
	if err != nil {
		return scryptHash{}, err
	}
	log, err := number(values[0], 1, 30)
	if err != nil {
		return scryptHash{}, err
	}
	return h.within(1<<log, values[1], values[2])
}

// readDjangoScrypt reads <N>$<salt>$<r>$<p>$<tag>; the salt is text.
func readDjangoScrypt(rest string) (foreign, error) {
	parts, err := fields(rest, 5)
	if err != nil {
		return nil, err
	}
	n, err := number(parts[0], 2, 1<<30)
	if err != nil {
		return nil, err
	}
	if n&(n-1) != 0 {
		return nil, ErrHashForm
	}
	h, err := scryptHash{}.within(n, parts[2], parts[3])
	if err != nil {
		return nil, err
	}
	if h.salt, err = textSalt(parts[1]); err != nil {
		return nil, err
	}
	h.sum, err = bounded(base64.StdEncoding.Strict(), parts[4], minTag, maxTag)
	return h, err
}

// within sets the parameters when they cost no more than they may.
func (h scryptHash) within(n int, r, p string) (scryptHash, error) {
	var err error
	h.n = n
	if h.r, err = number(r, 1, maxMemory); err != nil {
		return scryptHash{}, err
	}
	if h.p, err = number(p, 1, maxLanes); err != nil {
		return scryptHash{}, err
	}
	if h.n*h.r > maxMemory<<10/scryptShare || h.n*h.r*h.p > maxWork || h.r*h.p > maxMemory {
		return scryptHash{}, ErrHashCost
	}
	return h, nil
}

// textSalt is a salt that is used as it is written.
func textSalt(text string) ([]byte, error) {
	if len(text) < minForeign || len(text) > maxSalt {
		return nil, ErrHashCost
	}
	return []byte(text), nil
}

func (h scryptHash) tag() []byte { return h.sum }

func (h scryptHash) derive(typed []byte) ([]byte, error) { return h.key(typed, len(h.sum)) }

func (h scryptHash) key(typed []byte, size int) ([]byte, error) {
	sum, err := scrypt.Key(typed, h.salt, h.n, h.r, h.p, size)
	if err != nil {
		return nil, fmt.Errorf("derive scrypt: %w", err)
	}
	return sum, nil
}

// scryptParameters writes what scryptCost reads.
func scryptParameters(memCost, rounds int) string {
	return "ln=" + strconv.Itoa(memCost) + ",r=" + strconv.Itoa(rounds) + ",p=1"
}
