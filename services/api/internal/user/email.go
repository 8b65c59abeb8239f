package user

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"countersign.dev/pkg/fault"
)

// Bounds of RFC 5321 in octets.
const (
	maxAddress = 254
	maxLocal   = 64
)

var domainProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

var errEmail = fault.New(fault.Invalid, "invalid_parameter", "email must be one plain address such as ana@example.com")

// Address is an e-mail address: as its owner writes it, and canonical, the
// form in which two spellings of one mailbox are equal. Mail goes to Written.
type Address struct {
	Written   string
	Canonical string
}

// Mailbox is where mail goes: the local part as it is written, for only its
// host knows what that means, and the domain in ASCII, as mail servers take it.
func (a Address) Mailbox() string {
	local, _, _ := strings.Cut(a.Written, "@")
	_, domain, _ := strings.Cut(a.Canonical, "@")
	return local + "@" + domain
}

// ParseAddress reads an address: at most 254 octets, exactly one @, no quoted
// or comment forms, an IDNA2008 domain with a dot, nothing invisible. The
// canonical form has its local part in NFC and lower case and its domain in
// ASCII; it is idempotent. The size is checked before anything is parsed.
func ParseAddress(text string) (Address, error) {
	if len(text) == 0 || len(text) > maxAddress || !utf8.ValidString(text) {
		return Address{}, errEmail
	}
	local, domain, ok := strings.Cut(text, "@")
	if !ok || strings.Contains(domain, "@") || !validLocal(local) {
		return Address{}, errEmail
	}
	ascii, err := domainProfile.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return Address{}, errEmail
	}
	canonical := lower(local) + "@" + ascii
	if len(canonical) > maxAddress {
		return Address{}, errEmail
	}
	return Address{Written: text, Canonical: canonical}, nil
}

// lower is NFC, lower case and NFC again, since lower case can decompose.
// Only code points that stay themselves under it are taken together: this is
// no case folding, so that ß and ss, or the Kelvin sign and k, stay apart.
func lower(local string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); unicode.ToUpper(l) == r {
			return l
		}
		return r
	}, norm.NFC.String(local)))
}

func validLocal(local string) bool {
	if local == "" || len(local) > maxLocal || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	for _, r := range local {
		switch {
		case r < utf8.RuneSelf:
			if r <= ' ' || r == 0x7f || strings.ContainsRune(`"(),:;<>@[\]`, r) {
				return false
			}
		case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Sk):
			return false // controls, direction marks, spaces, punctuation look-alikes
		case isSingleton(r):
			return false // NFC would turn it into another letter: the Kelvin sign into K
		}
	}
	return true
}

// isSingleton reports whether normalizing replaces r by one other character.
func isSingleton(r rune) bool {
	decomposed := []rune(norm.NFD.String(string(r)))
	return len(decomposed) == 1 && decomposed[0] != r
}
