package password

import (
	"slices"
	"sync"
	"time"
)

// Aim is what hashing may cost on a machine.
type Aim struct {
	Target time.Duration // of one hash, while all slots work
	Memory uint32        // KiB, of all slots together
	Slots  int           // hashes at once
}

// Suggestion is what parameters cost on a machine.
type Suggestion struct {
	Parameters
	Took time.Duration // one hash, while all slots work
}

// steps are the memories that are tried, in KiB, the floor first.
func steps() []uint32 {
	return []uint32{DefaultParameters().Memory, 24 << 10, 32 << 10, 48 << 10, 64 << 10, 96 << 10, 128 << 10, 192 << 10, maxMemory}
}

// Suggest finds the dearest parameters within the aim: first as much memory as
// fits, which is what costs who guesses with other hardware, then as many
// passes. It never goes below the floor, even where that takes longer. One
// hash has one lane: the other cores work on other people's.
func Suggest(aim Aim, measure func(Parameters) time.Duration) Suggestion {
	best := Suggestion{Parameters: DefaultParameters()}
	best.Took = measure(best.Parameters)
	better := func(p Parameters) bool {
		took := measure(p)
		if took > aim.Target {
			return false
		}
		best = Suggestion{Parameters: p, Took: took}
		return true
	}
	for _, memory := range steps()[1:] {
		p := best.Parameters
		p.Memory = memory
		if memory > aim.Memory/uint32(max(aim.Slots, 1)) || best.Took > aim.Target || !better(p) { //nolint:gosec // as many as there are cores
			break
		}
	}
	for p := best.Parameters; p.Passes < maxPasses && best.Took <= aim.Target; {
		p.Passes++
		if !better(p) {
			break
		}
	}
	return best
}

// Measure says how long one hash takes while others are made in all slots: the
// median of five rounds.
func Measure(slots int, p Parameters, now func() time.Time) time.Duration {
	h := NewHasher(nil, p, nil)
	var took []time.Duration
	for range 5 {
		began := now()
		var all sync.WaitGroup
		for range slots {
			all.Go(func() { _, _ = h.evaluate("a password that nobody has", h.fresh(), tagSize) })
		}
		all.Wait()
		took = append(took, now().Sub(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}
