package wording

import (
	"regexp"
	"strings"

	"countersign.dev/pkg/brand"
	"countersign.dev/pkg/gsm"
)

// Bounds of a text message. Each segment is paid for.
const (
	maxSMS      = 400 // characters of the template
	MaxSegments = 2   // with the last line
)

// notInSMS is what a text with a code must not say beside it: anything that a
// phone could take for a code, for the host that the code is bound to, or for
// an address to open.
var notInSMS = regexp.MustCompile(`[@#]|://|(?i:www\.)|\p{Nd}(?:[ -]?\p{Nd}){5}`)

// LastLine binds a code to a host: phones fill it in there and nowhere else.
// It ends every text message, whoever wrote what stands above it.
func LastLine(host, code string) string {
	return "\n\n@" + strings.ToLower(host) + " #" + code
}

// SMS writes the text message with a code in as few segments as it can: with
// the name as it is, in Latin letters, or cut. It returns a [Refusal] of a
// source that cannot be sent, or not with this name and host.
func SMS(s Source, v Values) (body string, segments int, err error) {
	words, err := readSMS(s.Clean())
	if err != nil {
		return "", 0, err
	}
	last := LastLine(v.Host, v.Code)
	values := v.shown()
	say := func(name string) string {
		values[Brand] = name
		return words.fill(values) + last
	}
	name := values[Brand]
	cut := name
	if latin, ok := gsm.Latin(name); ok {
		cut = latin
	}
	for n := 1; n <= MaxSegments; n++ {
		if body := say(name); gsm.Segments(body) <= n {
			return body, n, nil
		}
		if body, ok := within(n, cut, say); ok {
			return body, n, nil
		}
	}
	return "", 0, refuse("text", "makes more than %d segments of the text message, with its last line", MaxSegments)
}

// within cuts the name until the message fits, and reports false when too
// little of it would be left.
func within(segments int, name string, say func(string) string) (string, bool) {
	for {
		if body := say(name); gsm.Segments(body) <= segments {
			return body, true
		}
		if name = brand.Shorten(name); brand.TooShort(name) {
			return "", false
		}
	}
}

func readSMS(s Source) (text, error) {
	if s.Subject != "" {
		return nil, refuse("subject", "must be left out: a text message has none")
	}
	if s.HTML != "" {
		return nil, refuse("html", "must be left out: a text message is plain text")
	}
	if err := readable("text", s.Text, maxSMS, true); err != nil {
		return nil, err
	}
	if notInSMS.MatchString(s.Text) {
		return nil, refuse("text", "must not hold @, #, addresses of pages or six digits in a row: the code, and the line that binds it to its host, are the only ones")
	}
	words, err := readText("text", s.Text, Fields(KindSMS))
	if err != nil {
		return nil, err
	}
	if !words.always(Code) {
		return nil, errNeeded("text", Code)
	}
	return words, nil
}
