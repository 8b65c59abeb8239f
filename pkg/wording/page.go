package wording

import (
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// A page is read element by element and written anew of what is allowed, so
// that no program can read another page out of it than the one that was
// checked.

// elements that may stand in a page.
var elements = set("a b strong i em u s small p br hr div span h1 h2 h3 h4 ul ol li table thead tbody tfoot tr td th img center blockquote pre code sub sup")

// alone are those without an end.
var alone = set("br hr img")

// attributes with what they may say. Those of a and img have functions of
// their own.
var attributes = map[string]*regexp.Regexp{
	"align":       regexp.MustCompile(`^[a-z]{1,16}$`),
	"valign":      regexp.MustCompile(`^[a-z]{1,16}$`),
	"role":        regexp.MustCompile(`^[a-z]{1,16}$`),
	"dir":         regexp.MustCompile(`^(?:ltr|rtl|auto)$`),
	"lang":        regexp.MustCompile(`^[A-Za-z0-9-]{1,35}$`),
	"width":       regexp.MustCompile(`^[0-9]{1,4}%?$`),
	"height":      regexp.MustCompile(`^[0-9]{1,4}%?$`),
	"border":      regexp.MustCompile(`^[0-9]{1,4}$`),
	"cellpadding": regexp.MustCompile(`^[0-9]{1,4}$`),
	"cellspacing": regexp.MustCompile(`^[0-9]{1,4}$`),
	"colspan":     regexp.MustCompile(`^[0-9]{1,4}$`),
	"rowspan":     regexp.MustCompile(`^[0-9]{1,4}$`),
	"bgcolor":     regexp.MustCompile(`^(?:#[0-9A-Fa-f]{3,8}|[a-z]{1,20})$`),
	"style":       regexp.MustCompile(`^[A-Za-z0-9 #%.,:;()'"!_+\n\t-]*$`), // no way to a comment, an escape or an @
}

// The functions that a style may call; url and its relatives load things.
var (
	styleCall  = regexp.MustCompile(`([A-Za-z0-9-]*)[ \n\t]*\(`)
	styleCalls = set("rgb rgba hsl hsla calc")
)

// addressShape has nothing that ends a line, an attribute or an address.
var (
	addressShape = regexp.MustCompile(`^[A-Za-z0-9:/?#@!$&()*+,;=._~%-]{1,1000}$`)
	mailtoShape  = regexp.MustCompile(`^mailto:[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$`)
)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		out[word] = true
	}
	return out
}

// page is one that is being read.
type page struct {
	allowed []string
	needed  string
	found   bool     // the needed field stands where it is always shown
	open    []string // elements and conditions
	out     strings.Builder
}

// condition is how one stands among the open elements.
const condition = "{{if}}"

const maxOpen = 100

// readPage writes the body of a page as a template of html/template.
func readPage(source string, allowed []string, needed string) (string, error) {
	p := &page{allowed: allowed, needed: needed}
	tokens := html.NewTokenizer(strings.NewReader(source))
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			break
		}
		if err := p.take(kind, tokens.Token()); err != nil {
			return "", err
		}
	}
	switch {
	case !errors.Is(tokens.Err(), io.EOF):
		return "", refuse("html", "cannot be read")
	case len(p.open) > 0:
		return "", refuse("html", "does not close %s", p.open[len(p.open)-1])
	case needed != "" && !p.found:
		return "", errNeeded("html", needed)
	}
	return p.out.String(), nil
}

func (p *page) take(kind html.TokenType, t html.Token) error {
	switch kind {
	case html.TextToken:
		return p.words(t.Data)
	case html.StartTagToken, html.SelfClosingTagToken:
		return p.start(t)
	case html.EndTagToken:
		if alone[t.Data] || !p.close(t.Data) {
			return refuse("html", "has </%s> where nothing of that name is open; elements and {{if}} must lie in each other", quotable(t.Data))
		}
		p.out.WriteString("</" + t.Data + ">")
		return nil
	case html.CommentToken, html.DoctypeToken, html.ErrorToken:
	}
	return refuse("html", "must be what stands in the body of a page, without comments and declarations")
}

