package text

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"countersign.dev/pkg/brand"
	"countersign.dev/pkg/gsm"
)

var brands = []string{
	"", "X", "Acme", "Acme Bank Inc.", "Müller & Söhne GmbH", "François Éclair", "Łódź Transport",
	"株式会社サンプル銀行", "株", "Банк Пример", "Παράδειγμα", "בנק לדוגמה", "مصرف المثال", "प्रतिदर्श बैंक",
	"🚀 Rocket 🚀", "🚀🚀", "Booking.com", "U.S. Steel", "https://evil.example/login", "www.evil.example",
	"<a href=https://evil.example>x</a>", "{{.Token}}", "javascript:alert(1)", "Ac\u200bme\u202egnp.exe",
	"evil．example", "code 123456 evil", "123 456", "１２３４５６", "%c %b", "a\nb\r\nc\x00d", "\xff\xfe broken",
	strings.Repeat("Long Name ", 40), strings.Repeat("株", 200), strings.Repeat("W", 64),
	strings.Repeat("é", 64), strings.Repeat("ç", 64), "z̸̡a̶l̷g̵o̴" + strings.Repeat("\u0301", 50), "@host #000000",
}

var hosts = []string{
	"localhost", "a.io", "login.example.com", "signin.customer-with-a-long-name.auth.example.org",
	strings.Repeat("a", 63) + "." + strings.Repeat("b", 40) + ".example",
}

var locales = []string{"en", "en-GB", "de", "de-AT", "de_CH", "fr", "fr-CA", "FR", "ja", "", "x-unknown"}

//
func TestLastLineBindsTheCodeToTheHost(t *testing.T) {
	t.Parallel()
	n := 0
	everyText(func(m Message, text string) {
		n++
		want := regexp.MustCompile(`\n@` + regexp.QuoteMeta(m.Host) + ` #[0-9]{6}$`)
		if !want.MatchString(text) {
			t.Errorf("%q: last line in %q", m.Brand, text)
		}
		if !strings.HasSuffix(text, "\n\n@"+m.Host+" #"+m.Code) {
			t.Errorf("%q: no empty line before the last in %q", m.Brand, text)
		}
		if got := strings.Count(text, m.Code); got != 2 {
			t.Errorf("%q: the code stands %d times in %q", m.Brand, got, text)
		}
		if got := len(regexp.MustCompile(`\p{Nd}{6,}`).FindAllString(text, -1)); got != 2 {
			t.Errorf("%q: %d things look like a code in %q", m.Brand, got, text)
		}
	})
	if n < 1000 {
		t.Fatalf("only %d texts", n)
	}
}

//
func TestEveryTextIsOneSegment(t *testing.T) {
	t.Parallel()
	everyText(func(m Message, text string) {
		n, seven := gsm.Units(text)
		limit := 70
		if seven {
			limit = 160
		}
		if n > limit {
			t.Errorf("%q on %s in %q takes %d of %d: %q", m.Brand, m.Host, m.Locale, n, limit, text)
		}
	})
}

// Covers R-105 (the part that concerns text messages).
func TestBrandIsOnlyAName(t *testing.T) {
	t.Parallel()
	for _, name := range brands {
		cleaned := brand.Clean(name)
		if len([]rune(cleaned)) > 64 {
			t.Errorf("%q: %d characters left", name, len([]rune(cleaned)))
		}
		for _, r := range cleaned {
			if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" .'-", r) {
				t.Errorf("%q: %U is left in %q", name, r, cleaned)
			}
		}
		if looksLikeLink.MatchString(cleaned) {
			t.Errorf("%q: %q reads like a link", name, cleaned)
		}
	}
}

var looksLikeLink = regexp.MustCompile(`[\p{L}\p{Nd}\p{M}]\.[\p{L}\p{Nd}\p{M}]{2,}|\p{Nd}\.\p{Nd}|/`)

