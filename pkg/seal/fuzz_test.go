package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/secret"
)

// fixedRing makes finds of the fuzzer repeatable.
func fixedRing(tb testing.TB) *seal.Keyring {
	tb.Helper()
	var keys []string
	for _, first := range []byte{1, 101} {
		raw := make([]byte, seal.KeySize)
		for i := range raw {
			raw[i] = first + byte(i)
		}
		keys = append(keys, base64.StdEncoding.EncodeToString(raw))
	}
	ring, err := seal.Parse("keys", secret.New(strings.Join(keys, ",")))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// What stands on the bus or in a row opens only when it is what was sealed,
// for what it was sealed: one bit elsewhere and it does not. What opens is
// never longer than what was sealed.
//
// Covers R-131 for sealed values.
func FuzzOpen(f *testing.F) {
	ring := fixedRing(f)
	f.Add([]byte("+4915112345667"), []byte{}, "factor.phone", "org|user", uint(3))
	f.Add([]byte{}, []byte{1, 0, 0, 0, 0}, "", "", uint(0))
	f.Fuzz(func(t *testing.T, plain, foreign []byte, purpose, row string, bit uint) {
		if got, err := ring.Open(purpose, row, foreign); err == nil || !errors.Is(err, seal.ErrUnsealable) {
			t.Fatalf("what nobody sealed opened as %q, %v", got, err)
		}
		ring.Stale(foreign)
		sealed, err := ring.Seal(purpose, row, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ring.Open(purpose, row, sealed); err != nil || !bytes.Equal(got, plain) || len(got) > len(sealed) {
			t.Fatalf("Open = %q, %v, want %q", got, err, plain)
		}
		if _, err := ring.Open(purpose, row+"x", sealed); !errors.Is(err, seal.ErrUnsealable) {
			t.Fatalf("it opened in another row: %v", err)
		}
		bit %= uint(8 * len(sealed))
		sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := ring.Open(purpose, row, sealed); !errors.Is(err, seal.ErrUnsealable) {
			t.Fatalf("it opened with bit %d changed: %v", bit, err)
		}
	})
}

// A list of keys is read or refused, and no error repeats a part of it.
//
// Covers R-131 for keys in the configuration.
func FuzzParse(f *testing.F) {
	f.Add("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=")
	f.Add("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=, AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, list string) {
		ring, err := seal.Parse("KEYS", secret.New(list))
		if _, errIndex := seal.ParseIndex("KEYS", secret.New(list)); errIndex == nil && err != nil {
			t.Fatalf("one key is an index and no ring: %v", err)
		}
		if err != nil {
			for part := range strings.SplitSeq(list, ",") {
				if len(part) > 8 && strings.Contains(err.Error(), part) {
					t.Fatalf("the error repeats %q: %v", part, err)
				}
			}
			return
		}
		if sealed, err := ring.Seal("p", "r", []byte("x")); err != nil || ring.Stale(sealed) {
			t.Fatalf("keys that were taken do not seal: %v", err)
		}
	})
}
