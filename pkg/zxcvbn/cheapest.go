package zxcvbn

import (
	"cmp"
	"math"
	"slices"
)

// path is the best known way to cover the beginning of a password with a
// number of parts.
type path struct {
	parts   int
	last    match
	product float64 // of the guesses of its parts
	guesses float64 // what an attacker needs, see plan.consider
}

// plan finds the cheapest way to put a password together from its matches,
// with brute force for what is between them. It goes through the password
// from left to right and keeps for each end the paths that may still win: one
// for each number of parts, as more parts may cost less now and more later.
type plan struct {
	e     *estimator
	paths [][]path // by the unit at which they end, then by growing parts
}

// cheapest returns the parts of a password in the way that costs the fewest
// guesses, and how many these are.
func (e *estimator) cheapest(password []uint16) ([]match, float64) {
	if len(password) == 0 {
		return nil, 1
	}
	all := e.matches(password)
	p := plan{e: e, paths: make([][]path, len(password))}
	for k := range password {
		for len(all) > 0 && all[0].j == k {
			p.extend(all[0])
			all = all[1:]
		}
		for i := range k + 1 {
			p.extend(brute(i, k))
		}
	}
	return p.unwind(len(password) - 1)
}

// brute is a part that was recognized as nothing.
func brute(i, j int) match {
	m := match{kind: bruteforce, i: i, j: j}
	// One guess more than the least of a match, which wins where it is equal.
	m.guesses = max(math.Pow10(m.length()), m.fewest()+1)
	return m
}

// extend tries a match at the end of every path that ends before it. Two parts
// of brute force in a row are never better than one.
func (p plan) extend(m match) {
	if m.i == 0 {
		p.consider(m, 1, m.guesses)
		return
	}
	for _, before := range p.paths[m.i-1] {
		if m.kind != bruteforce || before.last.kind != bruteforce {
			p.consider(m, before.parts+1, before.product*m.guesses)
		}
	}
}

// consider keeps a path if none with as many parts or fewer is as cheap. An
// attacker who knows the parts needs the product of their guesses, for each of
// their orders; one who does not tries shorter paths before, with 10,000
// guesses for each part.
func (p plan) consider(last match, parts int, product float64) {
	p.e.work++
	guesses := factorial(parts)*product + math.Pow(10_000, float64(parts-1))
	paths := p.paths[last.j]
	at := 0
	for ; at < len(paths) && paths[at].parts <= parts; at++ {
		p.e.work++
		if paths[at].guesses <= guesses {
			return
		}
	}
	better := path{parts: parts, last: last, product: product, guesses: guesses}
	if at > 0 && paths[at-1].parts == parts {
		paths[at-1] = better
		return
	}
	p.paths[last.j] = slices.Insert(paths, at, better)
}

// unwind goes back from the best path at the end.
func (p plan) unwind(end int) (parts []match, guesses float64) {
	best := slices.MinFunc(p.paths[end], func(a, b path) int { return cmp.Compare(a.guesses, b.guesses) })
	guesses = best.guesses
	for {
		parts = append(parts, best.last)
		if best.parts == 1 {
			break
		}
		for _, before := range p.paths[best.last.i-1] {
			if before.parts == best.parts-1 {
				best = before
				break
			}
		}
	}
	slices.Reverse(parts)
	return parts, guesses
}

func factorial(n int) float64 {
	f := 1.0
	for i := 2; i <= n; i++ {
		f *= float64(i)
	}
	return f
}
