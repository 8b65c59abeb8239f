// Package text renders the text message that carries a code.
//
// The worker calls [Render] with what it opened and hands the result to a
// provider. The package owns our wording in every language and the promise that
// such a message fits one segment; an organization's own words are pkg/wording's.
// It does not know who receives the message or when.
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

	"countersign.dev/pkg/brand"
	"countersign.dev/pkg/gsm"
	"countersign.dev/pkg/wording"
)

// Message is what a text is made of.
type Message struct {
	Code   string // 6 to 10 decimal digits
	Brand  string // the organization's name, in any script; cleaned here
	Host   string // host name of the login page
	Locale string // BCP 47; the wording falls back to English
	// Words are the organization's own, a template of pkg/wording; empty for
	// ours.
	Words string
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

// Render returns the text of one message. Our words fit one segment (160
// septets of GSM-7 or 70 units of UCS-2) unless the host alone is longer than
// about 120 characters; then only the last line and the shortest sentence are
// left. The organization's own take at most wording.MaxSegments; where they
// cannot be used, ours stand in their place and stock is true. It returns
// [ErrCode] or [ErrHost], and no error for any brand, locale or words.
func Render(m Message) (body string, stock bool, err error) {
	if !codeShape.MatchString(m.Code) {
		return "", false, ErrCode
	}
	if len(m.Host) > longestHost || !hostShape.MatchString(m.Host) {
		return "", false, ErrHost
	}
	if m.Words != "" {
		body, _, err := wording.SMS(wording.Source{Text: m.Words}, wording.Values{Brand: m.Brand, Host: m.Host, Code: m.Code})
		if err == nil {
			return body, false, nil
		}
		stock = true
	}
	last := wording.LastLine(m.Host, m.Code)
	return sentence(speechFor(m.Locale), brand.Clean(m.Brand), m.Code, last) + last, stock, nil
}

// sentence picks the fullest wording that fits above the last line.
func sentence(w speech, name, code, last string) string {
	if name != "" {
		if s, ok := branded(w, name, code, last); ok {
			return s
		}
	}
	if s := w.plain(code); gsm.Segments(s+last) == 1 {
		return s
	}
	return w.plainShort(code)
}

// branded tries the brand as it is written, then in Latin letters that GSM-7
// has, then in the shorter wording that leaves room under UCS-2. A brand is
// cut where nothing else helps.
func branded(w speech, name, code, last string) (string, bool) {
	if s := w.full(code, name); gsm.Segments(s+last) == 1 {
		return s, true
	}
	if latin, ok := gsm.Latin(name); ok {
		return cutToFit(latin, last, func(b string) string { return w.full(code, b) })
	}
	return cutToFit(name, last, func(b string) string { return w.short(code, b) })
}

// cutToFit shortens the brand until the message fits. It reports false when
// too little of the brand would be left.
func cutToFit(name, last string, say func(name string) string) (string, bool) {
	for {
		if s := say(name); gsm.Segments(s+last) == 1 {
			return s, true
		}
		name = brand.Shorten(name)
		if brand.TooShort(name) {
			return "", false
		}
	}
}
