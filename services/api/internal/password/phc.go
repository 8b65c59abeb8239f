package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds of what is read from the database: nothing in there may make a
// single login take the machine.
const (
	maxStored  = 256     // characters
	maxMemory  = 1 << 18 // KiB: 256 MiB
	maxPasses  = 32
	maxThreads = 16
	// The library takes at least this much memory, whatever it is told.
	memoryPerThread = 8 // KiB

	minSalt, maxSalt = 8, 64
	minTag, maxTag   = 16, 64
	keyIDSize        = 6 // 8 characters; PHC allows 8 bytes
)

// errStored is returned for everything that is no hash of ours. It repeats
// nothing of it.
var errStored = errors.New("the stored password is not an Argon2id hash in PHC form, or out of bounds")

// stored is a password hash: how it was made, and its tag.
type stored struct {
	Parameters
	keyID string // of the pepper, as base64; none is empty
	salt  []byte
	tag   []byte
}

var plainBase64 = base64.RawStdEncoding.Strict()

// String is the PHC form:
//
//	$argon2id$v=19$m=19456,t=2,p=1,keyid=c2FsdHNh$salt$tag
func (s stored) String() string {
	key := ""
	if s.keyID != "" {
		key = ",keyid=" + s.keyID
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d%s$%s$%s", argon2.Version, s.Memory, s.Passes, s.Threads, key,
		plainBase64.EncodeToString(s.salt), plainBase64.EncodeToString(s.tag))
}

// parse reads the PHC form and nothing else: the parameters in that order,
// numbers without leading zeros, and within bounds. What it accepts, String
// writes again letter by letter.
func parse(text string) (s stored, err error) {
	if len(text) > maxStored {
		return stored{}, errStored
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return stored{}, errStored
	}
	if s, err = parseParameters(parts[3]); err != nil {
		return stored{}, err
	}
	if s.salt, err = parseBytes(parts[4], minSalt, maxSalt); err != nil {
		return stored{}, err
	}
	s.tag, err = parseBytes(parts[5], minTag, maxTag)
	if err != nil {
		return stored{}, err
	}
	return s, nil
}

func parseParameters(text string) (stored, error) {
	fields := strings.Split(text, ",")
	if len(fields) != 3 && len(fields) != 4 {
		return stored{}, errStored
	}
	var numbers [3]uint32
	for i, bound := range [3]struct {
		name        string
		least, most uint32
	}{{"m=", memoryPerThread, maxMemory}, {"t=", 1, maxPasses}, {"p=", 1, maxThreads}} {
		digits, ok := strings.CutPrefix(fields[i], bound.name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != digits || n > math.MaxUint32 {
			return stored{}, errStored
		}
		if numbers[i] = uint32(n); numbers[i] < bound.least || numbers[i] > bound.most {
			return stored{}, errStored
		}
	}
	if numbers[0] < memoryPerThread*numbers[2] {
		return stored{}, errStored
	}
	s := stored{Parameters: Parameters{Memory: numbers[0], Passes: numbers[1], Threads: uint8(numbers[2])}} //nolint:gosec // 16 at most
	if len(fields) == 4 {
		key, ok := strings.CutPrefix(fields[3], "keyid=")
		if _, err := parseBytes(key, keyIDSize, keyIDSize); !ok || err != nil {
			return stored{}, errStored
		}
		s.keyID = key
	}
	return s, nil
}

func parseBytes(text string, least, most int) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // the decoder skips them
		return nil, errStored
	}
	raw, err := plainBase64.DecodeString(text)
	if err != nil || len(raw) < least || len(raw) > most {
		return nil, errStored
	}
	return raw, nil
}
