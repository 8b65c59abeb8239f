// Package breachset keeps a large set of SHA-1 hashes in a small file that is
// asked without being loaded: about 2.25 bytes a hash, two reads a question.
//
// The command line builds the file from a list of breached passwords
// ([Builder], [Lines]); the api asks it ([Set]). Both hand in where the bytes
// are. The set has false positives, about one in 65,536 hashes that it does
// not hold, and never a false negative.
//
// A hash, read as a fraction between 0 and 1, is brought to a whole number
// below the universe, which is 65,536 times the number of hashes. The numbers
// are cut into buckets of 2^24 and written as gaps to their neighbours in
// Golomb-Rice code, each bucket from a whole byte on:
//
//	header   64 bytes, see Info
//	table    8 bytes for each bucket: where it ends in the data; before them one zero
//	data     gaps: quotient by 2^16 in ones and a zero, then 16 bits; ones fill the last byte
//
// All numbers are little-endian. docs/adr/0013 says why it is so.
package breachset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"
)

// Hash is the SHA-1 of a password's UTF-8 bytes.
type Hash = [20]byte

const (
	magic      = "\x89BREACH\n" // not text, and visibly damaged where a transfer changed line ends
	version    = 1
	headerSize = 64
	entrySize  = 8

	spread     = 16 // bits of the universe above the number of hashes: one false positive in 2^16
	bucketBits = 24
	bucketMask = 1<<bucketBits - 1
	// mostKeys bounds the table; all passwords ever breached are far fewer.
	mostKeys = 1 << 36
	// longestBucket is 1,800 times what even hashes need.
	longestBucket = 1 << 20
	leastUniverse = 1 << spread
)

// ErrDamaged is why a file is not asked: it is no set, or not as it was
// written.
var ErrDamaged = errors.New("not a filter of breached passwords, or a damaged one: build it again with countersign breach build")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w (%s)", ErrDamaged, fmt.Sprintf(format, args...))
}

// checksums find what a disk or a transfer changed; they keep nobody out.
var checksums = crc32.MakeTable(crc32.Castagnoli)

// Info is what a file says about itself.
type Info struct {
	Keys     uint64    // hashes that were put in
	LeastHit uint64    // how often a password was seen at least to be put in
	Listed   time.Time // when the list was written, to the second
	Size     int64     // of the file, in bytes

	universe uint64
	data     uint64 // bytes
	sums     [2]uint32
}

// FalsePositives is the share of hashes outside the set that it seems to hold.
func (i Info) FalsePositives() float64 { return float64(i.Keys) / float64(i.universe) }

// place brings a hash into the universe, in the order of hashes.
func place(h Hash, universe uint64) uint64 {
	high, _ := bits.Mul64(binary.BigEndian.Uint64(h[:8]), universe)
	return high
}

func (i Info) buckets() uint64 { return (i.universe-1)>>bucketBits + 1 }

func (i Info) tableSize() uint64 { return (i.buckets() + 1) * entrySize }

func (i Info) dataStart() int64 { return headerSize + int64(i.tableSize()) } //nolint:gosec // bounded by mostKeys

// header writes Info down.
func (i Info) header() []byte {
	out := append(make([]byte, 0, headerSize), magic...)
	out = binary.LittleEndian.AppendUint32(out, version)
	for _, number := range []uint64{i.universe, i.Keys, i.LeastHit, uint64(i.Listed.Unix()), i.data} { //nolint:gosec // two's complement there and back
		out = binary.LittleEndian.AppendUint64(out, number)
	}
	for _, sum := range i.sums {
		out = binary.LittleEndian.AppendUint32(out, sum)
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, checksums))
}

// parseHeader reads Info from a header, and checks that a file of that size
// can have it.
func parseHeader(raw []byte, size int64) (Info, error) {
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(raw[at:]) }
	half := func(at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }
	switch {
	case string(raw[:len(magic)]) != magic:
		return Info{}, damaged("it begins otherwise")
	case half(8) != version:
		return Info{}, damaged("its version is %d, this program reads %d", half(8), version)
	case half(60) != crc32.Checksum(raw[:60], checksums):
		return Info{}, damaged("the checksum of its header is wrong")
	}
	i := Info{
		universe: word(12), Keys: word(20), LeastHit: word(28), Listed: time.Unix(int64(word(36)), 0).UTC(), //nolint:gosec // two's complement
		Size: size, data: word(44), sums: [2]uint32{half(52), half(56)},
	}
	if i.universe < leastUniverse || i.universe > mostKeys<<spread || i.data > uint64(size) || //nolint:gosec // sizes are not negative
		uint64(size) != headerSize+i.tableSize()+i.data { //nolint:gosec // not negative
		return Info{}, damaged("its length of %d bytes does not fit what it holds", size)
	}
	return i, nil
}