// words are text between tags.
func (p *page) words(s string) error {
	pieces, err := split("html", s, p.allowed)
	if err != nil {
		return err
	}
	if err := linkStandsAlone("html", pieces); err != nil {
		return err
	}
	for _, piece := range pieces {
		switch piece.op {
		case literal:
			p.out.WriteString(html.EscapeString(piece.text))
			continue
		case when:
			if len(p.open) >= maxOpen {
				return errConditions("html")
			}
			p.open = append(p.open, condition)
		case end:
			if !p.close(condition) {
				return errConditions("html")
			}
		case field:
			p.shows(piece.text)
		}
		p.out.WriteString(piece.source())
	}
	return nil
}

func (p *page) shows(name string) {
	p.found = p.found || name == p.needed && !slices.Contains(p.open, condition)
}

// close ends what was opened last, and only that.
func (p *page) close(name string) bool {
	last := len(p.open) - 1
	if last < 0 || p.open[last] != name {
		return false
	}
	p.open = p.open[:last]
	return true
}

func (p *page) start(t html.Token) error {
	if !elements[t.Data] {
		return refuse("html", "must not hold <%s>; it may hold %s", quotable(t.Data), list(elements))
	}
	var tag strings.Builder
	tag.WriteString("<" + t.Data)
	source := false
	for _, a := range t.Attr {
		value, err := p.attribute(t.Data, a.Key, a.Val)
		if err != nil {
			return err
		}
		source = source || a.Key == "src"
		tag.WriteString(" " + a.Key + `="` + value + `"`)
	}
	tag.WriteString(">")
	if t.Data == "img" {
		if !source {
			return refuse("html", "has <img> without src")
		}
		// An organization without a logo has no picture, rather than a broken one.
		p.out.WriteString("{{if ." + Logo + "}}" + tag.String() + "{{end}}")
		return nil
	}
	p.out.WriteString(tag.String())
	if !alone[t.Data] {
		if p.open = append(p.open, t.Data); len(p.open) > maxOpen {
			return refuse("html", "has more than %d elements in each other", maxOpen)
		}
	}
	return nil
}

// attribute is what is written for the value of one.
func (p *page) attribute(element, name, value string) (string, error) {
	whole := strings.Join(strings.Fields(value), "")
	switch {
	case element == "a" && name == "href":
		return p.address(whole, value)
	case element == "img" && name == "src":
		if whole != "{{"+Logo+"}}" {
			return "", refuse("html", "must not load pictures but the organization's own: the src of <img> is {{%s}}", Logo)
		}
		return "{{." + Logo + "}}", nil
	case element == "img" && name == "alt" && whole == "{{"+Brand+"}}":
		return "{{." + Brand + "}}", nil
	case name == "alt" && element == "img", name == "title":
		if strings.Contains(value, opening) || strings.Contains(value, closing) {
			return "", refuse("html", "must not have fields in %s", name)
		}
		return html.EscapeString(value), nil
	}
	shape, ok := attributes[name]
	if !ok {
		return "", refuse("html", "must not say %s of <%s>; beside href of <a> and src and alt of <img> there are title, %s", quotable(name), element, list(attributes))
	}
	if !shape.MatchString(value) || name == "style" && !harmless(value) {
		return "", refuse("html", "has a %s of <%s> that is not allowed; styles load nothing and have no comments", name, element)
	}
	return html.EscapeString(value), nil
}

// address is where a link leads: to the one of the message, or to a page of the
// author's that is written out, so that no value is ever a part of an address.
func (p *page) address(whole, value string) (string, error) {
	if whole == "{{"+Link+"}}" && slices.Contains(p.allowed, Link) {
		p.shows(Link)
		return "{{." + Link + "}}", nil
	}
	u, err := url.Parse(value)
	https := err == nil && addressShape.MatchString(value) && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
	if !https && !mailtoShape.MatchString(value) {
		return "", refuse("html", "may have {{link}} as the whole href of <a>, where the kind has one, or an https or mailto address without fields")
	}
	return html.EscapeString(value), nil
}

// harmless reports whether a style calls nothing but what computes.
func harmless(style string) bool {
	for _, call := range styleCall.FindAllStringSubmatch(style, -1) {
		if !styleCalls[strings.ToLower(call[1])] {
			return false
		}
	}
	return true
}

func list[V any](of map[string]V) string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