func TestRenderedTexts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message Message
		want    string
	}{
		"English": {Message{Brand: "Acme", Locale: "en-GB"}, "747723 is your Acme security code. Do not share it with anyone."},
		"German":  {Message{Brand: "Acme", Locale: "de-AT"}, "Ihr Sicherheitscode für Acme: 747723. Geben Sie ihn an niemanden weiter."},
		"French":  {Message{Brand: "Acme", Locale: "fr"}, "Votre code de sécurité Acme : 747723. Ne le communiquez à personne."},
		"a language we do not have speaks English": {
			Message{Brand: "Acme", Locale: "ja"}, "747723 is your Acme security code. Do not share it with anyone."},
		"no brand": {Message{Locale: "de"}, "Ihr Sicherheitscode: 747723. Geben Sie ihn an niemanden weiter."},
		"letters that GSM lacks are spelled without their marks": {
			Message{Brand: "François Łódź", Locale: "en"}, "747723 is your Francois Lodz security code. Do not share it with anyone."},
		"letters that GSM has stay": {
			Message{Brand: "Müller Söhne", Locale: "en"}, "747723 is your Müller Söhne security code. Do not share it with anyone."},
		"a brand in another script takes the short form": {
			Message{Brand: "株式会社", Locale: "en"}, "Code 747723 (株式会社). Do not share."},
		"and is cut to one segment": {
			Message{Brand: strings.Repeat("株", 30), Locale: "en"}, "Code 747723 (" + strings.Repeat("株", 13) + "). Do not share."},
		"a brand of one letter is a brand": {Message{Brand: "株", Locale: "en"}, "Code 747723 (株). Do not share."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.message.Code, c.message.Host = "747723", "login.example.com"
			got, _, err := Render(c.message)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.want + "\n\n@login.example.com #747723"; got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestAnOrganizationsOwnWords(t *testing.T) {
	t.Parallel()
	m := Message{Code: "747723", Host: "Login.example.com", Brand: "{{code}} <b>Łódź</b>", Words: "{{brand}}: {{code}} für {{host}}"}
	got, stock, err := Render(m)
	if want := "code b Lodz b: 747723 für Login.example.com\n\n@login.example.com #747723"; err != nil || stock || got != want {
		t.Errorf("%q, %v, %v; want %q", got, stock, err, want)
	}
	m.Words = ""
	ours, stock, err := Render(m)
	if err != nil || stock {
		t.Fatal(stock, err)
	}
	// No message is lost over words that cannot be used.
	for _, words := range []string{"no code", "{{code}} {{link}}", "{{code}}\n@evil.example #1", strings.Repeat("株", 130) + "{{code}}", "{{code}}\x00"} {
		m.Words = words
		if got, stock, err := Render(m); got != ours || !stock || err != nil {
			t.Errorf("%q: %q, %v, %v; want ours", words, got, stock, err)
		}
	}
}

func TestLongHostDropsTheBrandButNeverTheLastLine(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("h", 60)
	host := label + "." + label + "." + label + "." + label + ".example"
	got, _, err := Render(Message{Code: "000001", Brand: "Acme", Host: host, Locale: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "Code 000001. Do not share.\n\n@" + host + " #000001"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRenderRefusesWhatWouldBreakTheLastLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message Message
		want    error
	}{
		"a code with a letter":      {Message{Code: "74772x", Host: "a.io"}, ErrCode},
		"a short code":              {Message{Code: "7477", Host: "a.io"}, ErrCode},
		"no code":                   {Message{Host: "a.io"}, ErrCode},
		"no host":                   {Message{Code: "747723"}, ErrHost},
		"a host with a path":        {Message{Code: "747723", Host: "a.io/x"}, ErrHost},
		"a host with a newline":     {Message{Code: "747723", Host: "a.io\n@b.io #1"}, ErrHost},
		"a host with a port":        {Message{Code: "747723", Host: "a.io:8080"}, ErrHost},
		"a host with a Kelvin sign": {Message{Code: "747723", Host: "\u212aelvin.io"}, ErrHost},
		"a host that is no name":    {Message{Code: "747723", Host: "-a-.io"}, ErrHost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := Render(c.message); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// everyText renders every brand on every host in every locale. The codes are
// spread over the whole range, leading zeros included.
func everyText(check func(m Message, text string)) {
	n := 0
	for _, name := range brands {
		for _, host := range hosts {
			for _, locale := range locales {
				n++
				m := Message{Code: fmt.Sprintf("%06d", n*7919%1000000), Brand: name, Host: host, Locale: locale}
				text, _, err := Render(m)
				if err != nil {
					panic(fmt.Sprintf("%+v: %v", m, err))
				}
				check(m, text)
			}
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, name := range brands {
		f.Add(name, "login.example.com", "de-AT", uint32(747723))
	}
	f.Fuzz(func(t *testing.T, name, host, locale string, n uint32) {
		m := Message{Code: fmt.Sprintf("%06d", n%1000000), Brand: name, Host: host, Locale: locale}
		text, _, err := Render(m)
		if err != nil {
			if !errors.Is(err, ErrHost) {
				t.Fatalf("Render: %v", err)
			}
			m.Host = "login.example.com"
			if text, _, err = Render(m); err != nil {
				t.Fatalf("Render on a good host: %v", err)
			}
		}
		last := "\n\n@" + strings.ToLower(m.Host) + " #" + m.Code
		if !strings.HasSuffix(text, last) {
			t.Fatalf("no last line in %q", text)
		}
		above := strings.TrimSuffix(text, last)
		if strings.ContainsAny(above, "\n\r@#") || strings.Count(above, m.Code) != 1 {
			t.Fatalf("sentence %q", above)
		}
		if looksLikeLink.MatchString(brand.Clean(name)) {
			t.Fatalf("%q reads like a link", brand.Clean(name))
		}
		if len(m.Host) <= 100 && gsm.Segments(text) != 1 {
			t.Fatalf("more than one segment: %q", text)
		}
		if again, _, _ := Render(m); again != text {
			t.Fatalf("two texts of one message: %q and %q", text, again)
		}
	})
}
