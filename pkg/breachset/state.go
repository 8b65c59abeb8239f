package breachset

import (
	"encoding/hex"
	"io"
	"slices"
	"time"
)

// State is how far a Builder has come. Together with the file, synced, it is
// all that is needed to go on.
type State struct {
	Keys     uint64         `json:"keys"`
	Universe uint64         `json:"universe"`
	Last     string         `json:"last"` // hash, in hexadecimal digits
	Bucket   uint64         `json:"bucket"`
	Next     uint64         `json:"next"`
	Code     []byte         `json:"code"`
	Spare    uint64         `json:"spare"`
	Count    uint           `json:"count"`
	Sections [2]SectionPart `json:"sections"`
}

// SectionPart is how much of a section is written.
type SectionPart struct {
	Length uint64 `json:"length"`
	Sum    uint32 `json:"sum"`
}

// State writes what waits and says how far the builder is; false while it has
// written nothing and would begin anew as well.
func (b *Builder) State() (State, bool, error) {
	if b.info.universe == 0 {
		return State{}, false, nil
	}
	s := State{
		Keys: b.info.Keys, Universe: b.info.universe, Last: hex.EncodeToString(b.last[:]), Bucket: b.bucket, Next: b.next,
		Code: slices.Clone(b.coder.code), Spare: b.coder.spare, Count: b.coder.count,
		Sections: [2]SectionPart{{b.table.length, b.table.sum}, {b.data.length, b.data.sum}},
	}
	return s, true, b.flush()
}

// Resume goes on in the file that the state belongs to. It returns false when
// the state cannot be one.
func Resume(file io.WriterAt, leastHit uint64, listed time.Time, s State) (*Builder, bool) {
	last, err := hex.DecodeString(s.Last)
	if err != nil || len(last) != len(Hash{}) || s.Universe < leastUniverse || s.Universe > mostKeys<<spread || s.Count > 7 || s.Spare>>s.Count != 0 || s.Next > bucketMask+1 {
		return nil, false
	}
	b := &Builder{
		info: Info{Keys: s.Keys, LeastHit: leastHit, Listed: listed, universe: s.Universe}, file: file, last: Hash(last), some: true,
		bucket: s.Bucket, next: s.Next, coder: coder{code: s.Code, spare: s.Spare, count: s.Count},
	}
	table, data := s.Sections[0], s.Sections[1]
	if s.Bucket >= b.info.buckets() || table.Length != (s.Bucket+1)*entrySize || data.Length > s.Bucket*longestBucket {
		return nil, false
	}
	b.table = section{file: file, at: headerSize + int64(table.Length), length: table.Length, sum: table.Sum}     //nolint:gosec // bounded by mostKeys
	b.data = section{file: file, at: b.info.dataStart() + int64(data.Length), length: data.Length, sum: data.Sum} //nolint:gosec // bounded by the buckets
	return b, true
}
