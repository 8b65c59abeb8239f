package text

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

// One segment. A longer text is cut into several and paid for as such.
const (
	segmentGSM = 160 // septets
	segmentUCS = 70  // 16-bit units
)

// letters that carry no mark to take off, but have a usual Latin spelling.
var spelled = map[rune]string{
	'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th",
	'œ': "oe", 'Œ': "OE", 'ı': "i", 'ħ': "h", 'Ħ': "H", 'ŧ': "t", 'Ŧ': "T", 'ŋ': "n", 'Ŋ': "N",
	'ẞ': "SS",
}

// fits reports whether s is one segment.
func fits(s string) bool {
	n, gsm := units(s)
	if gsm {
		return n <= segmentGSM
	}
	return n <= segmentUCS
}

// units counts what s takes on the air: septets when all of it is GSM-7,
// 16-bit units otherwise.
func units(s string) (n int, gsm bool) {
	septets, gsm := 0, true
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			septets++
		case strings.ContainsRune(gsmExtended, r):
			septets += 2
		default:
			gsm = false
		}
		n++
		if r > 0xFFFF { // a surrogate pair
			n++
		}
	}
	if gsm {
		return septets, true
	}
	return n, false
}

// toGSM spells s in GSM-7: marks that the alphabet lacks are taken off
// (François becomes Francois). It reports false when a character has no
// Latin spelling; a half-transliterated name would be worse than a long one.
func toGSM(s string) (string, bool) {
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
