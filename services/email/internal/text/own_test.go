package text

import (
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/wording"
)

// owned is a mail in an organization's own words.
func owned(template string) event.Mail {
	m := example(template)
	m.LogoURL, m.GivenName, m.Detail = "https://cdn.example.com/logo.png", "Ana", "sms"
	m.Words = &event.Words{Locale: "de", Subject: "{{brand}}: bitte lesen", Text: "Hallo {{given_name}}\n", HTML: `<img src="{{logo}}"><p>Hallo</p>`}
	for _, field := range wording.Fields(template) {
		m.Words.Text += "\n{{" + field + "}}\n"
		m.Words.HTML += "<p>{{" + field + "}}</p>"
	}
	return m
}

// Whatever we have words for, an organization can have its own of.
func TestEveryTemplateCanBeAnOrganizationsOwn(t *testing.T) {
	t.Parallel()
	kinds := append(slices.Clone(templates()), wording.KindSMS)
	slices.Sort(kinds)
	if !slices.Equal(kinds, wording.Kinds()) {
		t.Errorf("own words of %q, ours of %q", wording.Kinds(), kinds)
	}
	for template := range english.templates {
		if !slices.Contains(kinds, template) {
			t.Errorf("%s has no fields", template)
		}
	}
	for _, template := range templates() {
		m := owned(template)
		mail := render(t, m)
		if mail.Stock || mail.Subject != "Acme: bitte lesen" || !strings.HasPrefix(mail.Text, "Hallo Ana\n") {
			t.Errorf("%s: %+v", template, mail)
		}
		if !strings.Contains(mail.Text, "\n2030-01-02 03:05 UTC\n") || !strings.Contains(mail.HTML, `<html lang="de">`) {
			t.Errorf("%s: %+v", template, mail)
		}
		if hasLink(template) != strings.Contains(mail.Text, link) || (template == event.TemplateCode) != strings.Contains(mail.Text, m.Code) {
			t.Errorf("%s: %q", template, mail.Text)
		}
		if slices.Contains(wording.Fields(template), wording.Detail) && !strings.Contains(mail.Text, "\nSMS\n") {
			t.Errorf("%s: no detail in %q", template, mail.Text)
		}
		loadsNothing(t, mail.HTML, m.LogoURL)
		if again := render(t, m); again != mail {
			t.Errorf("%s: two mails of one content", template)
		}
	}
}

// A logo that may not be loaded is left out, and words that cannot be used are
// replaced by ours: no mail is lost over them.
func TestWordsThatCannotBeUsedAreReplaced(t *testing.T) {
	t.Parallel()
	m := owned(event.TemplatePasswordReset)
	m.LogoURL = "http://evil.example/pixel.png"
	if mail := render(t, m); strings.Contains(mail.HTML, "<img") || mail.Stock {
		t.Errorf("page %s", mail.HTML)
	}
	stock := m
	stock.Words = nil
	want := render(t, stock)
	want.Stock = true
	for what, words := range map[string]event.Words{
		"no link":           {Subject: "s", Text: "x"},
		"no subject":        {Text: "{{link}}"},
		"an unknown field":  {Subject: "s", Text: "{{link}} {{token}}"},
		"a script":          {Subject: "s", Text: "{{link}}", HTML: `<a href="{{link}}">x</a><script></script>`},
		"a field of others": {Subject: "s {{code}}", Text: "{{link}}"},
		"nothing":           {},
	} {
		m.Words = &words
		if got := render(t, m); got != want {
			t.Errorf("%s: %+v, want ours", what, got)
		}
	}
	// What makes no mail at all still makes none.
	m = owned(event.TemplatePasswordReset)
	m.Link = "javascript:alert(1)"
	if mail, err := Render(m); err == nil {
		t.Errorf("a mail with a link that is none: %+v", mail)
	}
}

// Covers R-105 for mails in an organization's own words.
func TestNamesAreDataInOwnWords(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		m := owned(event.TemplateNoticeFactorChanged)
		m.Brand, m.GivenName, m.Detail = name, name, name
		mail := render(t, m)
		if mail.Stock || strings.ContainsAny(mail.Subject, "<>{}\r\n") || strings.Contains(mail.Text, "://") || strings.Contains(mail.Text, "{{") {
			t.Errorf("%q: subject %q, text %q", name, mail.Subject, mail.Text)
		}
		if body := mail.HTML[strings.Index(mail.HTML, "<body>"):]; strings.Contains(body, "<a") || strings.Contains(body, "{{") || strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%q: %s", name, body)
		}
		loadsNothing(t, mail.HTML, m.LogoURL)
	}
}
