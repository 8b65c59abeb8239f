package zxcvbn

import (
	"cmp"
	"slices"
	"sort"
)

// index holds words in alphabetical order, one after the other, so that a walk
// along a password sees after each unit whether any word goes on like this.
// 94,000 words fill 2 MB, without a pointer for the collector to follow.
type index struct {
	text   []uint16
	starts []uint32 // of each word in text, and the end of the last one
	lists  []list
	ranks  []uint16
}

// word is what is put into an index.
type word struct {
	units []uint16
	list  list
	rank  uint16 // from 1, the most used
}

// newIndex sorts the words. Of equal ones it keeps the one with the best rank.
func newIndex(words []word) *index {
	slices.SortFunc(words, func(a, b word) int {
		if order := slices.Compare(a.units, b.units); order != 0 {
			return order
		}
		return cmp.Compare(a.rank, b.rank)
	})
	words = slices.CompactFunc(words, func(a, b word) bool { return slices.Equal(a.units, b.units) })
	x := &index{
		starts: make([]uint32, 0, len(words)+1),
		lists:  make([]list, 0, len(words)),
		ranks:  make([]uint16, 0, len(words)),
	}
	for _, w := range words {
		x.starts = append(x.starts, uint32(len(x.text))) //nolint:gosec // the lists have 650,000 letters, a context far less
		x.text = append(x.text, w.units...)
		x.lists = append(x.lists, w.list)
		x.ranks = append(x.ranks, w.rank)
	}
	x.starts = append(x.starts, uint32(len(x.text))) //nolint:gosec // as above
	return x
}

// span is the words from lo to before hi, which begin with the same depth units.
type span struct{ lo, hi, depth int }

func (x *index) all() span { return span{hi: len(x.lists)} }

// step narrows a span to the words that go on with a unit.
func (x *index) step(s span, unit uint16) (next span, ok bool) {
	n := s.hi - s.lo
	lo := s.lo + sort.Search(n, func(k int) bool { return x.at(s.lo+k, s.depth) >= int(unit) })
	if lo == s.hi || x.at(lo, s.depth) != int(unit) {
		return span{}, false
	}
	hi := lo + 1 + sort.Search(s.hi-lo-1, func(k int) bool { return x.at(lo+1+k, s.depth) > int(unit) })
	return span{lo, hi, s.depth + 1}, true
}

// at is a unit of a word, less than any unit where the word has ended.
func (x *index) at(word, depth int) int {
	at := x.starts[word] + uint32(depth) //nolint:gosec // at most Longest
	if at >= x.starts[word+1] {
		return -1
	}
	return int(x.text[at])
}

// word returns which word it is that a span has come to the end of, if there
// is one. It comes before all that are longer.
func (x *index) word(s span) (which int, ok bool) {
	return s.lo, int(x.starts[s.lo+1]-x.starts[s.lo]) == s.depth
}

// spelled returns the units of a word.
func (x *index) spelled(word int) []uint16 { return x.text[x.starts[word]:x.starts[word+1]] }

// find looks a whole word up.
func (x *index) find(units []uint16) (which int, ok bool) {
	s := x.all()
	for _, unit := range units {
		if s, ok = x.step(s, unit); !ok {
			return 0, false
		}
	}
	return x.word(s)
}
