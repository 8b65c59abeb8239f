package text

import (
	"errors"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"countersign.dev/pkg/event"
)

const link = "https://login.example.com/magic-link/verify/abc_DEF-123?a=1&b=2"

func example(template string) event.Mail {
	return event.Mail{
		To: "user@example.com", Template: template, Link: link, Code: "074772", Brand: "Acme", Host: "login.example.com",
		Locale: "en", At: 1_893_553_500_000, LifeMinutes: 30,
	}
}

func templates() []string {
	return []string{
		event.TemplateCode, event.TemplatePasswordCreate, event.TemplatePasswordReset, event.TemplateMagicLink,
		event.TemplateNoticePasswordChanged, event.TemplateNoticeFactorChanged,
		event.TemplateNoticeRecoveryCodeUsed, event.TemplateNoticeRecoveryCodesReplaced, event.TemplateNoticeSecondFactorFailing,
		event.TemplateNoticeEmailChanged, event.TemplateNoticePasswordDisabled,
		event.TemplateNoticeFactorsDisabled, event.TemplateNoticeFactorsReset, event.TemplateNoticePasswordExpiring,
		event.TemplateNoticePasswordCompromised,
	}
}

func hasLink(template string) bool {
	return template != event.TemplateCode && !strings.HasPrefix(template, "notice_")
}

func render(t *testing.T, m event.Mail) Mail {
	t.Helper()
	mail, err := Render(m)
	if err != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	return mail
}

// Every mail has a text and a page, and nothing in it tells somebody that it
// was opened.
//
// Covers R-106 for the bodies.
func TestEveryTemplateInEveryLanguage(t *testing.T) {
	t.Parallel()
	for language := range speeches {
		for _, template := range templates() {
			t.Run(template+" "+language, func(t *testing.T) {
				t.Parallel()
				m := example(template)
				m.Locale, m.Detail = language+"-XX", "totp"
				mail := render(t, m)
				checkBodies(t, m, mail)
				if !strings.Contains(mail.HTML, `<html lang="`+language+`" dir="ltr">`) {
					t.Error("the page does not say its language")
				}
				if want := speeches[language].details["totp"]; !strings.Contains(mail.Text, want) || !strings.Contains(html.UnescapeString(mail.HTML), want) {
					t.Errorf("%q is not in it", want)
				}
				other := m
				other.Locale = map[bool]string{true: "de", false: "en"}[language != "de"]
				if render(t, other).Subject == mail.Subject {
					t.Error("two languages have the same subject")
				}
			})
		}
	}
}

// checkBodies is what holds for every mail.
func checkBodies(t *testing.T, m event.Mail, mail Mail) {
	t.Helper()
	page := html.UnescapeString(mail.HTML)
	for name, part := range map[string]string{"subject": mail.Subject, "text": mail.Text, "page": mail.HTML} {
		if part == "" || strings.ContainsAny(part, "{}") && name != "page" || strings.Contains(part, "ZgotmplZ") || strings.Contains(part, "%!") {
			t.Errorf("%s: %q", name, part)
		}
	}
	if strings.ContainsAny(page[strings.Index(page, "<body"):], "{}") {
		t.Error("a place in the page was not filled")
	}
	texts, pages := 0, 0
	if hasLink(m.Template) {
		texts, pages = 1, 2
	}
	if got := strings.Count("\n"+mail.Text, "\n"+m.Link+"\n"); got != texts || strings.Count(mail.Text, m.Link) != texts {
		t.Errorf("the link stands on %d lines of its own in %q", got, mail.Text)
	}
	if got := strings.Count(page, m.Link); got != pages {
		t.Errorf("the link stands %d times in the page", got)
	}
	codes := 0
	if m.Template == event.TemplateCode {
		codes = 1
	}
	if strings.Count(mail.Text, m.Code) != codes || strings.Count(page, m.Code) != codes || strings.Contains(mail.Subject, m.Code) {
		t.Errorf("the code stands somewhere else in %q", mail.Text)
	}
	if !strings.Contains(mail.Text, "2030-01-02 03:05 UTC") {
		t.Errorf("no time in %q", mail.Text)
	}
	loadsNothing(t, mail.HTML, m.LogoURL)
}

