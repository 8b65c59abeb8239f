package challenge

import "time"

// Pumping earns money by having messages sent to numbers of one's own. It
// never tries a code, so no count of wrong guesses sees it: what gives it away
// is that codes are sent and not answered.

// Watch is the prefix whose answers a send is counted among.
type Watch struct {
	Prefix string
	Enough int // unanswered sends in an hour until it can be closed
	// After is what the send made of it, set by Reserve when it succeeds.
	After Conversion
}

const (
	watchSpan = time.Hour
	closedFor = time.Hour
	// Of this many sends one must be answered: 20 percent.
	oneOf = 5
)

// Conversion is how many codes went to the unknown numbers of a prefix and how
// many were answered, in a sliding hour: all of the bucket at hand, and of the
// one before the share that still lies within the hour.
type Conversion struct {
	Since          time.Time // begin of the bucket at hand
	Sends          int64
	Verified       int64
	SendsBefore    int64
	VerifiedBefore int64
	ClosedUntil    time.Time // zero while the prefix is open
}

// at moves the buckets on. What was closed starts afresh when its time is up:
// the sends that closed it must not close it again.
func (c Conversion) at(now time.Time) Conversion {
	if !c.ClosedUntil.IsZero() && !now.Before(c.ClosedUntil) {
		return Conversion{Since: now}
	}
	switch age := now.Sub(c.Since); {
	case age >= 2*watchSpan:
		return Conversion{Since: now, ClosedUntil: c.ClosedUntil}
	case age >= watchSpan:
		return Conversion{
			Since: c.Since.Add(watchSpan), SendsBefore: c.Sends, VerifiedBefore: c.Verified, ClosedUntil: c.ClosedUntil,
		}
	}
	return c
}

// LastHour returns the counts of the hour before now, in whole sends.
func (c Conversion) LastHour(now time.Time) (sends, verified int64) {
	sends, verified = c.window(now)
	return sends / watchSpan.Milliseconds(), verified / watchSpan.Milliseconds()
}

// window is LastHour times the milliseconds of an hour, so that shares of a
// bucket need no fractions.
func (c Conversion) window(now time.Time) (sends, verified int64) {
	all := watchSpan.Milliseconds()
	before := min(max(all-now.Sub(c.Since).Milliseconds(), 0), all)
	return c.Sends*all + c.SendsBefore*before, c.Verified*all + c.VerifiedBefore*before
}

// Send counts a send, unless the prefix is closed. The send that makes enough
// of them with too few answers is the last one: it closes the prefix.
func (c Conversion) Send(now time.Time, enough int) (next Conversion, ok bool) {
	c = c.at(now)
	if !c.ClosedUntil.IsZero() {
		return c, false
	}
	c.Sends++
	sends, verified := c.window(now)
	if sends >= int64(enough)*watchSpan.Milliseconds() && verified*oneOf < sends {
		c.ClosedUntil = now.Add(closedFor)
	}
	return c, true
}

// Unsend takes a send back that never left.
func (c Conversion) Unsend(now time.Time) Conversion {
	c = c.at(now)
	c.Sends = max(c.Sends-1, 0)
	return c
}

// Verify counts an answer. Enough of them open a closed prefix again: then it
// was people, who came all at once.
func (c Conversion) Verify(now time.Time) (next Conversion, opened bool) {
	c = c.at(now)
	c.Verified++
	sends, verified := c.window(now)
	if c.ClosedUntil.IsZero() || verified*oneOf < sends {
		return c, false
	}
	c.ClosedUntil = time.Time{}
	return c, true
}

// Tripped reports whether the prefix was closed by what happened just now.
func (c Conversion) Tripped(now time.Time) bool { return c.ClosedUntil.Equal(now.Add(closedFor)) }
