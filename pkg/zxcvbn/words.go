package zxcvbn

import (
	"slices"
	"unicode"
	"unicode/utf16"
)

// words finds words of all lists.
func (e *estimator) words(password []uint16) []match {
	var out []match
	small := lower(password)
	for _, x := range e.lists {
		for i := range password {
			s := x.all()
			for j := i; j < len(password); j++ {
				var ok bool
				e.work++
				if s, ok = x.step(s, small[j]); !ok {
					break
				}
				if which, ok := x.word(s); ok {
					out = append(out, wordMatch(x, which, password, i, j))
				}
			}
		}
	}
	return out
}

// wordMatch is a match of a word as it stands in the password.
func wordMatch(x *index, which int, password []uint16, i, j int) match {
	m := match{kind: dictionary, i: i, j: j, list: x.lists[which], rank: int(x.ranks[which])}
	m.guesses = float64(m.rank) * capitals(password[i:j+1])
	return m
}

// reversedWords finds words that are spelled backwards.
func (e *estimator) reversedWords(password []uint16) []match {
	backwards := slices.Clone(password)
	slices.Reverse(backwards)
	out := e.words(backwards)
	last := len(password) - 1
	for k, m := range out {
		m.i, m.j = last-m.j, last-m.i
		m.reversed = true
		m.guesses = 2 * float64(m.rank) * capitals(password[m.i:m.j+1])
		out[k] = m
	}
	return out
}

// capitals is in how many ways letters may be capitalized until this way is
// tried.
func capitals(token []uint16) float64 {
	upper, small := cases(token)
	if upper == 0 || slices.Equal(lower(token), token) {
		return 1
	}
	if firstUpper(token) || lastUpper(token) || small == 0 {
		return 2 // the usual ways
	}
	return chooseUpTo(upper+small, min(upper, small))
}

// cases counts the letters of the alphabet, as only these have a case for the
// original.
func cases(token []uint16) (upper, small int) {
	for _, unit := range token {
		switch {
		case isUpper(unit):
			upper++
		case 'a' <= unit && unit <= 'z':
			small++
		}
	}
	return upper, small
}

func isUpper(unit uint16) bool { return 'A' <= unit && unit <= 'Z' }

// firstUpper reports whether the first of several units is the only capital.
func firstUpper(token []uint16) bool {
	return len(token) > 1 && isUpper(token[0]) && !slices.ContainsFunc(token[1:], isUpper)
}

// lastUpper reports whether the last of several units is the only capital.
func lastUpper(token []uint16) bool {
	last := len(token) - 1
	return last > 0 && isUpper(token[last]) && !slices.ContainsFunc(token[:last], isUpper)
}

// lower returns small letters, unit for unit. That an İ is an i keeps it so; the
// original makes it two units, and what follows slips by one.
func lower(text []uint16) []uint16 {
	out := make([]uint16, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch r := rune(text[i]); {
		case r <= unicode.MaxASCII:
			if isUpper(text[i]) {
				r += 'a' - 'A'
			}
			out = append(out, uint16(r))
		case r == 'ς':
			out = append(out, 'σ') // the same letter at the end of a word
		case utf16.IsSurrogate(r) && i+1 < len(text) && utf16.DecodeRune(r, rune(text[i+1])) != unicode.ReplacementChar:
			i++
			out = utf16.AppendRune(out, unicode.ToLower(utf16.DecodeRune(r, rune(text[i]))))
		default:
			out = append(out, uint16(unicode.ToLower(r))) //nolint:gosec // small letters of the basic plane are in it
		}
	}
	return out
}