var (
	loads  = regexp.MustCompile(`(?i)(?:\bsrc|\bsrcset|\bbackground|\bposter|\bdata|\baction)\s*=\s*"([^"]*)"`)
	active = regexp.MustCompile(`(?i)<(?:script|iframe|object|embed|link|form|video|audio|svg|base)\b|url\s*\(|@import|\son[a-z]+\s*=`)
)

// loadsNothing checks that a page asks nobody for anything but the logo.
func loadsNothing(t *testing.T, page, logo string) {
	t.Helper()
	for _, found := range loads.FindAllStringSubmatch(page, -1) {
		if html.UnescapeString(found[1]) != logo {
			t.Errorf("the page loads %s", found[1])
		}
	}
	if found := active.FindString(page); found != "" {
		t.Errorf("%q is in the page", found)
	}
}

func TestRenderedMail(t *testing.T) {
	t.Parallel()
	m := example(event.TemplatePasswordReset)
	m.Brand = "Acme Bank Inc."
	got := render(t, m)
	want := Mail{Subject: "Reset your Acme Bank Inc. password", Text: `Reset your password

Somebody asked to reset the password of your Acme Bank Inc. account. If it was you, choose a new one:

` + link + `

The link works once and for 30 minutes. Do not forward it.

If it was not you, ignore this message: your password stays as it is.

When: 2030-01-02 03:05 UTC

This message was sent automatically by login.example.com. Replies are not read.
`}
	if got.Subject != want.Subject || got.Text != want.Text {
		t.Errorf("got  %q\n%s\nwant %q\n%s", got.Subject, got.Text, want.Subject, want.Text)
	}
	if again := render(t, m); again != got {
		t.Error("two mails of one content")
	}
}

func TestLifeIsSaidInTheLargestExactUnit(t *testing.T) {
	t.Parallel()
	for minutes, want := range map[int][3]string{
		1:    {"1 minute", "1 Minute", "1 minute"},
		5:    {"5 minutes", "5 Minuten", "5 minutes"},
		60:   {"1 hour", "1 Stunde", "1 heure"},
		90:   {"90 minutes", "90 Minuten", "90 minutes"},
		1440: {"24 hours", "24 Stunden", "24 heures"},
		4320: {"3 days", "3 Tage", "3 jours"},
	} {
		for i, language := range []string{"en", "de", "fr"} {
			if got := speeches[language].life(minutes); got != want[i] {
				t.Errorf("%d minutes in %s: %q, want %q", minutes, language, got, want[i])
			}
		}
	}
	m := example(event.TemplateMagicLink)
	m.LifeMinutes = 0
	if got := render(t, m).Text; strings.Contains(got, "0 minutes") || !strings.Contains(got, "The link works once. Do not") {
		t.Errorf("without a life: %q", got)
	}
}

// A sentence that ends with a name that ends with a dot has two.
func TestNoSentenceEndsWithTheName(t *testing.T) {
	t.Parallel()
	for language, s := range speeches {
		if len(s.templates) != len(templates()) {
			t.Errorf("%s has %d templates, want %d", language, len(s.templates), len(templates()))
		}
		for template, w := range s.templates {
			for _, form := range []string{w.title, w.before, w.life, w.noLife, w.after, s.footer} {
				if strings.Contains(form, "{brand}.") || regexp.MustCompile(`\{[^}]*\}`).MatchString(
					strings.NewReplacer("{brand}", "", "{host}", "", "{life}", "").Replace(form)) {
					t.Errorf("%s in %s: %q", template, language, form)
				}
			}
			if (w.button != "") != hasLink(template) || strings.Contains(w.noLife, "{life}") || w.subject == "" || w.before == "" {
				t.Errorf("%s in %s is not whole", template, language)
			}
		}
	}
}

