package smtp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of RFC 5321 in octets.
const (
	longestAddress = 254
	longestLocal   = 64
)

var errAddress = errors.New("the address is not one that a command can carry")

// address is what stands between < and > of a command, exactly as it was
// stored.
type address struct {
	text   string
	domain string
	// utf8 says that the server needs SMTPUTF8 to take it.
	utf8 bool
}

// parseAddress accepts plain addresses only: no quoted or comment forms, in
// which a command could end early and another begin, no blanks, nothing
// invisible. Whoever stores addresses refuses the others as well; that is not
// relied on here.
func parseAddress(text string) (address, error) {
	local, domain, ok := strings.Cut(text, "@")
	if !ok || len(text) > longestAddress || len(local) > longestLocal || !utf8.ValidString(text) || !dotted(local) || !dotted(domain) {
		return address{}, errAddress
	}
	for _, r := range local {
		if r <= ' ' || strings.ContainsRune(`"(),:;<>@[\]`, r) || !plain(r) {
			return address{}, errAddress
		}
	}
	for _, r := range domain {
		ascii := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.'
		if !ascii && (r < utf8.RuneSelf || !plain(r)) {
			return address{}, errAddress
		}
	}
	return address{text: text, domain: domain, utf8: strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })}, nil
}

// dotted refuses empty parts between dots.
func dotted(text string) bool {
	return text != "" && !strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".") && !strings.Contains(text, "..")
}

// plain refuses what is not seen: controls, direction marks, line separators,
// blanks of any width.
func plain(r rune) bool {
	return r != 0x7f && (r < utf8.RuneSelf || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So, unicode.Sk))
}
