package tenant_test

import (
	"strings"
	"testing"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

func TestSlugs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Acme Test Ltd":              "acme-test-ltd",
		"Communitiz App":             "communitiz-app",
		"  --Müller & Söhne GmbH!! ": "muller-sohne-gmbh",
		"Élan Vital":                 "elan-vital",
		"日本":                         "",
		"...":                        "",
		strings.Repeat("ab ", 40):    strings.TrimRight(strings.Repeat("ab-", 40)[:63], "-"),
		"Already-a-slug":             "already-a-slug",
	} {
		got := tenant.Slug(in)
		if got != want {
			t.Errorf("Slug(%q) = %q, want %q", in, got, want)
		}
		if got != "" && !tenant.IsDomain(got) {
			t.Errorf("Slug(%q) = %q is no domain", in, got)
		}
	}
}

func TestDomains(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "-a", "a-", "A", "a b", "a/b", "a\x00", "ä", strings.Repeat("a", 64), "a.b"} {
		if tenant.IsDomain(bad) {
			t.Errorf("IsDomain(%q) = true", bad)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty":         "  ",
		"65 characters": strings.Repeat("a", 65),
		"a line break":  "Acme\nLtd",
		"bidi override": "Acme\u202eLtd",
		"zero width":    "Ac\u200bme",
		"private use":   "Acme\ue000",
		"broken UTF-8":  "Acme\xff",
	} {
		if got, err := tenant.CleanName("name", in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: CleanName = %q, %v; want an Invalid fault", name, got, err)
		}
	}
	if got, err := tenant.CleanName("name", " Mu\u0308ller 🚀 "); err != nil || got != "Müller 🚀" {
		t.Errorf("CleanName = %q, %v", got, err)
	}
}

func TestLanguagesHaveOneForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"de": "de", "DE": "de", "de-at": "de-AT", "de_AT": "de-AT", "ZH-hant-tw": "zh-Hant-TW", "es-419": "es-419", "sr-Latn": "sr-Latn",
		"": "", "x": "", "de-": "", "de AT": "", "d\u00e9": "", "de-AT-x-y-z-w": "", "deutsch": "", "de\n": "",
	} {
		if got := tenant.Language(in); got != want {
			t.Errorf("Language(%q) = %q, want %q", in, got, want)
		}
	}
}
