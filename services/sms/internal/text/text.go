// Package text renders the text message that carries a code.
//
// The worker calls [Render] with what it opened and hands the result to a
// provider. The package owns the wording in every language and the promise that a message fits one segment. It does not know
// who receives the message or when.
//
// Every message ends with an empty line and the origin-bound last line
//
//	@login.example.com #747723
//
// from which phones fill in the code on that host and nowhere else. Rendering
// is a pure function: a second try of the same delivery has the same text.
package text

import (
	"errors"
	"regexp"
	"strings"

	"countersign.dev/pkg/brand"
)

// Message is what a text is made of.
type Message struct {
	Code   string // 6 to 10 decimal digits
	Brand  string // the organization's name, in any script; cleaned here
	Host   string // host name of the login page
	Locale string // BCP 47; the wording falls back to English
}

// ErrCode and ErrHost refuse a message whose last line could not be trusted.
var (
	ErrCode = errors.New("the code is not 6 to 10 digits")
	ErrHost = errors.New("the host is not a host name")
)

var (
	codeShape = regexp.MustCompile(`^[0-9]{6,10}$`)
	hostShape = regexp.MustCompile(`^` + label + `(?:\.` + label + `)*$`)
)

const (
	longestHost = 253 // octets, RFC 1035
	label       = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
)

// Render returns the text of one message. It fits one segment (160 septets of
// GSM-7 or 70 units of UCS-2) unless the host alone is longer than about 120
// characters; then only the last line and the shortest sentence are left. It
// returns [ErrCode] or [ErrHost], and no error for any brand or locale.
func Render(m Message) (string, error) {
	if !codeShape.MatchString(m.Code) {
		return "", ErrCode
	}
	if len(m.Host) > longestHost || !hostShape.MatchString(m.Host) {
		return "", ErrHost
	}
	last := "\n\n@" + strings.ToLower(m.Host) + " #" + m.Code
	return sentence(wordingFor(m.Locale), brand.Clean(m.Brand), m.Code, last) + last, nil
}

// sentence picks the fullest wording that fits above the last line.
func sentence(w wording, name, code, last string) string {
	if name != "" {
		if s, ok := branded(w, name, code, last); ok {
			return s
		}
	}
	if s := w.plain(code); fits(s + last) {
		return s
	}
	return w.plainShort(code)
}

// branded tries the brand as it is written, then in Latin letters that GSM-7
// has, then in the shorter wording that leaves room under UCS-2. A brand is
// cut where nothing else helps.
func branded(w wording, name, code, last string) (string, bool) {
	if s := w.full(code, name); fits(s + last) {
		return s, true
	}
	if latin, ok := toGSM(name); ok {
		return cutToFit(latin, last, func(b string) string { return w.full(code, b) })
	}
	return cutToFit(name, last, func(b string) string { return w.short(code, b) })
}

// cutToFit shortens the brand until the message fits. It reports false when
// too little of the brand would be left.
func cutToFit(name, last string, say func(name string) string) (string, bool) {
	for {
		if s := say(name); fits(s + last) {
			return s, true
		}
		name = brand.Shorten(name)
		if brand.TooShort(name) {
			return "", false
		}
	}
}
