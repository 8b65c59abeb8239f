package zxcvbn

import (
	"math/bits"
	"slices"
)

// set is a set of alphabets, a bit for each.
type set [(mostAlphabets + 63) / 64]uint64

func (s set) and(other set) (both set, some bool) {
	var left uint64
	for i := range s {
		both[i] = s[i] & other[i]
		left |= both[i]
	}
	return both, left != 0
}

// first is the first alphabet of a set.
func (s set) first() int {
	for i, word := range s {
		if word != 0 {
			return i*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// reading is what a character may be, and in which alphabets it is that.
type reading struct {
	unit uint16
	in   set
}

// reader looks for words in all alphabets at once. Trying one after the other
// would take as many walks as there are alphabets, though most words contain
// few of the characters that make them differ.
type reader struct {
	e         *estimator
	password  []uint16
	small     []uint16
	alphabets []alphabet
	readings  map[uint16][]reading
	all       set
	found     []match
}

// l33tWords finds words of which some letters are written in l33t.
func (e *estimator) l33tWords(password []uint16) []match {
	r := reader{e: e, password: password, small: lower(password), alphabets: e.alphabets(password)}
	if len(r.alphabets) == 1 && r.alphabets[0] == (alphabet{}) {
		return nil
	}
	r.learn()
	for _, x := range e.lists {
		for i := range password {
			r.walk(x, x.all(), i, i, r.all)
		}
	}
	return r.found
}

// learn sorts the alphabets by what a character is in them.
func (r *reader) learn() {
	for k := range r.alphabets {
		r.all[k/64] |= 1 << (k % 64)
	}
	r.readings = map[uint16][]reading{}
	for at, char := range []byte(l33tChars) {
		var readings []reading
		for k, a := range r.alphabets {
			unit := uint16(a[at])
			if unit == 0 {
				unit = uint16(char)
			}
			which := slices.IndexFunc(readings, func(known reading) bool { return known.unit == unit })
			if which < 0 {
				which = len(readings)
				readings = append(readings, reading{unit: unit})
			}
			readings[which].in[k/64] |= 1 << (k % 64)
		}
		r.readings[uint16(char)] = readings
	}
}

// walk goes on at a unit of the password, in all alphabets that read what is
// before it as the span does.
func (r *reader) walk(x *index, s span, from, at int, in set) {
	if at == len(r.password) {
		return
	}
	unit := r.small[at]
	readings, ok := r.readings[unit]
	if !ok {
		r.step(x, s, from, at, reading{unit, in})
		return
	}
	for _, as := range readings {
		if both, some := in.and(as.in); some {
			r.step(x, s, from, at, reading{as.unit, both})
		}
	}
}

func (r *reader) step(x *index, s span, from, at int, as reading) {
	r.e.work++
	s, ok := x.step(s, as.unit)
	if !ok {
		return
	}
	if which, ok := x.word(s); ok && at > from { // one character is a letter too often
		r.keep(x, which, from, at, as.in.first())
	}
	r.walk(x, s, from, at+1, as.in)
}

// keep adds a word, unless it stands there as it is. The alphabet is any of
// those in which it was read: they agree on its characters.
func (r *reader) keep(x *index, which, i, j, alphabet int) {
	small := r.small[i : j+1]
	if slices.Equal(small, x.spelled(which)) {
		return
	}
	m := wordMatch(x, which, r.password, i, j)
	m.l33t = true
	m.guesses *= substitutions(small, r.alphabets[alphabet])
	r.found = append(r.found, m)
}

// substitutions is in how many ways letters may be written until this way is
// tried.
func substitutions(token []uint16, in alphabet) float64 {
	ways := 1.0
	for at, letter := range in {
		written := count(token, uint16(l33tChars[at]))
		if letter == 0 || written == 0 {
			continue
		}
		if plain := count(token, uint16(letter)); plain == 0 {
			ways *= 2
		} else {
			ways *= chooseUpTo(written+plain, min(written, plain))
		}
	}
	return ways
}

func count(token []uint16, unit uint16) int {
	n := 0
	for _, u := range token {
		if u == unit {
			n++
		}
	}
	return n
}
