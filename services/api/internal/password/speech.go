package password

import (
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"countersign.dev/pkg/zxcvbn"
)

// speech is one language: what persons are told about the passwords that they
// choose, in whole sentences. {n} is a number of characters. Another language
// is another file and a place in speeches; a test finds what it leaves out.
type speech struct {
	lang     string            // BCP 47
	refusals map[string]string // by the code of the fault
	advice   map[zxcvbn.Advice]string
}

// speeches are the languages, the one for everybody else first.
var speeches = []speech{english, german, french}

var speaks = func() language.Matcher {
	var tags []language.Tag
	for _, s := range speeches {
		tags = append(tags, language.MustParse(s.lang))
	}
	return language.NewMatcher(tags)
}()

// Spoken are the tags of all of them (BCP 47).
func Spoken() (out []string) {
	for _, s := range speeches {
		out = append(out, s.lang)
	}
	return out
}

// speechFor picks the first of the languages that we speak, or else English.
func speechFor(languages ...string) speech {
	_, i := language.MatchStrings(speaks, languages...)
	return speeches[i]
}

func (s speech) refusal(code string, n int) string {
	return strings.ReplaceAll(s.refusals[code], "{n}", strconv.Itoa(n))
}
