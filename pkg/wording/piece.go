package wording

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// op is what one piece of a template does.
type op int

const (
	literal op = iota
	field      // shows one
	when       // opens a part that stands only where the field is not empty
	end        // closes it
)

// piece is a literal text, or one thing in double braces.
type piece struct {
	op   op
	text string // the literal, or the field
}

const (
	opening, closing = "{{", "}}"
	maxPieces        = 500
	maxDepth         = 8
)

// split reads the language of templates: {{field}}, {{if field}} and {{end}},
// of these fields. It does not look whether each {{if}} has its {{end}}.
func split(part, s string, allowed []string) ([]piece, error) {
	var pieces []piece
	for s != "" {
		before, after, found := strings.Cut(s, opening)
		if strings.Contains(before, closing) {
			return nil, refuse(part, "has }} without {{ before it")
		}
		if before != "" {
			pieces = append(pieces, piece{literal, before})
		}
		if !found {
			break
		}
		inside, rest, closed := strings.Cut(after, closing)
		if !closed {
			return nil, refuse(part, "has {{ without }} behind it")
		}
		p, err := action(part, inside, allowed)
		if err != nil {
			return nil, err
		}
		if pieces = append(pieces, p); len(pieces) > maxPieces {
			return nil, refuse(part, "has more than %d fields and conditions", maxPieces/2)
		}
		s = rest
	}
	return pieces, nil
}

func action(part, inside string, allowed []string) (piece, error) {
	words := strings.Fields(inside)
	p := piece{op: field}
	switch {
	case len(words) == 1 && words[0] == "end":
		return piece{op: end}, nil
	case len(words) == 1:
		p.text = words[0]
	case len(words) == 2 && words[0] == "if":
		p = piece{when, words[1]}
	default:
		return p, refuse(part, "has {{%s}}: braces hold one field, if and one field, or end", quotable(inside))
	}
	if !slices.Contains(allowed, p.text) {
		return p, refuse(part, "has {{%s}}: it can show %s", quotable(inside), strings.Join(allowed, ", "))
	}
	return p, nil
}

// quotable keeps an author's own words short and harmless in an answer.
func quotable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 40)]
}

// text is a part that is plain text.
type text []piece

// readText reads a part and refuses one whose conditions are not closed.
func readText(part, s string, allowed []string) (text, error) {
	pieces, err := split(part, s, allowed)
	if err != nil {
		return nil, err
	}
	depth := 0
	for _, p := range pieces {
		switch p.op {
		case when:
			depth++
		case end:
			depth--
		case literal, field:
		}
		if depth < 0 || depth > maxDepth {
			break
		}
	}
	if depth != 0 {
		return nil, errConditions(part)
	}
	return pieces, linkStandsAlone(part, pieces)
}

func errConditions(part string) error {
	return refuse(part, "must close each {{if field}} with one {{end}}, at most %d of them in each other", maxDepth)
}

// always reports whether the text shows the field whatever the values are.
func (t text) always(name string) bool {
	depth := 0
	for _, p := range t {
		switch p.op {
		case when:
			depth++
		case end:
			depth--
		case field:
			if depth == 0 && p.text == name {
				return true
			}
		case literal:
		}
	}
	return false
}

// fill writes the text. What a value holds is never read again.
func (t text) fill(values map[string]string) string {
	var out strings.Builder
	var shown []bool // of the open conditions
	for _, p := range t {
		visible := !slices.Contains(shown, false)
		switch p.op {
		case when:
			shown = append(shown, values[p.text] != "")
		case end:
			shown = shown[:len(shown)-1]
		case literal:
			if visible {
				out.WriteString(p.text)
			}
		case field:
			if visible {
				out.WriteString(values[p.text])
			}
		}
	}
	return out.String()
}

// linkStandsAlone refuses a link that is a part of another address or word:
// https://elsewhere.example/?{{link}} would hand it to somebody else.
func linkStandsAlone(part string, pieces []piece) error {
	blank := func(i int, edge func(string) (rune, int)) bool {
		if i < 0 || i >= len(pieces) {
			return true
		}
		r, _ := edge(pieces[i].text)
		return pieces[i].op == literal && unicode.IsSpace(r)
	}
	for i, p := range pieces {
		if p.op == field && p.text == Link && !(blank(i-1, utf8.DecodeLastRuneInString) && blank(i+1, utf8.DecodeRuneInString)) {
			return refuse(part, "must have {{%s}} on its own, with a blank or a line end before and behind it", Link)
		}
	}
	return nil
}

// source writes the pieces as a template of html/template, which knows by where
// a field stands how it is to be escaped. There is nothing in it but fields.
func (p piece) source() string {
	switch p.op {
	case when:
		return fmt.Sprintf("{{if .%s}}", p.text)
	case end:
		return "{{end}}"
	case field:
		return fmt.Sprintf("{{.%s}}", p.text)
	case literal:
	}
	return p.text
}
