package zxcvbn

import (
	"cmp"
	"slices"
)

// kind is what a part of a password was recognized as.
type kind int

const (
	bruteforce kind = iota // as nothing
	dictionary
	spatial
	repeat
	sequence
	recentYear
	date
)

// match is a part of a password that is cheaper to guess than its length says.
type match struct {
	kind    kind
	i, j    int // the first and the last unit
	guesses float64

	// What the advice depends on.
	list           list // of a dictionary match
	rank           int
	reversed, l33t bool
	turns          int // of a keyboard walk
	base           int // length of what is repeated
}

func (m match) length() int { return m.j - m.i + 1 }

// Guesses below which no part of a longer password is taken to be: an attacker
// has to find out as well where it begins and ends.
const (
	fewestOfOne  = 10 // for one character
	fewestOfMore = 50
)

func (m match) fewest() float64 {
	if m.length() == 1 {
		return fewestOfOne
	}
	return fewestOfMore
}

// matches finds all that can be recognized, ordered by end and begin. What
// covers the same part stays in the order of the matchers: among equals the
// first one wins.
func (e *estimator) matches(password []uint16) []match {
	all := slices.Concat(
		e.words(password),
		e.reversedWords(password),
		e.l33tWords(password),
		walks(password),
		e.repeats(password),
		sequences(password),
		e.recentYears(password),
		e.dates(password),
	)
	for i, m := range all {
		if m.length() < len(password) {
			all[i].guesses = max(m.guesses, m.fewest())
		} else {
			all[i].guesses = max(m.guesses, 1)
		}
	}
	slices.SortStableFunc(all, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.j, b.j), cmp.Compare(a.i, b.i))
	})
	return all
}

// choose is the number of ways to choose k of n.
func choose(n, k int) float64 {
	if k > n {
		return 0
	}
	ways := 1.0
	for d := 1; d <= k; d++ {
		ways *= float64(n)
		ways /= float64(d)
		n--
	}
	return ways
}

// chooseUpTo is the number of ways to choose one to k of n.
func chooseUpTo(n, k int) float64 {
	ways := 0.0
	for i := 1; i <= k; i++ {
		ways += choose(n, i)
	}
	return ways
}
