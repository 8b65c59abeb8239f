package password

import (
	"encoding/base64"
	"strconv"
	"strings"

	"countersign.dev/pkg/fault"
)

// Whoever comes from another system brings hashes in its forms. They are kept
// as they came, verified as their maker did it (over the text as it was typed,
// which is what the maker hashed), and replaced by one of ours after the first
// right login: see [Hasher.NeedsRehash].
//
// Each family is one type. What it may cost is bounded when it is read, before
// an import stores it and again before every evaluation.

// foreign is a hash that another system has made.
type foreign interface {
	// tag is what is stored of the password.
	tag() []byte
	// derive computes the tag of a candidate, as long as the stored one.
	derive(typed []byte) ([]byte, error)
}

// The refusals of hashes. They repeat nothing of them.
var (
	ErrHashForm = fault.New(fault.Invalid, "hash_unknown",
		"this is no password hash in a form that can be taken over: bcrypt, scrypt, PBKDF2, Argon2i or Argon2id, as PHC strings or as Django and passlib write them")
	ErrHashCost = fault.New(fault.Invalid, "hash_too_costly",
		"this password hash costs more memory or time than one login may take, or has a salt or tag that is too short or too long")
	ErrHashPepper = fault.New(fault.Invalid, "hash_pepper_unknown",
		"this password hash was mixed with a pepper that COUNTERSIGN_PASSWORD_PEPPERS does not have")
)

// Bounds of foreign hashes, beside those of ours. Each is about two seconds of
// one core: many times what their makers advise.
const (
	maxWork     = 1 << 22    // scrypt: N times r times p
	maxLanes    = 16         // scrypt: p
	maxRounds   = 10_000_000 // PBKDF2, over all blocks of its output
	minCost     = 4          // bcrypt, as a power of two
	maxCost     = 15
	maxArgon    = 1 << 21 // Argon2: KiB times passes
	minForeign  = 1       // bytes of a salt
	scryptShare = 128     // bytes of memory for each of N times r
)

// family is one form of hashes: what a text begins with, and how the rest is
// read.
type family struct {
	prefix string
	name   string
	read   func(rest string) (foreign, error)
}

// families are all forms that are known.
func families() []family {
	return []family{
		{"$2a$", "bcrypt", readBcrypt(asTyped)},
		{"$2b$", "bcrypt", readBcrypt(asTyped)},
		{"$2y$", "bcrypt", readBcrypt(asTyped)},
		{"bcrypt$$2a$", "bcrypt", readBcrypt(asTyped)}, // Django
		{"bcrypt$$2b$", "bcrypt", readBcrypt(asTyped)},
		{"bcrypt_sha256$$2a$", "bcrypt_sha256", readBcrypt(digestHex)},
		{"bcrypt_sha256$$2b$", "bcrypt_sha256", readBcrypt(digestHex)},
		{"$bcrypt-sha256$", "bcrypt_sha256", readPasslibBcrypt},
		{"$scrypt$", "scrypt", readScrypt},
		{"scrypt$", "scrypt", readDjangoScrypt},
		{"$firebase-scrypt$", "firebase_scrypt", readFirebase},
		{"$pbkdf2$", "pbkdf2", readPBKDF2(sha1Sum)},
		{"$pbkdf2-sha1$", "pbkdf2", readPBKDF2(sha1Sum)},
		{"$pbkdf2-sha256$", "pbkdf2", readPBKDF2(sha256Sum)},
		{"$pbkdf2-sha512$", "pbkdf2", readPBKDF2(sha512Sum)},
		{"pbkdf2_sha1$", "pbkdf2", readDjangoPBKDF2(sha1Sum)},
		{"pbkdf2_sha256$", "pbkdf2", readDjangoPBKDF2(sha256Sum)},
		{"pbkdf2_sha512$", "pbkdf2", readDjangoPBKDF2(sha512Sum)},
		{"argon2$", "argon2", readArgon2}, // Django, and how an import marks those of others
	}
}

// foreigner finds the family of a text; ok is false for hashes of ours and for
// what is no hash.
func foreigner(text string) (found family, rest string, ok bool) {
	for _, f := range families() {
		if rest, ok := strings.CutPrefix(text, f.prefix); ok {
			return f, rest, true
		}
	}
	return family{}, "", false
}

// readForeign reads a hash of another system. It returns ErrHashForm or
// ErrHashCost.
func readForeign(text string) (foreign, error) {
	f, rest, ok := foreigner(text)
	if !ok || len(text) > maxStored {
		return nil, ErrHashForm
	}
	return f.read(rest)
}

// IsForeign reports whether a stored hash was made by another system. No login
// has used it here: the first one replaces it.
func IsForeign(stored string) bool {
	_, _, ok := foreigner(stored)
	return ok
}

// Scheme is how a stored hash was made, in a word.
func Scheme(stored string) string {
	if f, _, ok := foreigner(stored); ok {
		return f.name
	}
	return "argon2id"
}

// argonMark stands before hashes of Argon2 that another system has made, so
// that they are not taken for ours. It is Django's.
const argonMark = "argon2"

// Import reads a hash that is to be taken over and returns what is stored of
// it. One of ours, which its pepper's id tells, stays as it is when the pepper
// is at hand. It returns ErrHashForm, ErrHashCost or ErrHashPepper.
func (p Peppers) Import(text string) (stored string, err error) {
	if s, err := parse(text); err == nil && s.keyID != "" {
		for _, candidate := range p {
			if candidate.id == s.keyID {
				return text, nil
			}
		}
		return "", ErrHashPepper
	}
	if strings.HasPrefix(text, "$argon2") {
		text = argonMark + text
	}
	if _, err := readForeign(text); err != nil {
		return "", err
	}
	return text, nil
}

// bounded decodes what a form calls salt or tag.
func bounded(encoding *base64.Encoding, text string, least, most int) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // the decoder skips them
		return nil, ErrHashForm
	}
	raw, err := encoding.DecodeString(text)
	switch {
	case err != nil:
		return nil, ErrHashForm
	case len(raw) < least || len(raw) > most:
		return nil, ErrHashCost
	}
	return raw, nil
}

// number reads a parameter: decimal, without sign or zeros in front.
func number(text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || strconv.Itoa(n) != text:
		return 0, ErrHashForm
	case n < least || n > most:
		return 0, ErrHashCost
	}
	return n, nil
}

// named reads parameters of PHC form such as ln=16,r=8,p=1, in this order.
func named(text string, names ...string) ([]string, error) {
	fields := strings.Split(text, ",")
	if len(fields) != len(names) {
		return nil, ErrHashForm
	}
	for i, name := range names {
		value, ok := strings.CutPrefix(fields[i], name+"=")
		if !ok {
			return nil, ErrHashForm
		}
		fields[i] = value
	}
	return fields, nil
}

// fields splits what stands between dollar signs.
func fields(text string, count int) ([]string, error) {
	parts := strings.Split(text, "$")
	if len(parts) != count {
		return nil, ErrHashForm
	}
	return parts, nil
}
