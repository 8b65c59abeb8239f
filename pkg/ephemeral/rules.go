package ephemeral

import (
	"errors"
	"fmt"
	"time"

	"countersign.dev/pkg/fault"
)

// What both implementations judge alike, so that they cannot drift apart.

// retryIn is what a caller is told while the store is down. Redis is back in
// seconds or not soon.
const retryIn = 2 * time.Second

var errUnavailable = fault.New(fault.Unavailable, "state_unavailable",
	"The service cannot issue or check anything at the moment. Try again in a few seconds.").RetryIn(retryIn)

// unavailable says that the store did not answer. What was asked of it may
// still have been done: an answer can be lost after the step was taken.
func unavailable(doing string, cause error) error {
	return errUnavailable.Because(fmt.Errorf("%s: %w", doing, cause))
}

// errKind is a bug of the caller: one key used for two purposes.
var errKind = errors.New("the key holds something of another kind")

// millis checks a lifetime and returns it in whole milliseconds, rounded up:
// a value must not be gone before its time.
func millis(ttl time.Duration) (int64, error) {
	if ttl <= 0 {
		return 0, fmt.Errorf("ttl %s is not positive", ttl)
	}
	return int64((ttl + time.Millisecond - 1) / time.Millisecond), nil
}

// check refuses a code that could not be judged later.
func (c Code) check() error {
	switch {
	case c.ID == "":
		return errors.New("the code has no id")
	case len(c.Digest) == 0:
		return errors.New("the code has no digest")
	case c.Tries < 1:
		return errors.New("the code has no tries")
	case c.ExpiresAt.IsZero():
		return errors.New("the code has no end")
	}
	return nil
}

// seen is a code as its owner may see it later: nothing is left of one that
// has expired.
func (c Code) seen(now time.Time) *Code {
	if past(now, c.ExpiresAt) {
		c.Tries = 0
	}
	return &c
}

// past reports whether end is over. Times are kept in milliseconds.
func past(now, end time.Time) bool { return now.UnixMilli() > end.UnixMilli() }

// pace is a rate in whole microseconds, the unit of the stores' clock. One
// unit costs step; a key may owe at most depth.
type pace struct{ step, depth int64 }

// The limits of a rate, far from where Lua's numbers lose whole microseconds.
const (
	maxBurst = 1_000_000_000
	maxPer   = 366 * 24 * time.Hour
)

// pace rounds the step down and derives the depth from it, so that the burst
// is exact and no rounding error can add up to one unit more.
func (r Rate) pace() (pace, error) {
	if r.Burst < 1 || r.Burst > maxBurst || r.Per <= 0 || r.Per > maxPer {
		return pace{}, fmt.Errorf("rate of %d per %s is out of range", r.Burst, r.Per)
	}
	step := max(1, r.Per.Microseconds()/int64(r.Burst))
	return pace{step: step, depth: step * int64(r.Burst)}, nil
}

// take is GCRA: due is the time up to which the key has used its rate. It
// returns the new due time, or how long to wait when nothing is left. The
// script of Redis does the same.
//
// The debt is never more than the depth: a clock that was set back, or a rate
// that was narrowed, must not lock a key out for longer than its rate says.
func (p pace) take(due, now int64) (next int64, wait time.Duration) {
	due = min(max(due, now), now+p.depth)
	next = due + p.step
	if over := next - p.depth - now; over > 0 {
		return 0, time.Duration(over) * time.Microsecond
	}
	return next, 0
}
