package bus

import (
	"math/rand/v2"
	"time"
)

// Ends of the line. Ordinary failures stay with the table for a while: the
// message's own life ends most of them. A handler that panics is not going to
// learn. The server's own limit is only a net far below: what it catches is
// visible nowhere, so nothing may ever reach it.
const (
	parkAfterPanics = 5
	parkAfterTries  = 20
	serverLimit     = 25
)

func defaultRetryTable() []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second}
}

// wait is how long a message rests after its n-th delivery: the table's step,
// the last one repeating, ±50 % so that what failed together does not come
// back together.
func wait(table []time.Duration, n int) time.Duration {
	step := table[min(max(n, 1), len(table))-1]
	return step/2 + rand.N(step+1) //nolint:gosec // spread, not a secret
}
