package breachset

import (
	"encoding/binary"
	"math/bits"
)

const (
	riceBits = spread // gaps are 2^16 on average, for which this is the shortest
	riceMask = 1<<riceBits - 1
)

// coder writes the gaps of one bucket.
type coder struct {
	code  []byte
	spare uint64 // bits that fill no byte yet
	count uint   // of them, less than eight
}

// put appends a gap.
func (c *coder) put(gap uint64) {
	ones := gap >> riceBits
	for ; ones >= 32; ones -= 32 {
		c.bits(1<<32-1, 32)
	}
	c.bits((1<<ones-1)<<1, uint(ones)+1)
	c.bits(gap&riceMask, riceBits)
}

func (c *coder) bits(value uint64, count uint) {
	c.spare = c.spare<<count | value
	for c.count += count; c.count >= 8; c.count -= 8 {
		c.code = append(c.code, byte(c.spare>>(c.count-8))) //nolint:gosec // the eight lowest bits
	}
	c.spare &= 1<<c.count - 1
}

// end fills the last byte with ones: a gap that never gets its zero is none.
func (c *coder) end() []byte {
	if c.count > 0 {
		c.bits(1<<(8-c.count)-1, 8-c.count)
	}
	return c.code
}

func (c *coder) clear() { c.code, c.spare, c.count = c.code[:0], 0, 0 }

// window is how many bits a look at any position shows for certain.
const window = 57

// gaps reads what a coder wrote.
type gaps struct {
	code  []byte // with eight bytes of ones behind it, so that a look never leaves it
	at    int    // bit
	limit int    // bits
}

// readGaps takes code with eight bytes more than it uses, which it overwrites.
func readGaps(code []byte) gaps {
	used := len(code) - 8
	binary.BigEndian.PutUint64(code[used:], ^uint64(0))
	return gaps{code: code, limit: used * 8}
}

func (g *gaps) look() uint64 { return binary.BigEndian.Uint64(g.code[g.at>>3:]) << (g.at & 7) }

// next returns the next gap, or false after the last one.
func (g *gaps) next() (gap uint64, ok bool, err error) {
	left, ones := g.limit-g.at, 0
	for g.at < g.limit {
		run := bits.LeadingZeros64(^g.look())
		if run >= window {
			ones, g.at = ones+window-1, g.at+window-1
			continue
		}
		ones, g.at = ones+run, g.at+run+1
		if g.at > g.limit-riceBits {
			return 0, false, damaged("a bucket breaks off")
		}
		gap = uint64(ones)<<riceBits | g.look()>>(64-riceBits) //nolint:gosec // not negative
		g.at += riceBits
		return gap, true, nil
	}
	if left >= 8 {
		return 0, false, damaged("a bucket ends in nothing")
	}
	return 0, false, nil
}
