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

// A bucket that was cut, or that is filled up with more than a byte, is no
// bucket that a coder wrote.
func TestABucketThatBreaksOffIsDamaged(t *testing.T) {
	t.Parallel()
	for name, code := range map[string][]byte{
		"cut in the rest of a gap": {0x00, 0x00},
		"a zero in the last bits":  {0x00, 0x00, 0x7f, 0x3f},
		"a byte of ones too many":  {0x00, 0x00, 0x7f, 0xff},
		"nothing but ones":         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, err := holds(append(code, make([]byte, 8)...), bucketMask); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
