// Package text writes the mails: subject, plain text and HTML, by template and
// language.
//
// The worker calls [Render] with what it opened and hands the result to a
// provider. The package owns our wording in every language (one file each; an
// organization's own is pkg/wording's), the page and its looks, and two promises: what came from a user or an
// organization is data, never markup, a header or a second link; and a page
// loads nothing from anywhere but the logo. It does not know how mail is sent.
//
// Rendering is a pure function: a second try of the same delivery has the same
// subject and the same bodies.
package text

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"countersign.dev/pkg/brand"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/wording"
)

// Mail is what Render makes.
type Mail struct {
	Subject string // one line
	Text    string
	HTML    string
	// Stock marks our words where the organization's own could not be used.
	Stock bool
}

// The refusals of a content that would make no mail, or one that cannot be
// trusted.
var (
	ErrTemplate = errors.New("there is no such template")
	ErrLink     = errors.New("the link is not an https address")
	ErrCode     = errors.New("the code is not 6 to 10 digits")
	ErrHost     = errors.New("the host is not a host name")
)

// Render writes a mail. It returns one of the errors above, and none for any
// brand, detail, logo, color or locale: what of these cannot be used is left
// out.
func Render(m event.Mail) (Mail, error) {
	speech := speechFor(m.Locale)
	words, ok := speech.templates[m.Template]
	if !ok {
		return Mail{}, ErrTemplate
	}
	if !hostShape.MatchString(m.Host) || len(m.Host) > longestHost {
		return Mail{}, ErrHost
	}
	action, err := actionOf(m)
	if err != nil {
		return Mail{}, err
	}
	if m.Words != nil {
		if mail, ok := own(m, action); ok {
			return mail, nil
		}
	}
	l := compose(speech, words, m)
	l.action = action
	html, err := l.html()
	if err != nil {
		return Mail{}, fmt.Errorf("page: %w", err)
	}
	return Mail{Subject: l.subject, Text: l.text(), HTML: html, Stock: m.Words != nil}, nil
}

// own is a mail in the organization's words. It reports false for words that
// cannot be used: then ours do, since a mail without them is better than none.
func own(m event.Mail, a action) (Mail, bool) {
	v := wording.Values{
		Brand: m.Brand, GivenName: m.GivenName, Host: m.Host, Link: a.link, Code: a.code, Detail: speechFor(m.Words.Locale).detail(m.Detail),
		Minutes: m.LifeMinutes, Locale: m.Words.Locale,
	}
	if goodLogo(m.LogoURL) {
		v.Logo = m.LogoURL
	}
	if m.At > 0 {
		v.At = time.UnixMilli(m.At)
	}
	out, err := wording.Mail(m.Template, wording.Source{Subject: m.Words.Subject, Text: m.Words.Text, HTML: m.Words.HTML}, v)
	return Mail{Subject: out.Subject, Text: out.Text, HTML: out.HTML}, err == nil
}

// letter is a mail whose words are chosen. All of it is plain text.
type letter struct {
	speech  speech
	subject string
	title   string
	before  string // above the link or the code
	button  string
	after   []string
	facts   []fact
	footer  string
	action
	looks
}

// action is what the mail is for: a link, a code, or nothing but the news.
type action struct{ link, code string }

// fact is one line of what happened.
type fact struct{ Name, Value string }

func actionOf(m event.Mail) (action, error) {
	switch m.Template {
	case event.TemplateCode:
		if !codeShape.MatchString(m.Code) {
			return action{}, ErrCode
		}
		return action{code: m.Code}, nil
	case event.TemplatePasswordCreate, event.TemplatePasswordReset, event.TemplateMagicLink:
		if !goodLink(m.Link) {
			return action{}, ErrLink
		}
		return action{link: m.Link}, nil
	}
	return action{}, nil // news: what it says about a link or a code is not for it
}

// compose fills the words in.
func compose(s speech, w words, m event.Mail) letter {
	name := brand.Clean(m.Brand)
	if name == "" {
		name = m.Host
	}
	// In one pass, so that a name is never read as a template.
	fill := strings.NewReplacer("{brand}", name, "{host}", m.Host, "{life}", s.life(m.LifeMinutes)).Replace
	after := []string{w.life, w.after}
	if m.LifeMinutes <= 0 {
		after[0] = w.noLife
	}
	l := letter{
		speech: s, subject: fill(w.subject), title: fill(w.title), before: fill(w.before), button: fill(w.button),
		footer: fill(s.footer), looks: looksOf(m, name),
	}
	for _, paragraph := range after {
		if paragraph != "" {
			l.after = append(l.after, fill(paragraph))
		}
	}
	if what := s.detail(m.Detail); what != "" {
		l.facts = append(l.facts, fact{s.what, what})
	}
	if m.At > 0 {
		l.facts = append(l.facts, fact{s.when, time.UnixMilli(m.At).UTC().Format("2006-01-02 15:04 UTC")})
	}
	return l
}

// text is the plain form. It is complete: the link stands on a line of its own.
func (l letter) text() string {
	blocks := []string{l.title, l.before}
	for _, block := range []string{l.link, l.code} {
		if block != "" {
			blocks = append(blocks, block)
		}
	}
	blocks = append(blocks, l.after...)
	var facts []string
	for _, f := range l.facts {
		facts = append(facts, f.Name+" "+f.Value)
	}
	if len(facts) > 0 {
		blocks = append(blocks, strings.Join(facts, "\n"))
	}
	return strings.Join(append(blocks, l.footer), "\n\n") + "\n"
}
