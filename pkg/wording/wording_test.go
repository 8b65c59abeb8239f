package wording_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/wording"
)

const link = "https://login.example.com/magic-link/verify/abc"

// reset is a good template of a mail with a link.
func reset(change func(s *wording.Source)) wording.Source {
	s := wording.Source{
		Subject: "A new password for {{brand}}",
		Text:    "Hello{{if given_name}} {{given_name}}{{end}},\n\n{{link}}\n\nIt is good for {{minutes}} minutes.",
		HTML:    `<p style="color: #336699">Hello{{if given_name}} {{given_name}}{{end}},</p><img src="{{logo}}" alt="{{brand}}"><p><a href="{{ link }}">A new password</a> &amp; more</p>`,
	}
	if change != nil {
		change(&s)
	}
	return s
}

func values() wording.Values {
	return wording.Values{
		Brand: "Acme", GivenName: "Ana", Host: "login.example.com", Link: link, Code: "747723", Logo: "https://cdn.example.com/logo.png",
		Detail: "text message", Minutes: 60, At: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Locale: "en",
	}
}

func TestMailShowsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	got, err := wording.Mail(event.TemplatePasswordReset, reset(nil), values())
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "A new password for Acme" {
		t.Errorf("subject %q", got.Subject)
	}
	if want := "Hello Ana,\n\n" + link + "\n\nIt is good for 60 minutes.\n"; got.Text != want {
		t.Errorf("text %q, want %q", got.Text, want)
	}
	for _, want := range []string{
		`<p style="color: #336699">Hello Ana,</p>`, `<a href="` + link + `">A new password</a> &amp; more`,
		`<img src="https://cdn.example.com/logo.png" alt="Acme">`, `<html lang="en">`, `<title>A new password for Acme</title>`,
	} {
		if !strings.Contains(got.HTML, want) {
			t.Errorf("no %q in\n%s", want, got.HTML)
		}
	}
	bare := values()
	bare.GivenName, bare.Logo = "", ""
	if got, err = wording.Mail(event.TemplatePasswordReset, reset(nil), bare); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Text, "Hello,\n") || strings.Contains(got.HTML, "<img") || !strings.Contains(got.HTML, "Hello,</p>") {
		t.Errorf("without a name and a logo: %q\n%s", got.Text, got.HTML)
	}
}

func TestAPageIsMadeOfTheTextWhereThereIsNone(t *testing.T) {
	t.Parallel()
	got, err := wording.Mail(event.TemplatePasswordReset, wording.Source{Subject: "s", Text: "a < b\n{{link}}\n{{brand}}"}, values())
	if err != nil {
		t.Fatal(err)
	}
	if want := `<p style="white-space: pre-line">a &lt; b` + "\n" + `<a href="` + link + `">` + link + "</a>\nAcme</p>"; !strings.Contains(got.HTML, want) {
		t.Errorf("no %q in\n%s", want, got.HTML)
	}
}

// hostile are names as users and organizations choose them.
var hostile = []string{
	`<a href="https://evil.example">x</a>`, "{{.Token}}", "{{link}}", "{{if link}}", "javascript:alert(1)", "Ac\u200bme\u202egnp.exe",
	"evil.example/login", "https://evil.example", "code 123456", "a\r\nBcc: x@evil.example", `"><script>alert(1)</script>`, "<!--", "]]>",
	"' onload='x", "@host #000000", strings.Repeat("W", 5000), "\xff\xfe", "%s%n", "株式会社", "",
}

