package password

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/blowfish" //nolint:staticcheck // deprecated for new systems; bcrypt is made of it
)

const (
	bcryptSalt     = 22 // characters, of 16 bytes
	bcryptTag      = 31 // characters, of 23 bytes: the last of 24 was never kept
	bcryptSaltSize = 16
	bcryptTagSize  = 23
)

// bcryptBase64 is bcrypt's alphabet. It is not strict: some makers leave bits
// behind the end of the salt.
var bcryptBase64 = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// bcryptHash is bcrypt, as it is or over a digest. The library that is called
// so compares by itself; here the guard does, so the tag is computed.
//
// Of the key only the first 72 bytes count, as with its maker. Whoever has set
// a longer password logs in with it, and whatever follows counts from then on.
type bcryptHash struct {
	cost      int
	written   string // the salt
	salt, sum []byte
	prepare   preparation
}

// preparation makes the key of what was typed; salt is as it is written.
type preparation func(typed []byte, salt string) []byte

func asTyped(typed []byte, _ string) []byte { return typed }

// digestHex is Django's.
func digestHex(typed []byte, _ string) []byte {
	sum := sha256.Sum256(typed)
	return hex.AppendEncode(nil, sum[:])
}

// digestBase64 and keyedBase64 are the first and the second version of
// passlib's.
func digestBase64(typed []byte, _ string) []byte {
	sum := sha256.Sum256(typed)
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}

func keyedBase64(typed []byte, salt string) []byte {
	mac := hmac.New(sha256.New, []byte(salt))
	_, _ = mac.Write(typed) // never fails
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// readBcrypt reads <cost>$<salt and tag>.
func readBcrypt(prepare preparation) func(string) (foreign, error) {
	return func(rest string) (foreign, error) {
		parts, err := fields(rest, 2)
		// The cost has two digits: a zero in front belongs to the form.
		if err != nil || len(parts[0]) != 2 || len(parts[1]) != bcryptSalt+bcryptTag {
			return nil, ErrHashForm
		}
		return newBcrypt(prepare, strings.TrimPrefix(parts[0], "0"), parts[1][:bcryptSalt], parts[1][bcryptSalt:])
	}
}

// readPasslibBcrypt reads v=2,t=2b,r=<cost>$<salt>$<tag>, and the form before
// that, 2b,<cost>$<salt>$<tag>.
func readPasslibBcrypt(rest string) (foreign, error) {
	parts, err := fields(rest, 3)
	if err != nil {
		return nil, err
	}
	for _, variant := range []string{"2a", "2b"} {
		if cost, ok := strings.CutPrefix(parts[0], "v=2,t="+variant+",r="); ok {
			return newBcrypt(keyedBase64, cost, parts[1], parts[2])
		}
		if cost, ok := strings.CutPrefix(parts[0], variant+","); ok {
			return newBcrypt(digestBase64, cost, parts[1], parts[2])
		}
	}
	return nil, ErrHashForm
}

func newBcrypt(prepare preparation, cost, salt, tag string) (foreign, error) {
	n, err := number(cost, minCost, maxCost)
	if err != nil {
		return nil, err
	}
	h := bcryptHash{cost: n, written: salt, prepare: prepare}
	if h.salt, err = bounded(bcryptBase64, salt, bcryptSaltSize, bcryptSaltSize); err != nil {
		return nil, err
	}
	if h.sum, err = bounded(bcryptBase64, tag, bcryptTagSize, bcryptTagSize); err != nil {
		return nil, err
	}
	return h, nil
}

func (h bcryptHash) tag() []byte { return h.sum }

// derive is EksBlowfish over the key and the NUL that ends it in C.
func (h bcryptHash) derive(typed []byte) ([]byte, error) {
	key := append(slices.Clip(h.prepare(typed, h.written)), 0)
	state, err := blowfish.NewSaltedCipher(key, h.salt)
	if err != nil {
		return nil, fmt.Errorf("derive bcrypt: %w", err)
	}
	for range uint64(1) << h.cost {
		blowfish.ExpandKey(key, state)
		blowfish.ExpandKey(h.salt, state)
	}
	sum := []byte("OrpheanBeholderScryDoubt")
	for at := 0; at < len(sum); at += blowfish.BlockSize {
		block := sum[at : at+blowfish.BlockSize]
		for range 64 {
			state.Encrypt(block, block)
		}
	}
	return sum[:bcryptTagSize], nil
}
