package zxcvbn

import (
	"slices"
	"strings"
)

// l33t says which characters may stand for a letter.
var l33t = []struct {
	letter byte
	chars  string
}{
	{'a', "4@"}, {'b', "8"}, {'c', "({[<"}, {'e', "3"}, {'g', "69"}, {'i', "1!|"},
	{'l', "1|7"}, {'o', "0"}, {'s', "$5"}, {'t', "+7"}, {'x', "%"}, {'z', "2"},
}

// l33tChars are all of these characters.
const l33tChars = "4@8({[<3691!|70$5+%2"

// An alphabet says for each of l33tChars which letter it stands for, 0 for
// none. A password is read in one alphabet from its begin to its end: there no
// letter is written in two ways, and no character stands for two letters.
type alphabet [len(l33tChars)]byte

// mostAlphabets is how many there are for a password with all l33tChars.
const mostAlphabets = 736

// alphabets returns those in which a password can be read.
func (e *estimator) alphabets(password []uint16) []alphabet {
	all := []alphabet{{}}
	for _, row := range l33t {
		var next []alphabet
		seen := map[alphabet]bool{}
		add := func(a alphabet) {
			if !seen[a] {
				seen[a] = true
				next = append(next, a)
			}
		}
		for _, char := range []byte(row.chars) {
			if !slices.Contains(password, uint16(char)) {
				continue
			}
			at := strings.IndexByte(l33tChars, char)
			e.work += len(all)
			for _, a := range all {
				if a[at] != 0 {
					add(a) // it may go on standing for another letter
				}
				a[at] = row.letter
				add(a)
			}
		}
		if next != nil {
			all = next
		}
	}
	return all
}