// A name is a name wherever it stands: no markup, no field, no second link, no
// line of its own.
// Covers R-105 for templates of organizations.
func TestNamesAreDataInTemplates(t *testing.T) {
	t.Parallel()
	const kind = event.TemplateNoticeFactorChanged
	s := wording.Source{
		Subject: "{{brand}} {{given_name}} {{detail}}", Text: "{{brand}}|{{given_name}}|{{detail}}",
		HTML: `<p>{{brand}}|{{given_name}}|{{detail}}</p><img src="{{logo}}" alt="{{brand}}">`,
	}
	for _, name := range hostile {
		v := values()
		v.Brand, v.GivenName, v.Detail = name, name, name
		got, err := wording.Mail(kind, s, v)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		harmless(t, name, got)
		v.Brand, v.GivenName, v.Detail = "Acme", "Ana", "x"
		plain, err := wording.Mail(kind, s, v)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tags(got.HTML), tags(plain.HTML); !slices.Equal(got, want) {
			t.Errorf("%q makes the tags %q, want %q", name, got, want)
		}
		body, _, err := wording.SMS(wording.Source{Text: "{{brand}}: {{code}}"}, wording.Values{Brand: name, Host: "a.io", Code: "747723"})
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		above, ok := strings.CutSuffix(body, "\n\n@a.io #747723")
		if !ok || strings.ContainsAny(above, "\n\r@#<{") || strings.Contains(above, "://") {
			t.Errorf("%q makes the text message %q", name, body)
		}
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

func tags(page string) []string {
	found := tag.FindAllString(page, -1)
	for i, t := range found {
		found[i], _, _ = strings.Cut(t, " alt=")
	}
	return found
}

func harmless(t *testing.T, name string, got wording.Rendered) {
	t.Helper()
	for _, part := range []string{got.Subject, got.Text} {
		if strings.ContainsAny(part, "<>{}\r\"") || strings.Contains(part, "://") {
			t.Errorf("%q makes %q", name, part)
		}
	}
	if strings.ContainsAny(got.Subject, "\n") || strings.Contains(got.HTML, "{{") || strings.Contains(got.HTML, "ZgotmplZ") {
		t.Errorf("%q makes the subject %q and the page\n%s", name, got.Subject, got.HTML)
	}
}

// What could do more than show a field of its own message is no template.
// Covers R-105 for the language of templates: fields of a list, no methods.
// Covers R-124 for what a template can read.
func TestTemplatesReachNothingButTheirFields(t *testing.T) {
	t.Parallel()
	for _, action := range []string{
		"{{.}}", "{{.link}}", "{{.Link}}", "{{$}}", "{{$x := 1}}", "{{link.String}}", "{{link | print}}", "{{print link}}", "{{printf \"%s\" link}}",
		"{{call link}}", "{{html link}}", "{{js link}}", "{{index . \"x\"}}", "{{len brand}}", "{{range .}}x{{end}}", "{{with link}}x{{end}}",
		"{{template \"mail\"}}", "{{define \"x\"}}y{{end}}", "{{block \"x\" .}}y{{end}}", "{{- link -}}", "{{/* x */}}", "{{if eq brand host}}x{{end}}",
		"{{else}}", "{{break}}", "{{continue}}", "{{end}}", "{{if brand}}", "{{if}}x{{end}}", "{{}}", "{{ }}", "{{", "}}", "{{brand", "brand}}",
		"{{{brand}}}", "{{BRAND}}", "{{brand host}}", "{{if brand host}}x{{end}}", "{{subject}}", "{{lang}}", "{{password}}", "{{secret}}", "{{environment}}",
		"{{env}}", "{{org}}", "{{to}}", "{{email}}", "{{code}}", "{{detail}}", "{{logo}}", "{{\"x\"}}", "{{1}}", "{{true}}", "{{nil}}", "{{brand\x00}}", "{{brаnd}}",
	} {
		for part, put := range map[string]func(s *wording.Source){
			"subject": func(s *wording.Source) { s.Subject += action },
			"text":    func(s *wording.Source) { s.Text += " " + action },
			"html":    func(s *wording.Source) { s.HTML += "<p>" + action + "</p>" },
		} {
			refused(t, event.TemplatePasswordReset, reset(put), part)
		}
		if action != "{{code}}" {
			refused(t, wording.KindSMS, wording.Source{Text: "{{code}} " + action}, "text")
		}
	}
}

func refused(t *testing.T, kind string, s wording.Source, part string) {
	t.Helper()
	err := wording.Check(kind, s)
	r, ok := errors.AsType[*wording.Refusal](err)
	if !ok {
		t.Errorf("%s %+.300q: %v, want a refusal", kind, s, err)
		return
	}
	if r.Part != part || r.Reason == "" || len(r.Error()) > 500 {
		t.Errorf("%s %+.300q: %v, want it to be about %s", kind, s, err, part)
	}
	if got, err := wording.Mail(kind, s, values()); err == nil && kind != wording.KindSMS {
		t.Errorf("%s %+.300q is refused and makes %.300q", kind, s, got.HTML)
	}
}

// Covers R-105 for the pages of templates: they load nothing and run nothing.
func TestPagesLoadAndRunNothing(t *testing.T) {
	t.Parallel()
	for _, page := range []string{
		"<script>alert(1)</script>", "<style>p{}</style>", `<link rel="stylesheet" href="https://evil.example">`, `<iframe src="https://evil.example"></iframe>`,
		"<object></object>", "<embed>", `<form action="https://evil.example"></form>`, "<input>", "<button>x</button>", `<meta http-equiv="refresh" content="0">`,
		`<base href="https://evil.example/">`, "<svg></svg>", "<math></math>", "<video></video>", "<title>x</title>", "<textarea></textarea>", "<plaintext>",
		"<html>", "<head></head>", "<body></body>", "<noscript></noscript>", "<template></template>", "<xmp></xmp>", "<marquee>x</marquee>",
		`<p onclick="x">a</p>`, `<p class="x">a</p>`, `<p id="x">a</p>`, `<img src="{{logo}}" onerror="x">`, `<img src="{{logo}}" srcset="x">`, "<img>",
		`<img src="https://evil.example/pixel.png">`, `<img src="//evil.example">`, `<img src="{{link}}">`, `<img src="data:x">`, `<img src="cid:x">`,
		`<p style="background: url(https://evil.example)">a</p>`, `<p style="background: URL (x)">a</p>`, `<p style="background: image-set('x' 1x)">a</p>`,
		`<p style="@import 'x'">a</p>`, `<p style="a: \75rl(x)">a</p>`, `<p style="width: expression(1)">a</p>`, `<p style="a: /**/url(x)">a</p>`, `<p style="color: {{brand}}">a</p>`,
		`<p style="a: &#117;rl(x)">a</p>`, `<td background="x">a</td>`, `<p lang="{{host}}">a</p>`, `<p title="{{brand}}">a</p>`,
		`<a href="javascript:alert(1)">a</a>`, `<a href="java&#9;script:alert(1)">a</a>`, `<a href="http://plain.example">a</a>`, `<a href="//evil.example">a</a>`,
		`<a href="https://evil.example/?t={{link}}">a</a>`, `<a href="{{link}}&x=1">a</a>`, `<a href="https://{{host}}/">a</a>`, `<a href="https://user@evil.example">a</a>`,
		`<a href="{{brand}}">a</a>`, `<a href="{{if brand}}{{link}}{{end}}">a</a>`, `<a href="data:text/html,x">a</a>`, `<a href="/x">a</a>`, `<a href="">a</a>`, `<a target="_blank">a</a>`,
		"<!-- x -->", "<!doctype html>", "<?xml?>", "<![CDATA[x]]>", "<p>", "</p>", "<b><i></b></i>", "<p></div></p>", "</br>", "{{if brand}}<p>{{end}}</p>", "<p>{{if brand}}</p>{{end}}",
		"<p {{brand}}>x</p>", "<p {{if brand}}title=x{{end}}>x</p>", "{{<b>brand}}</b>", "{{br<i></i>and}}", "https://evil.example/?{{link}}", "{{brand}}{{link}}", "x{{link}}",
		"<p>\u202ex</p>", "<p>\x00</p>", "<p title='\u202e'>x</p>",
	} {
		refused(t, event.TemplatePasswordReset, reset(func(s *wording.Source) { s.HTML += page }), "html")
	}
}

// What a page may hold comes out as it was meant, whatever it was written like.
func TestPagesAreWrittenAnew(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<P>a</P>": "<p>a</p>", "a<br/>b": "a<br>b", "<b>x": "", "&#123;&#123;brand}}": "Acme", "a &lt; b": "a &lt; b", "a < b": "a &lt; b",
		`<td colspan=2 style='font-family: "Segoe UI"'>x</td>`:        `<td colspan="2" style="font-family: &#34;Segoe UI&#34;">x</td>`,
		`<a href="https://acme.example/help?a=1&b=2">x</a>`:           `<a href="https://acme.example/help?a=1&amp;b=2">x</a>`,
		`<a href="mailto:help@acme.example">x</a>`:                    `<a href="mailto:help@acme.example">x</a>`,
		`<p style="width: calc(100% - 2px); color: rgb(1,2,3)">x</p>`: `<p style="width: calc(100% - 2px); color: rgb(1,2,3)">x</p>`,
		`{{if detail}}<b>{{detail}}</b>{{end}}`:                       "<b>text message</b>",
	} {
		got, err := wording.Mail(event.TemplateNoticeFactorChanged, wording.Source{Subject: "s", Text: "t", HTML: in}, values())
		if want == "" {
			if err == nil {
				t.Errorf("%q makes %q", in, got.HTML)
			}
			continue
		}
		if err != nil || !strings.Contains(got.HTML, "<body>\n"+want+"\n</body>") {
			t.Errorf("%q makes %q, %v; want %q", in, got.HTML, err, want)
		}
	}
}

func TestWhatAMessageNeedsIsAskedFor(t *testing.T) {
	t.Parallel()
	code := wording.Source{Subject: "s", Text: "{{code}}", HTML: "<p>{{code}}</p>"}
	if err := wording.Check(event.TemplateCode, code); err != nil {
		t.Fatal(err)
	}
	with := func(s wording.Source, change func(s *wording.Source)) wording.Source { change(&s); return s }
	for name, c := range map[string]struct {
		kind, part string
		source     wording.Source
	}{
		"no link in the text":        {event.TemplatePasswordReset, "text", reset(func(s *wording.Source) { s.Text = "x" })},
		"a link that may not show":   {event.TemplatePasswordReset, "text", reset(func(s *wording.Source) { s.Text = "{{if brand}} {{link}} {{end}}" })},
		"no link in the page":        {event.TemplateMagicLink, "html", reset(func(s *wording.Source) { s.HTML = "<p>x</p>" })},
		"a page that may not show":   {event.TemplatePasswordCreate, "html", reset(func(s *wording.Source) { s.HTML = `{{if brand}}<a href="{{link}}">x</a>{{end}}` })},
		"a link in another address":  {event.TemplatePasswordReset, "text", reset(func(s *wording.Source) { s.Text = "https://evil.example/?{{link}}" })},
		"a link in a word":           {event.TemplatePasswordReset, "text", reset(func(s *wording.Source) { s.Text = "{{link}}." })},
		"a link in the subject":      {event.TemplatePasswordReset, "subject", reset(func(s *wording.Source) { s.Subject = "{{link}}" })},
		"a code in the subject":      {event.TemplateCode, "subject", with(code, func(s *wording.Source) { s.Subject = "{{code}}" })},
		"no code in the text":        {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text = "x" })},
		"no code in the page":        {event.TemplateCode, "html", with(code, func(s *wording.Source) { s.HTML = "<p>x</p>" })},
		"no subject":                 {event.TemplateCode, "subject", with(code, func(s *wording.Source) { s.Subject = "" })},
		"a subject of two lines":     {event.TemplateCode, "subject", with(code, func(s *wording.Source) { s.Subject = "a\nBcc: b" })},
		"a long subject":             {event.TemplateCode, "subject", with(code, func(s *wording.Source) { s.Subject = strings.Repeat("a", 201) })},
		"no text":                    {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text = "" })},
		"a long text":                {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text += strings.Repeat("a", 10_000) })},
		"a long page":                {event.TemplateCode, "html", with(code, func(s *wording.Source) { s.HTML += strings.Repeat("a", 30_000) })},
		"too much in all":            {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.HTML += strings.Repeat("株", 20_000) })},
		"not UTF-8":                  {event.TemplateCode, "subject", with(code, func(s *wording.Source) { s.Subject = "\xff" })},
		"text against its direction": {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text += "\u202e" })},
		"many fields":                {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text += strings.Repeat("{{host}}", 600) })},
		"deep conditions":            {event.TemplateCode, "text", with(code, func(s *wording.Source) { s.Text += strings.Repeat("{{if host}}", 9) + strings.Repeat("{{end}}", 9) })},
		"deep elements":              {event.TemplateCode, "html", with(code, func(s *wording.Source) { s.HTML += strings.Repeat("<b>", 101) + strings.Repeat("</b>", 101) })},
		"a kind that there is not":   {"nothing", "text", code},
		"a kind that has no subject": {wording.KindSMS, "subject", code},
		"a kind that has no page":    {wording.KindSMS, "html", wording.Source{Text: "{{code}}", HTML: "x"}},
		"no code":                    {wording.KindSMS, "text", wording.Source{Text: "x"}},
		"a long text message":        {wording.KindSMS, "text", wording.Source{Text: "{{code}}" + strings.Repeat("a", 400)}},
		"another last line":          {wording.KindSMS, "text", wording.Source{Text: "{{code}}\n\n@evil.example"}},
		"another code":               {wording.KindSMS, "text", wording.Source{Text: "{{code}} 123 456"}},
		"a link in a text message":   {wording.KindSMS, "text", wording.Source{Text: "{{code}} https://evil.example"}},
		"and one without a scheme":   {wording.KindSMS, "text", wording.Source{Text: "{{code}} WWW.evil.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, c.kind, c.source, c.part)
		})
	}
}

