package zxcvbn

import (
	"math"
	"strings"
)

// shortestWalk is how many keys in a row are no coincidence.
const shortestWalk = 3

// walks finds chains of keys that lie beside each other.
func walks(password []uint16) []match {
	var out []match
	for _, k := range keyboards() {
		for i := 0; i < len(password)-1; {
			w := k.walk(password[i:])
			if w.length >= shortestWalk {
				out = append(out, match{
					kind: spatial, i: i, j: i + w.length - 1,
					guesses: k.guesses(w), turns: w.turns,
				})
			}
			i += w.length
		}
	}
	return out
}

// walk is a chain of keys.
type walk struct{ length, turns, shifted int }

// walk follows the longest chain from the begin of a text.
func (k keyboard) walk(text []uint16) walk {
	w := walk{length: 1}
	if k.shifted[text[0]] {
		w.shifted++
	}
	last := -1
	for ; w.length < len(text); w.length++ {
		unit := text[w.length]
		way := k.way(text[w.length-1], unit)
		if way < 0 {
			break
		}
		if k.shifted[unit] {
			w.shifted++
		}
		if way != last { // the first step is a turn too
			w.turns++
			last = way
		}
	}
	return w
}

// way is the direction from one character to another, -1 if they are not
// beside each other.
func (k keyboard) way(from, to uint16) int {
	for way, key := range k.beside[from] {
		if strings.ContainsRune(key, rune(to)) {
			return way
		}
	}
	return -1
}

// guesses is how many walks there are of this length or less with these turns
// or fewer. Turns can be placed in a walk of some keys in choose(keys-1,
// turns-1) ways; over all lengths with room for them that adds up to
// choose(length, turns) - 1.
func (k keyboard) guesses(w walk) float64 {
	guesses := 0.0
	for turns := 1; turns <= min(w.turns, w.length-1); turns++ {
		guesses += k.keys * math.Pow(k.degree, float64(turns)) * (choose(w.length, turns) - 1)
	}
	switch plain := w.length - w.shifted; {
	case w.shifted == 0:
		return guesses
	case plain == 0:
		return 2 * guesses
	default:
		return guesses * chooseUpTo(w.length, min(w.shifted, plain))
	}
}
