package text

import (
	"strconv"
	"strings"

	"countersign.dev/pkg/brand"
)

// speech is one language: a file of its own, and a row in speeches. In its
// sentences {brand} is the organization's name, {host} the login page's and
// {life} how long the link or code is good. No sentence ends with the name,
// which may end in a dot itself.
type speech struct {
	tag       string // BCP 47, for the page
	templates map[string]words
	units     units
	copyLink  string // above the link where a button does not work
	when      string
	what      string
	details   map[string]string // what a notice's detail is called
	footer    string
}

// words are one template in one language.
type words struct {
	subject string
	title   string
	before  string // above the link or the code
	button  string // of templates with a link
	life    string // how long it is good
	noLife  string // the same where that is not said
	after   string // what to do if it was somebody else
}

// units are singular and plural.
type units struct{ minute, hour, day [2]string }

var speeches = map[string]speech{"en": english, "de": german, "fr": french}

// speechFor takes the language of a BCP 47 tag: de-AT speaks German, what is
// not here speaks English.
func speechFor(locale string) speech {
	language, _, _ := strings.Cut(strings.ReplaceAll(locale, "_", "-"), "-")
	if s, ok := speeches[strings.ToLower(strings.TrimSpace(language))]; ok {
		return s
	}
	return english
}

// life says how long something is good, in the largest unit that is exact.
func (s speech) life(minutes int) string {
	switch {
	case minutes >= 2*24*60 && minutes%(24*60) == 0:
		return count(minutes/(24*60), s.units.day)
	case minutes >= 60 && minutes%60 == 0:
		return count(minutes/60, s.units.hour)
	}
	return count(minutes, s.units.minute)
}

func count(n int, unit [2]string) string {
	if n == 1 {
		return "1 " + unit[0]
	}
	return strconv.Itoa(n) + " " + unit[1]
}

// detail is the name of a notice's detail. A word without one is shown as it
// is, if it is harmless.
func (s speech) detail(word string) string {
	if known, ok := s.details[word]; ok {
		return known
	}
	return brand.Clean(word)
}