// Covers R-098 for templates of organizations.
func TestTextMessagesCostWhatIsSaid(t *testing.T) {
	t.Parallel()
	const last = "\n\n@login.example.com #747723"
	for name, c := range map[string]struct {
		text, brand, want string
		segments          int // 0: refused
	}{
		"one segment":                  {"{{code}} for {{brand}}.", "Acme", "747723 for Acme.", 1},
		"a name in Latin letters":      {"{{code}} for {{brand}}." + strings.Repeat("x", 60), "Łódź", "747723 for Lodz." + strings.Repeat("x", 60), 1},
		"a name that is cut":           {"{{brand}}" + strings.Repeat("x", 100) + " {{code}}", strings.Repeat("W", 60), strings.Repeat("W", 25) + strings.Repeat("x", 100) + " 747723", 1},
		"another alphabet":             {"Код {{code}}", "Банк", "Код 747723", 1},
		"two segments":                 {strings.Repeat("x", 200) + " {{code}}", "Acme", strings.Repeat("x", 200) + " 747723", 2},
		"three segments":               {strings.Repeat("x", 290) + " {{code}}", "Acme", "", 0},
		"three of another alphabet":    {strings.Repeat("Ж", 120) + " {{code}}", "Acme", "", 0},
		"a name that makes it dearer":  {"{{code}} {{brand}}" + strings.Repeat("x", 60), "株式会社", "747723 株式会社" + strings.Repeat("x", 60), 2},
		"a condition that is not met":  {"{{if brand}}{{brand}} {{end}}{{code}}", "", "login.example.com 747723", 1},
		"a name without any use in it": {"{{code}}", strings.Repeat("株", 64), "747723", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := values()
			v.Brand = c.brand
			got, segments, err := wording.SMS(wording.Source{Text: c.text}, v)
			if c.segments == 0 {
				if err == nil {
					t.Errorf("%q takes %d", got, segments)
				}
				return
			}
			if err != nil || got != c.want+last || segments != c.segments {
				t.Errorf("%q, %d, %v; want %q, %d", got, segments, err, c.want+last, c.segments)
			}
		})
	}
}
