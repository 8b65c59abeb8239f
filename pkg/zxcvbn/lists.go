package zxcvbn

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"sync"
)

// list is where a word comes from.
type list uint8

const (
	passwords list = iota
	english
	femaleNames
	surnames
	film
	maleNames
	ownWords // the context of one estimate
)

// files are the word lists of zxcvbn 4.4.2, the most used word first, one a
// line. A word stands only in the list in which it ranks best. Their licence
// lies beside them; original_test.go compares them with the original and
// writes them anew.
//
//go:embed words/*.gz words/LICENSE
var files embed.FS

// names are those of the files, in the order in which the original looks
// through them.
var names = []string{
	passwords:   "passwords",
	english:     "english_wikipedia",
	femaleNames: "female_names",
	surnames:    "surnames",
	film:        "us_tv_and_film",
	maleNames:   "male_names",
}

// lists is the index of all word lists. Unpacking and sorting them takes some
// 50 ms, once, when the first password is judged.
var lists = sync.OnceValue(func() *index {
	words := make([]word, 0, 94_000)
	for from, name := range names {
		words = append(words, read(list(from), name)...)
	}
	return newIndex(words)
})

// read unpacks one list. What is compiled in can be read, or no test passes.
func read(from list, name string) []word {
	packed, err := files.ReadFile("words/" + name + ".gz")
	if err != nil {
		panic(fmt.Errorf("open the word list %s: %w", name, err))
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(fmt.Errorf("unpack the word list %s: %w", name, err))
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		panic(fmt.Errorf("unpack the word list %s: %w", name, err))
	}
	wide := make([]uint16, len(text)) // the lists are ASCII
	for i, char := range text {
		wide[i] = uint16(char)
	}
	out := make([]word, 0, bytes.Count(text, []byte{'\n'}))
	for begin, at := 0, 0; at < len(wide); at++ {
		if wide[at] == '\n' {
			out = append(out, word{units: wide[begin:at], list: from, rank: uint16(len(out) + 1)}) //nolint:gosec // no list has more than 30,000
			begin = at + 1
		}
	}
	return out
}

// contextIndex is the index of the words of one estimate, nil when there are
// none. The first is taken to be guessed first.
func contextIndex(context []string) *index {
	var words []word
	for _, text := range context {
		if own := lower(units(text)); len(own) > 0 && len(words) < mostContext {
			words = append(words, word{units: own, list: ownWords, rank: uint16(len(words) + 1)}) //nolint:gosec // at most mostContext
		}
	}
	if len(words) == 0 {
		return nil
	}
	return newIndex(words)
}

// mostContext bounds the work that a context makes.
const mostContext = 1000

// Common reports whether the whole password, in any case, is one of the 30,000
// most used ones. A word that is used still more in texts, names or films than
// as a password is not among them; [Estimate] scores it 0 or 1.
func Common(password string) bool {
	all := lists()
	which, ok := all.find(lower(units(password)))
	return ok && all.lists[which] == passwords
}
