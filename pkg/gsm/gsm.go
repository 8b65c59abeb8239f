// Package gsm knows what a text message takes on the air: GSM 03.38 and UCS-2,
// and how many segments that are, each of which is paid for.
//
// The sms worker fits its wording with it, and the api says what an
// organization's own wording costs (pkg/wording).
package gsm

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The GSM 03.38 default alphabet, and its extension table whose characters
// take two septets each.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// Units of one segment, and of each segment of a message that has several: a
// header takes the rest of it.
const (
	alone7, joined7   = 160, 153 // septets
	alone16, joined16 = 70, 67   // 16-bit units
)

// letters that carry no mark to take off, but have a usual Latin spelling.
var spelled = map[rune]string{
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'œ': "oe", 'Œ': "OE", 'ı': "i", 'ħ': "h", 'Ħ': "H", 'ŧ': "t", 'Ŧ': "T", 'ŋ': "n", 'Ŋ': "N",
	'ẞ': "SS",
}

// Segments is how many segments a phone gets s in: one for nothing at all. A
// character that takes two units is never cut in two.
func Segments(s string) int {
	n, seven := Units(s)
	alone, joined, width := alone16, joined16, width16
	if seven {
		alone, joined, width = alone7, joined7, width7
	}
	if n <= alone {
		return 1
	}
	segments, room := 1, joined
	for _, r := range s {
		if width(r) > room {
			segments, room = segments+1, joined
		}
		room -= width(r)
	}
	return segments
}

// Units counts what s takes on the air: septets when all of it is GSM-7, 16-bit
// units otherwise.
func Units(s string) (n int, seven bool) {
	septets, seven := 0, true
	for _, r := range s {
		width := width7(r)
		seven = seven && width > 0
		septets += width
		n += width16(r)
	}
	if seven {
		return septets, true
	}
	return n, false
}

// width7 is zero for what the alphabet does not have.
func width7(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtended, r):
		return 2
	}
	return 0
}

func width16(r rune) int {
	if r > 0xFFFF { // a surrogate pair
		return 2
	}
	return 1
}

// Latin spells s in GSM-7: marks that the alphabet lacks are taken off
// (François becomes Francois). It reports false when a character has no
// Latin spelling; a half-transliterated name would be worse than a long one.
func Latin(s string) (string, bool) {
	var out strings.Builder
	for _, r := range norm.NFC.String(s) {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			out.WriteRune(r)
		case spelled[r] != "":
			out.WriteString(spelled[r])
		case unicode.IsMark(r): // one that no composed letter has
		default:
			base, ok := baseLetter(r)
			if !ok {
				return "", false
			}
			out.WriteRune(base)
		}
	}
	return out.String(), true
}

// baseLetter takes the marks off a Latin letter.
func baseLetter(r rune) (rune, bool) {
	for _, b := range norm.NFD.String(string(r)) {
		return b, b < unicode.MaxASCII && unicode.IsLetter(b)
	}
	return 0, false
}