func TestContentThatMakesNoMail(t *testing.T) {
	t.Parallel()
	with := func(template string, change func(*event.Mail)) event.Mail {
		m := example(template)
		change(&m)
		return m
	}
	linked := func(text string) event.Mail {
		return with(event.TemplateMagicLink, func(m *event.Mail) { m.Link = text })
	}
	for name, c := range map[string]struct {
		mail event.Mail
		want error
	}{
		"no template":               {example(""), ErrTemplate},
		"an unknown template":       {example("newsletter"), ErrTemplate},
		"no link":                   {linked(""), ErrLink},
		"a script":                  {linked("javascript:alert(1)"), ErrLink},
		"plain http":                {linked("http://login.example.com/x"), ErrLink},
		"plain http to a lookalike": {linked("http://localhost.example.com/x"), ErrLink},
		"a path":                    {linked("/x"), ErrLink},
		"no host":                   {linked("https:///x"), ErrLink},
		"another host in front":     {linked("https://login.example.com@evil.example/x"), ErrLink},
		"a second line":             {linked(link + "\r\nBcc: a@b.c"), ErrLink},
		"a line separator":          {linked(link + "\u2028x"), ErrLink},
		"a quote":                   {linked(link + `"onclick="x`), ErrLink},
		"a tag":                     {linked(link + "<b>"), ErrLink},
		"a blank":                   {linked(link + " x"), ErrLink},
		"a link without end":        {linked(link + strings.Repeat("x", 2048)), ErrLink},
		"no code":                   {with(event.TemplateCode, func(m *event.Mail) { m.Code = "" }), ErrCode},
		"a code of letters":         {with(event.TemplateCode, func(m *event.Mail) { m.Code = "abcdef" }), ErrCode},
		"a code of two lines":       {with(event.TemplateCode, func(m *event.Mail) { m.Code = "123456\n" }), ErrCode},
		"no host name":              {with(event.TemplateCode, func(m *event.Mail) { m.Host = "" }), ErrHost},
		"a host with a path":        {with(event.TemplateCode, func(m *event.Mail) { m.Host = "a.io/x" }), ErrHost},
		"a host of two lines":       {with(event.TemplateCode, func(m *event.Mail) { m.Host = "a.io\nb.io" }), ErrHost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Render(c.mail); !errors.Is(err, c.want) || got != (Mail{}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, good := range []string{"http://localhost:8080/x", "http://127.0.0.1:8080/x", "http://[::1]/x"} {
		render(t, linked(good)) // development
	}
}

// names that are more than a name.
var names = []string{
	"", "X", "Acme", "Müller & Söhne", "株式会社サンプル", "בנק לדוגמה", `<a href="https://evil.example">x</a>`, "{{.Token}}", "{host}",
	"javascript:alert(1)", "https://evil.example/login", "Booking.com", "Ac\u202egnp.exe", "a\r\nBcc: evil@example.com", "a\x00b",
	"a\u2028b\u2029c\u0085d", "\r\n.\r\n", "123456", "\xff\xfe", strings.Repeat("W", 300), `"quoted" <b@c.d>`, "-- \n", "</style><script>",
}

// Covers R-105 for mails.
func TestNamesAreData(t *testing.T) {
	t.Parallel()
	languages := slices.Sorted(maps.Keys(speeches))
	for i, name := range names {
		for j, template := range templates() {
			m := example(template)
			m.Brand, m.Detail, m.Locale = name, name, languages[(i+j)%len(languages)]
			mail := render(t, m)
			checkBodies(t, m, mail)
			checkHarmless(t, m, mail)
			for _, part := range []string{mail.Subject, mail.Text, mail.HTML} {
				if strings.Contains(part, "evil.example") || strings.Contains(part, "javascript:") || strings.Contains(part, "Booking.com") {
					t.Errorf("%q is a link in %q", name, part)
				}
			}
		}
	}
	m := example(event.TemplateNoticeFactorChanged)
	m.Brand = strings.Repeat("W", 300)
	if got := strings.Count(render(t, m).Subject, "W"); got != 64 {
		t.Errorf("%d characters of the name are left", got)
	}
	m.Brand = "<b>"
	if got := render(t, m).Subject; got != "The second factor of your b account was changed" {
		t.Errorf("subject %q", got)
	}
	m.Brand = "..."
	if got := render(t, m).Subject; got != "The second factor of your login.example.com account was changed" {
		t.Errorf("without a name: %q", got)
	}
}

// checkHarmless compares a mail with one of the same shape whose words are
// known to be good: the lines and the tags are the same.
func checkHarmless(t *testing.T, m event.Mail, mail Mail) {
	t.Helper()
	for _, r := range mail.Subject {
		if !unicode.IsPrint(r) || strings.ContainsRune("<>\"@:;\\/{}", r) {
			t.Errorf("%U is in the subject %q", r, mail.Subject)
		}
	}
	for _, r := range mail.Text {
		if r != '\n' && !unicode.IsPrint(r) && r != ' ' && r != '\u202f' && r != '\u00a0' {
			t.Errorf("%U is in the text", r)
		}
	}
	good := example(m.Template)
	good.At, good.LifeMinutes, good.Locale = m.At, m.LifeMinutes, m.Locale
	if goodLogo(m.LogoURL) {
		good.LogoURL = "https://static.example.com/logo.png"
	}
	if speechFor(m.Locale).detail(m.Detail) != "" {
		good.Detail = "totp"
	}
	plain := render(t, good)
	if got, want := strings.Count(mail.Text, "\n"), strings.Count(plain.Text, "\n"); got != want {
		t.Errorf("%q and %q make %d lines, want %d", m.Brand, m.Detail, got, want)
	}
	if got, want := tags(mail.HTML), tags(plain.HTML); !slices.Equal(got, want) {
		t.Errorf("%q and %q make the tags\n%q, want\n%q", m.Brand, m.Detail, got, want)
	}
}

var (
	tag       = regexp.MustCompile(`<[^>]*>`)
	attribute = regexp.MustCompile(`="[^"]*"`)
)

// tags are the tags of a page with their attributes, without the values.
func tags(page string) []string {
	var out []string
	for _, found := range tag.FindAllString(page, -1) {
		out = append(out, attribute.ReplaceAllString(found, ""))
	}
	return out
}

func TestLogoAndColor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		logo, color string
		img         bool
		want        string // of the button
	}{
		"neither":                   {"", "", false, "background-color: #2f5d8a; color: #ffffff;"},
		"both":                      {"https://static.example.com/a/logo.png?v=1&w=2", "#FFCC00", true, "background-color: #ffcc00; color: #000000;"},
		"a dark color":              {"", "#101010", false, "background-color: #101010; color: #ffffff;"},
		"a logo over plain http":    {"http://static.example.com/logo.png", "", false, "background-color: #2f5d8a; color: #ffffff;"},
		"a logo that is data":       {"data:image/png;base64,AAAA", "", false, "background-color: #2f5d8a; color: #ffffff;"},
		"a logo that is an attack":  {`https://x.example/"onerror="alert(1)`, "", false, "background-color: #2f5d8a; color: #ffffff;"},
		"a color that is an attack": {"", "red; background: url(https://evil.example)", false, "background-color: #2f5d8a; color: #ffffff;"},
		"a color of two lines":      {"", "#ffffff\n", false, "background-color: #2f5d8a; color: #ffffff;"},
		"a short color":             {"", "#fff", false, "background-color: #2f5d8a; color: #ffffff;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := example(event.TemplateMagicLink)
			m.LogoURL, m.Color = c.logo, c.color
			mail := render(t, m)
			if strings.Contains(mail.HTML, "<img ") != c.img || !strings.Contains(mail.HTML, c.want) {
				t.Errorf("page: %s", mail.HTML)
			}
			if c.img && !strings.Contains(mail.HTML, `alt="Acme"`) {
				t.Error("the logo has no words")
			}
			loadsNothing(t, mail.HTML, c.logo)
			checkHarmless(t, m, mail)
		})
	}
}

// Black or white on any color can be read (WCAG 2 level AA: 4.5).
func TestButtonCanBeRead(t *testing.T) {
	t.Parallel()
	for i := range 4096 {
		color := fmt.Sprintf("#%x%x%x%x%x%x", i>>8, i>>8, i>>4&15, i>>4&15, i&15, i&15)
		light, dark := luminance(color), luminance(inkOn(color))
		if dark > light {
			light, dark = dark, light
		}
		if contrast := (light + 0.05) / (dark + 0.05); contrast < 4.5 {
			t.Errorf("%s on %s: %.2f", inkOn(color), color, contrast)
		}
	}
}
