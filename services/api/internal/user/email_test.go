package user_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/user"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, canonical string }{
		"plain":                        {"ana@acme.test", "ana@acme.test"},
		"upper case is one mailbox":    {"Ana@ACME.test", "ana@acme.test"},
		"plus and dots belong to it":   {"a.na+x@acme.test", "a.na+x@acme.test"},
		"umlaut domain":                {"ana@müller.example", "ana@xn--mller-kva.example"},
		"upper case umlaut":            {"ÄNNE@acme.test", "änne@acme.test"},
		"decomposed is composed":       {"a\u0308nne@acme.test", "änne@acme.test"},
		"ß stays apart from ss":        {"straße@acme.test", "straße@acme.test"},
		"dotless i stays apart":        {"ıo@acme.test", "ıo@acme.test"},
		"dotted capital I stays apart": {"İo@acme.test", "İo@acme.test"},
	} {
		address, err := user.ParseAddress(c.in)
		if err != nil || address.Canonical != c.canonical || address.Written != c.in {
			t.Errorf("%s: ParseAddress(%q) = %+v, %v; want canonical %q", name, c.in, address, err, c.canonical)
		}
	}
}

func TestNotAddresses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":                  "",
		"no at":                  "ana.acme.test",
		"two ats":                "ana@evil.test@acme.test",
		"no local part":          "@acme.test",
		"no domain":              "ana@",
		"no dot in the domain":   "ana@localhost",
		"dot at the end":         "ana@acme.test.",
		"quoted":                 `"ana"@acme.test`,
		"comment":                "ana(x)@acme.test",
		"line break":             "ana\r\nBcc: x@acme.test",
		"line break in domain":   "ana@acme.test\r\n",
		"blank":                  "an a@acme.test",
		"NUL":                    "ana\x00@acme.test",
		"direction override":     "ana\u202e@acme.test",
		"zero width":             "an\u200ba@acme.test",
		"full-width at":          "ana＠acme.test",
		"Kelvin sign":            "\u212aim@acme.test",
		"double dot":             "an..a@acme.test",
		"leading dot":            ".ana@acme.test",
		"angle brackets":         "<ana@acme.test>",
		"local part of 65":       strings.Repeat("a", 65) + "@acme.test",
		"255 octets":             strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 95) + "test",
		"100 KiB of parentheses": strings.Repeat("(", 100<<10),
		"broken UTF-8":           "an\xffa@acme.test",
		"IP literal":             "ana@[127.0.0.1]",
	} {
		if address, err := user.ParseAddress(in); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: ParseAddress = %+v, %v; want an Invalid fault", name, address, err)
		} else if f, _ := errors.AsType[*fault.Error](err); len(in) > 4 && strings.Contains(f.Message, in) {
			t.Errorf("%s: the fault repeats the input", name)
		}
	}
}

// A canonical form that changes when it is made again lets two people share
// one mailbox's name.
func TestCanonicalFormIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[A-Za-z0-9.+_äÖÜßéİıſΣς'-]{1,20}@[A-Za-z0-9äöüß-]{1,12}\.(test|example)`),
			rapid.String(),
		).Draw(t, "address")
		once, err := user.ParseAddress(text)
		if err != nil {
			return
		}
		twice, err := user.ParseAddress(once.Canonical)
		if err != nil {
			t.Fatalf("the canonical form %q of %q is no address: %v", once.Canonical, text, err)
		}
		if twice.Canonical != once.Canonical {
			t.Fatalf("canonical forms of %q: %q, then %q", text, once.Canonical, twice.Canonical)
		}
	})
}

// An address that is taken can stand in a header and has one domain.
//
// Covers R-131 for e-mail addresses.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"ana@acme.test", "a@b@c.test", "(((((@x.test", "ä@ö.test", "a\r\n@x.test"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := user.ParseAddress(text)
		if err != nil {
			return
		}
		if len(address.Canonical) > 254 || strings.Count(address.Canonical, "@") != 1 || strings.ContainsAny(address.Canonical, "\r\n\x00 ") {
			t.Fatalf("ParseAddress(%q) let %q pass", text, address.Canonical)
		}
	})
}
