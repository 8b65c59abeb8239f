package grant

import (
	"fmt"
	"slices"
)

// What somebody can have proven, as amr names it (RFC 8176; it has no word for
// a mailbox and none for a recovery code).
const (
	Password = "pwd"
	Mail     = "email"
	SMS      = "sms"
	App      = "otp"
	Recovery = "recovery"
	// Several is there when the proofs are of two factors. It is computed
	// here; that somebody says so counts for nothing.
	Several = "mfa"
)

// What proofs are worth, as acr says it.
const (
	OneFactor  = "aal1"
	TwoFactors = "aal2"
)

// The factors that the proofs are of. A mailbox opens nothing that a password
// does not, and resets it: the two of them are no second factor to each other.
const (
	first  = "first"
	second = "second"
)

var factors = map[string]string{Password: first, Mail: first, SMS: second, App: second, Recovery: second}

// IsFirst reports whether a proof is one that a login begins with.
func IsFirst(proof string) bool { return factors[proof] == first }

// Assess brings recorded proofs into one order and says what they are worth.
// Two proofs of one factor are one factor.
func Assess(recorded []string) (amr []string, acr string, err error) {
	proven := map[string]bool{}
	for _, proof := range recorded {
		if proof == Several {
			continue
		}
		factor, known := factors[proof]
		if !known {
			return nil, "", fmt.Errorf("a grant cannot rest on the proof %q", proof)
		}
		proven[factor] = true
		amr = append(amr, proof)
	}
	if len(amr) == 0 {
		return nil, "", fmt.Errorf("a grant needs a proof")
	}
	acr = OneFactor
	if len(proven) > 1 {
		acr, amr = TwoFactors, append(amr, Several)
	}
	slices.Sort(amr)
	return slices.Compact(amr), acr, nil
}
