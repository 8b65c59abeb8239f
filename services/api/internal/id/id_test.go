package id_test

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/id"
)

var inGroups = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Covers R-028 for ids of exchanges: a million of them, all of their 128 bits random.
func TestOpaqueIdsAreRandomInEveryBit(t *testing.T) {
	t.Parallel()
	const many = 1_000_000
	seen := make(map[[16]byte]bool, many)
	var ones [128]int
	for range many {
		text := id.Opaque().Reveal()
		var raw [16]byte
		if n, err := hex.Decode(raw[:], []byte(strings.ReplaceAll(text, "-", ""))); len(text) != 36 || n != 16 || err != nil {
			t.Fatalf("an id of %d characters, %d bytes: %v", len(text), n, err)
		}
		seen[raw] = true
		for i := range ones {
			ones[i] += int(raw[i/8] >> (i % 8) & 1)
		}
	}
	if len(seen) != many {
		t.Errorf("%d of %d ids are different", len(seen), many)
	}
	for bit, n := range ones {
		// 500 is the standard deviation: ten of them do not happen.
		if n < many/2-5000 || n > many/2+5000 {
			t.Errorf("bit %d is set in %d of %d ids", bit, n, many)
		}
	}
}

func TestTheLookOfAnOpaqueId(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if text := id.Opaque().Reveal(); !inGroups.MatchString(text) || !id.IsOpaque(text) {
			t.Fatalf("an id has not the look of a UUID, or is not taken for one: %v", id.IsOpaque(text))
		}
	}
	const one = "01234567-89ab-cdef-0123-456789abcdef"
	if !id.IsOpaque(one) || !id.IsOpaque("ffffffff-ffff-ffff-ffff-ffffffffffff") {
		t.Error("an id without a version is not taken for one")
	}
	for name, text := range map[string]string{
		"nothing": "", "a word": "undefined", "no groups": strings.ReplaceAll(one, "-", ""), "upper case": strings.ToUpper(one),
		"braces": "{" + one + "}", "a urn": "urn:uuid:" + one, "a digit less": one[:35], "a digit more": one + "0", "a blank": one + " ",
		"a line": one + "\n", "other groups": "0123456789ab-cdef-0123-4567-89ab-cdef", "no hex": one[:35] + "g", "very long": strings.Repeat(one, 1000),
	} {
		if id.IsOpaque(text) {
			t.Errorf("%s is taken for an id", name)
		}
	}
}
