// Package totp computes the codes of authenticator apps (RFC 6238).
//
// It makes keys, says which codes are good at a time, and writes the address
// by which an app takes a key over. It is called by the factor rules, which
// know whose key it is, and hands the codes back as secrets: whether one of
// them was entered is the guard's to say, which counts the guess first, and
// which step was used before is kept by the store. The time is handed in.
package totp

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

// Parameters are what an app and this service must agree on besides the
// secret.
type Parameters struct {
	Algorithm string // SHA1, SHA256 or SHA512
	Digits    int    // 6 or 8
	Period    int    // seconds, 30 or 60
}

// Default is SHA1, six digits and 30 seconds: some apps know nothing else and
// show wrong codes without a word about it.
func Default() Parameters { return Parameters{Algorithm: "SHA1", Digits: 6, Period: 30} }

// Validate refuses what is not listed at Parameters, with a fault of kind
// Invalid that names the parameter.
func (p Parameters) Validate() error {
	if _, ok := algorithms[p.Algorithm]; !ok {
		return fault.New(fault.Invalid, "invalid_parameter", "algorithm must be SHA1, SHA256 or SHA512")
	}
	if p.Digits != 6 && p.Digits != 8 {
		return fault.New(fault.Invalid, "invalid_parameter", "digits must be 6 or 8")
	}
	if p.Period != 30 && p.Period != 60 {
		return fault.New(fault.Invalid, "invalid_parameter", "period must be 30 or 60 seconds")
	}
	return nil
}

// algorithm is one hash and the length of its keys in bytes: that of its
// output, as RFC 6238 has it in its reference.
type algorithm struct {
	hash otp.Algorithm
	size int
}

var algorithms = map[string]algorithm{
	"SHA1":   {otp.AlgorithmSHA1, 20},
	"SHA256": {otp.AlgorithmSHA256, 32},
	"SHA512": {otp.AlgorithmSHA512, 64},
}

// leastBytes of a secret are 128 bits (RFC 4226, R6). The library takes fewer,
// and for none at all it computes codes that everybody can compute.
const leastBytes = 16

// encoding is how apps expect a secret: base32 without padding.
var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Key is a secret that an app shares with this service.
type Key struct {
	Secret secret.Text // base32, no padding
	Parameters
}

// NewKey draws a key for parameters that are valid; of others it makes one
// that has no codes.
func NewKey(p Parameters) Key {
	random := make([]byte, algorithms[p.Algorithm].size)
	_, _ = rand.Read(random) // ends the program rather than fail
	return Key{Secret: secret.New(encoding.EncodeToString(random)), Parameters: p}
}

// Step numbers the periods since 1970; before, it is 0. The key's parameters
// must be valid.
func (k Key) Step(at time.Time) int64 { return max(at.Unix(), 0) / int64(k.Period) }

// Code is what an app shows during one step.
type Code struct {
	Step int64
	// Drift is the step less the present one: 1 is the code of an app whose
	// clock is ahead, -1 of one whose clock is behind or whose person was slow.
	Drift int
	Text  secret.Text
}

// drift is how many steps a code may be away: one, for transport and clocks
// (RFC 6238, 5.2). Each more would be one more chance for a guess.
const drift = 1

// Codes are those of the step before, the present one and the next, in this
// order; in the very first step there is none before. Two of them may have the
// same text by chance.
//
// A key that this package would not make (other parameters, a secret that is no
// base32 or is short) has no codes: the error is no fault, since the person who
// enters a code cannot help it.
func (k Key) Codes(at time.Time) ([]Code, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	present := k.Step(at)
	codes := make([]Code, 0, 1+2*drift)
	for step := max(present-drift, 0); step <= present+drift; step++ {
		text, err := hotp.GenerateCodeCustom(k.Secret.Reveal(), uint64(step), hotp.ValidateOpts{
			Digits: otp.Digits(k.Digits), Algorithm: algorithms[k.Algorithm].hash,
		})
		if err != nil {
			return nil, fmt.Errorf("compute code: %w", err)
		}
		codes = append(codes, Code{Step: step, Drift: int(step - present), Text: secret.New(text)})
	}
	return codes, nil
}

// check refuses keys that are not of this package. Its errors say nothing of
// the secret, which base32 would quote a place of.
func (k Key) check() error {
	if k.Validate() != nil {
		return errors.New("compute code: the key's parameters are not valid")
	}
	raw, err := encoding.DecodeString(k.Secret.Reveal())
	if err != nil {
		return errors.New("compute code: the key's secret is not base32")
	}
	if len(raw) < leastBytes {
		return errors.New("compute code: the key's secret is too short")
	}
	return nil
}
