// Package brand makes the name of an organization, or any other short word of a
// user, harmless in a message.
//
// The workers call [Clean] before they put a name into a text, a subject or a
// page. What it owns is the rule of what may be left; what surrounds the name
// is the worker's wording.
package brand

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	longest      = 64   // characters
	longestInput = 1024 // octets looked at; bounds the work
)

// codeLike is six digits or more with no letter between them. It could pass
// for a code, so it goes: a message shows its own code twice and no other.
var codeLike = regexp.MustCompile(`\p{Nd}(?:[^\p{L}]*\p{Nd}){5,}`)

// Clean reduces a name to letters, marks, digits, blanks and . ' - so that
// it is a name and cannot be a link, a second code or an instruction to the
// screen. What is left may be empty.
//
// Compatibility forms are folded first: a full-width dot or digit is judged as
// the dot or digit it looks like.
func Clean(name string) string {
	name = name[:min(len(name), longestInput)]
	name = norm.NFKC.String(strings.Map(visible, strings.ToValidUTF8(name, " ")))
	name = dropLinks(name)
	name = strings.Map(allowed, name)
	name = breakDomains(name)
	name = codeLike.ReplaceAllString(name, " ")
	return trimMarks(cut(strings.Join(strings.Fields(name), " "), longest))
}

// dropLinks removes whole words that name a scheme or start like a web
// address; without that, their path would stay as noise.
func dropLinks(s string) string {
	words := strings.Fields(s)
	kept := words[:0]
	for _, word := range words {
		lower := strings.ToLower(word)
		if strings.Contains(lower, "://") || strings.HasPrefix(lower, "www.") {
			continue
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, " ")
}

// allowed keeps a character, turns it into a blank, or drops it (negative)
// when it is invisible and would hide inside a word.
func allowed(r rune) rune {
	switch {
	case r == '.' || r == '\'' || r == '-':
		return r
	case r == '’' || r == '‘' || r == 'ʼ':
		return '\''
	case invisible(r):
		return -1
	case unicode.Is(unicode.Pd, r):
		return '-'
	case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.Mn, r), unicode.Is(unicode.Mc, r):
		return r
	}
	return ' '
}

// visible drops what cannot be seen.
func visible(r rune) rune {
	if invisible(r) {
		return -1
	}
	return r
}

// invisible covers direction overrides, zero-width and filler characters.
func invisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Me, r) ||
		unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// breakDomains keeps a dot only where phones cannot read a domain name or a
// network address: after a letter and before a blank, the end or an initial
// (St. Gallen, U.S. Steel). Booking.com becomes Booking com.
func breakDomains(s string) string {
	runes := []rune(s)
	for i, r := range runes {
		if r != '.' {
			continue
		}
		if i == 0 || !isWord(runes[i-1]) || !(endsAt(runes, i+1) || initialAt(runes, i+1)) {
			runes[i] = ' '
		}
	}
	return string(runes)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

func endsAt(runes []rune, i int) bool { return i >= len(runes) || runes[i] == ' ' }

// initialAt reports whether one letter stands alone at i: no top-level domain
// has a single letter.
func initialAt(runes []rune, i int) bool {
	return i < len(runes) && unicode.IsLetter(runes[i]) &&
		(endsAt(runes, i+1) || (runes[i+1] == '.' && (endsAt(runes, i+2) || initialAt(runes, i+2))))
}

// trimMarks removes what may not start or end a name.
func trimMarks(s string) string {
	s = strings.TrimLeftFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	return strings.TrimRight(s, " '-")
}

// cut shortens s to at most n characters without splitting one from its marks.
func cut(s string, n int) string {
	for utf8.RuneCountInString(s) > n {
		s = dropLast(s)
	}
	return s
}

// Shorten takes the last character off a clean name, together with its marks.
func Shorten(name string) string { return strings.TrimRight(dropLast(name), " '-") }

// dropLast removes the last character together with its marks.
func dropLast(s string) string {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		if !unicode.IsMark(r) {
			break
		}
	}
	return s
}

// TooShort reports whether too little of a name is left to recognize it.
func TooShort(s string) bool {
	letters := 0
	for _, r := range s {
		if !unicode.IsMark(r) {
			letters++
		}
	}
	return letters < 2
}
