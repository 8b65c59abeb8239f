package brand

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Acme":                               "Acme",
		"  Acme   Bank  ":                    "Acme Bank",
		"Acme Inc.":                          "Acme Inc.",
		"St. Gallen":                         "St. Gallen",
		"U.S. Steel":                         "U.S. Steel",
		"Booking.com":                        "Booking com",
		"Web 2.0":                            "Web 2 0",
		"1.1.1.1":                            "1 1 1 1",
		"O’Neil – Sons":                      "O'Neil - Sons",
		"AT&T":                               "AT T",
		"🚀 Rocket 🚀":                         "Rocket",
		"https://evil.example/a?b Acme":      "Acme",
		"Acme WWW.evil.example":              "Acme",
		"<a href=https://evil.example>x":     "a",
		"{{.Token}}":                         "Token",
		"javascript:alert(1)":                "javascript alert 1",
		"Ac\u200bme\u202e":                   "Acme",
		"evil．example":                       "evil example",
		"your code 123456 is":                "your code is",
		"123-456 Acme":                       "Acme",
		"１２３４５６ Acme":                        "Acme",
		"Hotel 1905":                         "Hotel 1905",
		"株式会社":                               "株式会社",
		"a\nb\x00c":                          "a b c",
		"\u0301Acme":                         "Acme",
		"--- '":                              "",
		strings.Repeat("a", 63) + "e\u0301x": strings.Repeat("a", 63) + "é",
	} {
		if got := Clean(name); got != want {
			t.Errorf("Clean(%q) = %q, want %q", name, got, want)
		}
	}
}

var linkLike = regexp.MustCompile(`[\p{L}\p{Nd}\p{M}]\.[\p{L}\p{Nd}\p{M}]{2,}|\p{Nd}\.\p{Nd}|/`)

func FuzzClean(f *testing.F) {
	for _, name := range []string{"Acme Inc.", "https://evil.example", "\u202egnp.exe", "\xff\r\n\x00\u2028", "１２３４５６", "e\u0301.com"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := Clean(name)
		if utf8.RuneCountInString(got) > longest {
			t.Fatalf("%d characters left", utf8.RuneCountInString(got))
		}
		for _, r := range got {
			if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" .'-", r) {
				t.Fatalf("%U is left in %q", r, got)
			}
		}
		if linkLike.MatchString(got) {
			t.Fatalf("%q reads like a link", got)
		}
	})
}
