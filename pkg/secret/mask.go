package secret

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// dots stands for whatever a mask leaves out. Its length never follows the
// length of what it hides.
const dots = "•••"

// MaskPhone shortens a number in E.164 form to its first three characters and
// its last two, as in "+49•••••67": enough for support to recognise a number
// they are told, not enough to dial or to look it up. Anything else, a number
// with blanks included, becomes "•••", because nobody knows what it holds.
func MaskPhone(number string) string {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok || len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return dots
	}
	return number[:3] + "•••••" + number[len(number)-2:]
}

// MaskEmail shortens an address to the first letters of its two halves and the
// top level domain, as in "j•••@e•••.com". A half of one letter shows nothing
// of itself. Anything that does not look like an address becomes "•••".
func MaskEmail(address string) string {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || strings.Contains(domain, "@") {
		return dots
	}
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || !isTopLevel(domain[dot+1:]) {
		return dots
	}
	return initial(local) + "@" + initial(domain[:dot]) + domain[dot:]
}

// initial returns the first letter of s followed by dots, or only the dots
// when the letter would be all of s or is not fit to print.
func initial(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == len(s) || !(unicode.IsLetter(first) || unicode.IsDigit(first)) {
		return dots
	}
	return string(first) + dots
}

// isTopLevel keeps everything but the letters, digits and dashes of a domain
// label out of a mask, which may go into a log line.
func isTopLevel(label string) bool {
	if len(label) < 2 || len(label) > 63 {
		return false
	}
	for _, r := range label {
		if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}
