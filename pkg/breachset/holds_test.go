package breachset

import (
	"errors"
	"slices"
	"testing"
)

// Gaps come back as they went in, however long they are.
func TestGapsComeBack(t *testing.T) {
	t.Parallel()
	in := []uint64{0, 1, 1<<16 - 1, 1 << 16, 55 << 16, 56 << 16, 57<<16 + 3, 58 << 16, 113 << 16, 1<<24 - 1, 0, 0}
	var c coder
	for _, gap := range in {
		c.put(gap)
	}
	var out []uint64
	for g := readGaps(append(slices.Clone(c.end()), make([]byte, 8)...)); ; {
		gap, ok, err := g.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		out = append(out, gap)
	}
	if !slices.Equal(in, out) {
		t.Errorf("%v, want %v", out, in)
	}
}

// FuzzHolds looks for a number in any bucket: checksums keep a fuzzer of whole
// files from getting there.
func FuzzHolds(f *testing.F) {
	f.Fuzz(func(t *testing.T, code []byte, number uint64) {
		_, err := holds(append(slices.Clone(code), make([]byte, 8)...), number&bucketMask)
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("fails with %v", err)
		}
	})
}
