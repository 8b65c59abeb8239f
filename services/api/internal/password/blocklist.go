package password

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// largestBlocklist bounds an operator's list, in bytes. A list of millions is
// one for the check of leaked passwords, which keeps them in a filter.
const largestBlocklist = 16 << 20

// Blocklist is passwords that an operator refuses beside those that everybody
// does: names of products, of places, of a campaign. Case does not count. None
// is in a nil one.
type Blocklist struct{ sorted []string }

// ReadBlocklist reads a list of one password a line; a line is taken as it is,
// with its blanks, and empty ones are passed over. It returns an error that
// says what is wrong: text that is not UTF-8, or more than 16 MiB.
func ReadBlocklist(from io.Reader) (*Blocklist, error) {
	list := &Blocklist{}
	limited := &io.LimitedReader{R: from, N: largestBlocklist + 1}
	lines := bufio.NewScanner(limited)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if !utf8.ValidString(line) {
			return nil, fmt.Errorf("line %d is not UTF-8", n)
		}
		if line != "" {
			list.sorted = append(list.sorted, listed(line))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read list: %w", err)
	}
	if limited.N == 0 {
		return nil, errors.New("it is larger than 16 MiB; make a filter of it with countersign breach build")
	}
	slices.Sort(list.sorted)
	list.sorted = slices.Compact(list.sorted)
	return list, nil
}

// Len is how many passwords there are.
func (b *Blocklist) Len() int { return len(b.sorted) }

func (b *Blocklist) has(plain string) bool {
	if b == nil {
		return false
	}
	_, found := slices.BinarySearch(b.sorted, listed(plain))
	return found
}

// listed is a password as lists have it.
func listed(text string) string { return strings.ToLower(norm.NFC.String(text)) }
