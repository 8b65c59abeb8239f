package zxcvbn

import "slices"

// repeats finds parts that are the same text several times over. What is
// repeated is judged as a password of its own.
func (e *estimator) repeats(password []uint16) []match {
	var out []match
	for i := 0; i < len(password); {
		longest, shortest := e.repeated(password[i:])
		if shortest.base == 0 {
			i++
			continue
		}
		// The longest text that is repeated covers more in aabaab, the
		// shortest in aaaaa.
		length, base := shortest.length(), shortest.base
		if longest.length() > length {
			length = longest.length()
			base = e.period(password[i : i+length])
		}
		_, guesses := e.cheapest(password[i : i+base])
		out = append(out, match{
			kind: repeat, i: i, j: i + length - 1, base: base,
			guesses: guesses * float64(length/base),
		})
		i += length
	}
	return out
}

// repetition is a text of base units, times times over.
type repetition struct{ base, times int }

func (r repetition) length() int { return r.base * r.times }

// repeated finds the longest and the shortest text with which another begins
// that comes again at once.
func (e *estimator) repeated(text []uint16) (longest, shortest repetition) {
	line := slices.IndexFunc(text, endsLine)
	if line < 0 {
		line = len(text)
	}
	for base := 1; base <= line/2; base++ {
		times := e.times(text, base)
		if times < 2 {
			continue
		}
		longest = repetition{base, times}
		if shortest.base == 0 {
			shortest = longest
		}
	}
	return longest, shortest
}

// endsLine reports whether a unit ends a line: repeats are looked for in one.
func endsLine(unit uint16) bool {
	return unit == '\n' || unit == '\r' || unit == '\u2028' || unit == '\u2029'
}

// times is how often the first units of a text come one after the other.
func (e *estimator) times(text []uint16, base int) int {
	n := 1
	for (n+1)*base <= len(text) && slices.Equal(text[:base], text[n*base:(n+1)*base]) {
		n++
	}
	e.work += n
	return n
}

// period is the length of the shortest text that makes up another.
func (e *estimator) period(text []uint16) int {
	base := 1
	for len(text)%base != 0 || e.times(text, base)*base < len(text) {
		base++
	}
	return base
}
