package secret_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
)

func TestMaskPhone(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ in, want string }{
		"a German mobile number":         {"+4915112345667", "+49•••••67"},
		"an American number":             {"+15005550006", "+15•••••06"},
		"the longest number E.164 knows": {"+123456789012345", "+12•••••45"},
		"the shortest that is masked":    {"+1234567", "+12•••••67"},
		"too short to hide anything":     {"+123456", "•••"},
		"too long for E.164":             {"+1234567890123456", "•••"},
		"a national number":              {"015112345667", "•••"},
		"blanks inside":                  {"+49 151 12345667", "•••"},
		"digits of another script":       {"+٤٩١٥١١٢٣٤٥٦٦٧", "•••"},
		"a line break at the end":        {"+4915112345667\n", "•••"},
		"nothing":                        {"", "•••"},
		"a word":                         {"hello", "•••"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := secret.MaskPhone(c.in); got != c.want {
				t.Errorf("MaskPhone(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestMaskEmail(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ in, want string }{
		"an ordinary address":           {"john@example.com", "j•••@e•••.com"},
		"a long one gives as many dots": {"john.with.a.long.name@mail.example.co.uk", "j•••@m•••.uk"},
		"one letter is not shown":       {"j@e.com", "•••@•••.com"},
		"letters of another script":     {"müller@österreich.at", "m•••@ö•••.at"},
		"a first rune of two bytes":     {"ärger@example.de", "ä•••@e•••.de"},
		"a quote in front":              {`"john"@example.com`, "•••@e•••.com"},
		"no domain":                     {"john", "•••"},
		"no local part":                 {"@example.com", "•••"},
		"two at signs":                  {"john@evil@example.com", "•••"},
		"no top level domain":           {"john@localhost", "•••"},
		"a dot at the end":              {"john@example.", "•••"},
		"a line break in the end":       {"john@example.com\nlevel=ERROR", "•••"},
		"a bare number as domain end":   {"john@[127.0.0.1]", "•••"},
		"nothing":                       {"", "•••"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := secret.MaskEmail(c.in); got != c.want {
				t.Errorf("MaskEmail(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func FuzzMasks(f *testing.F) {
	f.Add("+4915112345667")
	f.Add("john@example.com")
	f.Add("a\r\n@b.co")
	f.Fuzz(func(t *testing.T, in string) {
		for _, mask := range []string{secret.MaskPhone(in), secret.MaskEmail(in)} {
			if len(in) > 5 && strings.Contains(mask, in) {
				t.Errorf("the mask %q holds all of %q", mask, in)
			}
			if strings.ContainsAny(mask, "\r\n\x00\x1b") {
				t.Errorf("the mask of %q holds a control character: %q", in, mask)
			}
		}
	})
}
