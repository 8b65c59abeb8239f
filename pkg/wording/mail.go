package wording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

// Rendered is a message as it is sent.
type Rendered struct {
	Subject string // one line; none in a text message
	Text    string
	HTML    string // none in a text message
}

// frame is around every page; nobody but us writes what stands in a head.
const (
	head = `<!doctype html>
<html lang="{{.lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.subject}}</title>
</head>
<body>
`
	foot = `
</body>
</html>
`
)

// Mail writes a mail of a kind. It returns a [Refusal] of a source that cannot
// be sent, whatever the values are, and no other error.
func Mail(kind string, s Source, v Values) (Rendered, error) {
	m, err := readMail(kind, s.Clean())
	if err != nil {
		return Rendered{}, err
	}
	values := v.shown()
	out := Rendered{Subject: oneLine(m.subject.fill(values)), Text: m.text.fill(values) + "\n"}
	values["lang"], values["subject"] = v.Locale, out.Subject
	var page strings.Builder
	if err := m.page.Execute(&page, values); err != nil {
		return Rendered{}, refuse("html", "does not make a page")
	}
	out.HTML = page.String()
	return out, nil
}

type mail struct {
	subject, text text
	page          *template.Template
}

func readMail(kind string, s Source) (m mail, err error) {
	allowed := Fields(kind)
	if len(allowed) == 0 || kind == KindSMS {
		return mail{}, refuse("text", "is of a kind that there is not")
	}
	if err := sized(s); err != nil {
		return mail{}, err
	}
	if m.subject, err = readText("subject", s.Subject, subjectFields(kind)); err != nil {
		return mail{}, err
	}
	if m.text, err = readText("text", s.Text, allowed); err != nil {
		return mail{}, err
	}
	needed := Needed(kind)
	if needed != "" && !m.text.always(needed) {
		return mail{}, errNeeded("text", needed)
	}
	body := s.HTML
	if body == "" {
		body = m.text.page()
	} else if body, err = readPage(body, allowed, needed); err != nil {
		return mail{}, err
	}
	if m.page, err = template.New("mail").Parse(head + body + foot); err != nil {
		return mail{}, refuse("html", "does not make a page")
	}
	return m, nil
}

func sized(s Source) error {
	if s.Subject == "" {
		return refuse("subject", "must not be empty")
	}
	if s.Text == "" {
		return refuse("text", "must not be empty: it is all that some programs show")
	}
	if err := readable("subject", s.Subject, maxSubject, false); err != nil {
		return err
	}
	if err := readable("text", s.Text, maxText, true); err != nil {
		return err
	}
	if err := readable("html", s.HTML, maxHTML, true); err != nil {
		return err
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false) // as it is sealed
	if err := encoder.Encode(s); err != nil || encoded.Len() > maxEncoded {
		return refuse("text", "and html are too large together: they have more than %d octets as JSON", maxEncoded)
	}
	return nil
}

func errNeeded(part, needed string) error {
	return refuse(part, "must hold {{%s}} outside of {{if}}: nobody could act on the message without it", needed)
}

// page makes a page of a plain text: its lines, and the link as a link.
func (t text) page() string {
	var out strings.Builder
	out.WriteString(`<p style="white-space: pre-line">`)
	for _, p := range t {
		switch {
		case p.op == literal:
			out.WriteString(template.HTMLEscapeString(p.text))
		case p.op == field && p.text == Link:
			fmt.Fprintf(&out, `<a href="{{.%[1]s}}">{{.%[1]s}}</a>`, Link)
		default:
			out.WriteString(p.source())
		}
	}
	return out.String() + "</p>"
}

// oneLine is what is left of a subject when a field in it is empty.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
