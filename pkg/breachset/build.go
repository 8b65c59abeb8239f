package breachset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// The errors of a Builder.
var (
	ErrOrder  = errors.New("is out of order: the list must be sorted by hash (LC_ALL=C sort)")
	ErrEmpty  = errors.New("the list holds no hash that is to be put in")
	ErrUneven = errors.New("the list is not spread as hashes are; is it a list of SHA-1, and whole?")
)

// sample is how many hashes are looked at before the first is written: their
// density says how many there will be, within half a percent, since SHA-1
// spreads evenly. So one pass is enough, whatever is left out of a list. More
// than guessed cost false positives, fewer cost bytes; nothing goes wrong.
const sample = 1 << 16

// Builder writes a set from hashes in their order. It holds two megabytes,
// however many there are.
type Builder struct {
	info  Info
	file  io.WriterAt
	last  Hash
	some  bool   // there was a hash
	first []Hash // until the universe is known

	bucket uint64 // that is being filled
	next   uint64 // least number in it that is not taken
	coder  coder
	table  section
	data   section
}

// NewBuilder writes to a file of its own, from the first byte on.
func NewBuilder(file io.WriterAt, leastHit uint64, listed time.Time) *Builder {
	return &Builder{info: Info{LeastHit: leastHit, Listed: listed}, file: file}
}

// Add puts a hash in. It returns ErrOrder when it belongs before the last one,
// ErrUneven, or what writing returned. The same once more is no mistake.
func (b *Builder) Add(h Hash) error {
	if b.some && !after(h, b.last) {
		if h == b.last {
			return nil
		}
		return ErrOrder
	}
	b.last, b.some = h, true
	b.info.Keys++
	if b.info.universe != 0 {
		return b.put(h)
	}
	if b.first = append(b.first, h); len(b.first) < sample {
		return nil
	}
	seen := float64(place(h, 1<<62)+1) / (1 << 62) // of all that there may be
	return b.begin(1.01 * sample / seen)           // a little more, so that false positives stay below the promise
}

// begin fixes the universe and writes what has waited for it.
func (b *Builder) begin(keys float64) error {
	if keys > mostKeys {
		return ErrUneven
	}
	b.info.universe = uint64(keys) << spread
	b.table = section{file: b.file, at: headerSize}
	b.data = section{file: b.file, at: b.info.dataStart()}
	b.table.add(make([]byte, entrySize))
	for _, h := range b.first {
		if err := b.put(h); err != nil {
			return err
		}
	}
	b.first = nil
	return nil
}

func (b *Builder) put(h Hash) error {
	number := place(h, b.info.universe)
	for b.bucket < number>>bucketBits {
		if err := b.close(); err != nil {
			return err
		}
	}
	if number &= bucketMask; number >= b.next { // or a neighbour has the same number
		b.coder.put(number - b.next)
		b.next = number + 1
	}
	return nil
}

// close ends a bucket and goes to the next one.
func (b *Builder) close() error {
	code := b.coder.end()
	if len(code) > longestBucket {
		return ErrUneven
	}
	b.data.add(code)
	b.table.add(binary.LittleEndian.AppendUint64(nil, b.data.length))
	b.coder.clear()
	b.bucket, b.next = b.bucket+1, 0
	return errors.Join(b.data.flush(stretch), b.table.flush(stretch))
}

// Finish writes the rest and, last of all, the header. It returns ErrEmpty
// when there was no hash.
func (b *Builder) Finish() (Info, error) {
	if !b.some {
		return Info{}, ErrEmpty
	}
	if b.info.universe == 0 {
		if err := b.begin(float64(len(b.first))); err != nil {
			return Info{}, err
		}
	}
	for b.bucket < b.info.buckets() {
		if err := b.close(); err != nil {
			return Info{}, err
		}
	}
	if err := b.flush(); err != nil {
		return Info{}, err
	}
	b.info.data, b.info.sums = b.data.length, [2]uint32{b.table.sum, b.data.sum}
	b.info.Size = b.info.dataStart() + int64(b.data.length) //nolint:gosec // was written
	if _, err := b.file.WriteAt(b.info.header(), 0); err != nil {
		return Info{}, fmt.Errorf("write header of filter: %w", err)
	}
	return b.info, nil
}

func (b *Builder) flush() error { return errors.Join(b.data.flush(0), b.table.flush(0)) }

// section is a part of the file that grows. The bytes wait until they are
// worth a write.
type section struct {
	file   io.WriterAt
	at     int64 // where the waiting bytes go
	wait   []byte
	length uint64 // of all, with those that wait
	sum    uint32
}

func (s *section) add(text []byte) {
	s.wait = append(s.wait, text...)
	s.length += uint64(len(text))
	s.sum = crc32.Update(s.sum, checksums, text)
}

// flush writes when more bytes wait than may.
func (s *section) flush(may int) error {
	if len(s.wait) <= may {
		return nil
	}
	if _, err := s.file.WriteAt(s.wait, s.at); err != nil {
		return fmt.Errorf("write filter: %w", err)
	}
	s.at, s.wait = s.at+int64(len(s.wait)), s.wait[:0]
	return nil
}
