// Package zxcvbn estimates how many guesses a password costs somebody who
// knows what people choose: words and names, common passwords, keyboard walks,
// repeats, sequences, dates, and all of these with capitals and l33t.
//
// The rules of passwords call [Estimate] and [Common]; it knows nothing of who
// sets which password, and keeps nothing. Scores are those of zxcvbn 4.4.2
// (Wheeler, USENIX Security 2016), whose word lists it carries; a test holds it
// to a record of what the original says.
//
// Like the original it looks at UTF-16 code units, so that lengths and scores
// agree for every script: a character outside the basic plane counts as two.
// Unlike the original its work is bounded: it looks at the first [Longest]
// units and at every way to read l33t at once.
package zxcvbn

import (
	"time"
	"unicode/utf16"
)

// Longest is how many UTF-16 code units of a password are looked at. What
// follows costs no time and makes no password better.
const Longest = 100

// Result is what a password is worth.
type Result struct {
	// Score is 0 (less than a thousand guesses), 1 (a million), 2 (a hundred
	// millions), 3 (ten thousand millions) or 4.
	Score int
	// Guesses is how many passwords are likely to be tried before this one, 1
	// at least.
	Guesses float64
	// Warning says what is wrong with the password, empty when nothing in
	// particular is, or when the score is 3 or 4.
	Warning Advice
	// Suggestions say how to make a better one, the most useful first. There
	// are none when the score is 3 or 4.
	Suggestions []Advice
}

// Estimate judges a password. The context is words that an attacker would try
// for this user first: names, the local part of an address, the organization,
// the product. Each is taken as it is, in any case; take names apart before.
func Estimate(password string, context ...string) Result {
	return estimate(password, context, time.Now().Year())
}

// estimate is Estimate in a year, from which the distance of dates counts.
func estimate(password string, context []string, year int) Result {
	return newEstimator(context, year).judge(units(password))
}

// estimator is the state of one estimate.
type estimator struct {
	year  int
	lists []*index // where words are looked up, the lists before the context
	work  int      // steps so far; a test holds its bound
}

func newEstimator(context []string, year int) *estimator {
	e := &estimator{year: year, lists: []*index{lists()}}
	if own := contextIndex(context); own != nil {
		e.lists = append(e.lists, own)
	}
	return e
}

func (e *estimator) judge(password []uint16) Result {
	sequence, guesses := e.cheapest(password)
	result := Result{Score: score(guesses), Guesses: guesses}
	result.Warning, result.Suggestions = advise(password, sequence, result.Score)
	return result
}

// score is where a number of guesses lies between what can be tried online,
// against a slow hash and against a fast one. The five more keep a password of
// exactly a power of ten on the lower side.
func score(guesses float64) int {
	for i, limit := range []float64{1e3, 1e6, 1e8, 1e10} {
		if guesses < limit+5 {
			return i
		}
	}
	return 4
}

// units returns the first units of a text. Bytes that are no UTF-8 become the
// replacement character.
func units(text string) []uint16 {
	out := make([]uint16, 0, min(len(text), Longest+1))
	for _, r := range text {
		if len(out) >= Longest {
			break
		}
		out = utf16.AppendRune(out, r)
	}
	return out[:min(len(out), Longest)]
}
