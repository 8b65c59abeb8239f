package breachset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// Set answers from a file. It holds nothing of it and is safe for concurrent
// use.
type Set struct {
	Info
	file io.ReaderAt
}

// Open reads all of a file once, against its checksums, so that a damaged one
// is refused before anybody asks it. It returns ErrDamaged, or what reading
// returned.
func Open(file io.ReaderAt, size int64) (*Set, error) {
	if size < headerSize {
		return nil, damaged("it has %d bytes", max(size, 0))
	}
	raw := make([]byte, headerSize)
	if err := readAt(file, raw, 0); err != nil {
		return nil, err
	}
	info, err := parseHeader(raw, size)
	if err != nil {
		return nil, err
	}
	s := &Set{Info: info, file: file}
	if err := errors.Join(s.verifyTable(), s.verifyData()); err != nil {
		return nil, err
	}
	return s, nil
}

// Has reports whether the set holds a hash. It costs two reads of the
// file and some microseconds.
func (s *Set) Has(h Hash) (bool, error) {
	number := place(h, s.universe)
	var ends [2 * entrySize]byte
	if err := readAt(s.file, ends[:], headerSize+int64(number>>bucketBits)*entrySize); err != nil {
		return false, err
	}
	from, to := binary.LittleEndian.Uint64(ends[:]), binary.LittleEndian.Uint64(ends[entrySize:])
	if from > to || to > s.data || to-from > longestBucket {
		return false, damaged("its table changed since it was opened")
	}
	code := make([]byte, to-from+8)
	if err := readAt(s.file, code[:to-from], s.dataStart()+int64(from)); err != nil { //nolint:gosec // below the size
		return false, err
	}
	return holds(code, number&bucketMask)
}

// holds looks for a number in a bucket.
func holds(code []byte, number uint64) (bool, error) {
	bucket := readGaps(code)
	for next := uint64(0); ; next++ {
		gap, ok, err := bucket.next()
		if err != nil || !ok {
			return false, err
		}
		if next += gap; next >= number {
			return next == number, nil
		}
	}
}

// stretch is how much of a file is read at once to verify it.
const stretch = 1 << 20

// verifyTable also looks whether every entry can be followed.
func (s *Set) verifyTable() error {
	var last, at uint64
	sum := uint32(0)
	err := s.each(headerSize, s.tableSize(), func(part []byte) error {
		sum = crc32.Update(sum, checksums, part)
		for entry := range slices.Chunk(part, entrySize) {
			end := binary.LittleEndian.Uint64(entry)
			if end < last || end-last > longestBucket || at == 0 && end != 0 {
				return damaged("entry %d of its table is wrong", at)
			}
			last, at = end, at+1
		}
		return nil
	})
	if err == nil && (sum != s.sums[0] || last != s.data) {
		err = damaged("the checksum of its table is wrong")
	}
	return err
}

func (s *Set) verifyData() error {
	sum := uint32(0)
	err := s.each(s.dataStart(), s.data, func(part []byte) error {
		sum = crc32.Update(sum, checksums, part)
		return nil
	})
	if err == nil && sum != s.sums[1] {
		err = damaged("the checksum of its data is wrong")
	}
	return err
}

// each hands a part of the file on in stretches.
func (s *Set) each(from int64, length uint64, do func([]byte) error) error {
	buffer := make([]byte, min(length, stretch))
	for length > 0 {
		part := buffer[:min(length, stretch)]
		if err := readAt(s.file, part, from); err != nil {
			return err
		}
		if err := do(part); err != nil {
			return err
		}
		from, length = from+int64(len(part)), length-uint64(len(part))
	}
	return nil
}

func readAt(file io.ReaderAt, into []byte, at int64) error {
	if n, err := file.ReadAt(into, at); n < len(into) {
		return fmt.Errorf("read filter of breached passwords: %w", err)
	}
	return nil
}

// after reports whether a comes after b in the order of lists.
func after(a, b Hash) bool { return slices.Compare(a[:], b[:]) > 0 }
