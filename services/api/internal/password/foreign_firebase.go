package password

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

// Firebase are the parameters of a Firebase project's password hashes, as its
// console shows them.
type Firebase struct {
	SignerKey secret.Text // base64; it opens nothing here and is not stored
	Separator string      // base64
	Rounds    int
	MemCost   int
}

// ErrFirebase refuses parameters.
var ErrFirebase = fault.New(fault.Invalid, "firebase_parameters",
	"the parameters of Firebase are base64_signer_key (16 to 64 bytes), base64_salt_separator, rounds (1 to 8) and mem_cost (1 to 14)")

const firebaseKey = 32 // bytes, of AES-256

// Import returns what is stored of a hash and its salt, both in base64 as
// Firebase exports them. It returns ErrHashForm, ErrHashCost or ErrFirebase.
//
// Firebase derives a key from the password with scrypt and encrypts the
// project's signer key with it, by AES-256 in counter mode. Whoever knows the
// signer key can take it out again: what is left is the key stream, which
// proves the same password. So the old system's secret stays out of the
// database.
func (f Firebase) Import(hash, salt string) (stored string, err error) {
	signer, err := bounded(base64.StdEncoding, f.SignerKey.Reveal(), minTag, maxTag)
	if err != nil || f.Rounds < 1 || f.Rounds > 8 || f.MemCost < 1 || f.MemCost > 14 {
		return "", ErrFirebase
	}
	separator, err := bounded(base64.StdEncoding, f.Separator, 0, maxSalt)
	if err != nil {
		return "", ErrFirebase
	}
	stream, err := firebaseBytes(hash, minTag, maxTag)
	if err != nil {
		return "", err
	}
	if len(stream) != len(signer) {
		return "", ErrHashForm
	}
	raw, err := firebaseBytes(salt, minForeign, maxSalt-len(separator))
	if err != nil {
		return "", err
	}
	for i := range stream {
		stream[i] ^= signer[i]
	}
	return "$firebase-scrypt$" + scryptParameters(f.MemCost, f.Rounds) + "$" +
		plainBase64.EncodeToString(append(raw, separator...)) + "$" + plainBase64.EncodeToString(stream), nil
}

// firebaseBytes reads base64 of both alphabets: the export of the console has
// one, that of the SDK the other.
func firebaseBytes(text string, least, most int) ([]byte, error) {
	raw, err := bounded(base64.StdEncoding, text, least, most)
	if err != nil {
		if other, otherErr := bounded(base64.URLEncoding, text, least, most); otherErr == nil {
			return other, nil
		}
	}
	return raw, err
}

// firebaseHash is the key stream under the key that scrypt makes.
type firebaseHash struct{ scryptHash }

// readFirebase reads ln=<mem_cost>,r=<rounds>,p=1$<salt and separator>$<stream>.
func readFirebase(rest string) (foreign, error) {
	h, err := readScrypt(rest)
	if err != nil {
		return nil, err
	}
	inner, ok := h.(scryptHash)
	if !ok {
		return nil, ErrHashForm
	}
	return firebaseHash{inner}, nil
}

func (h firebaseHash) derive(typed []byte) ([]byte, error) {
	key, err := h.key(typed, firebaseKey)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("derive Firebase's scrypt: %w", err)
	}
	stream := make([]byte, len(h.sum))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(stream, stream) //nolint:gosec // Firebase's counter starts at zero, under a key of its own for each hash
	return stream, nil
}
