package password

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// argon2Hash is Argon2i or Argon2id (RFC 9106) of another system. No library
// computes Argon2d, or the version before 1.3: those are refused.
type argon2Hash struct {
	Parameters
	salt, sum []byte
	compute   func(password, salt []byte, passes, memory uint32, threads uint8, size uint32) []byte
}

// readArgon2 reads argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<tag>,
// with or without the dollar sign before it.
func readArgon2(rest string) (foreign, error) {
	parts, err := fields(strings.TrimPrefix(rest, "$"), 5)
	if err != nil {
		return nil, err
	}
	var h argon2Hash
	switch parts[0] {
	case "argon2i":
		h.compute = argon2.Key
	case "argon2id":
		h.compute = argon2.IDKey
	default:
		return nil, ErrHashForm
	}
	if parts[1] != "v="+strconv.Itoa(argon2.Version) {
		return nil, ErrHashForm
	}
	if h.Parameters, err = argon2Cost(parts[2]); err != nil {
		return nil, err
	}
	if h.salt, err = bounded(plainBase64, parts[3], minSalt, maxSalt); err != nil {
		return nil, err
	}
	h.sum, err = bounded(plainBase64, parts[4], minTag, maxTag)
	return h, err
}

func argon2Cost(text string) (Parameters, error) {
	values, err := named(text, "m", "t", "p")
	if err != nil {
		return Parameters{}, err
	}
	var numbers [3]int
	for i, most := range [3]int{maxMemory, math.MaxInt32, maxThreads} {
		if numbers[i], err = number(values[i], 1, most); err != nil {
			return Parameters{}, err
		}
	}
	memory, passes, lanes := numbers[0], numbers[1], numbers[2]
	if memory < memoryPerThread*lanes || passes > maxArgon/memory {
		return Parameters{}, ErrHashCost
	}
	return Parameters{Memory: uint32(memory), Passes: uint32(passes), Threads: uint8(lanes)}, nil //nolint:gosec // bounded above
}

func (h argon2Hash) tag() []byte { return h.sum }

func (h argon2Hash) derive(typed []byte) ([]byte, error) {
	return h.compute(typed, h.salt, h.Passes, h.Memory, h.Threads, uint32(len(h.sum))), nil //nolint:gosec // 64 at most
}
