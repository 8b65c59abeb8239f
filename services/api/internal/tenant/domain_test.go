package tenant_test

import (
	"slices"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/tenant"
)

func TestEmailDomainsHaveOneForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"acme.test":                "acme.test",
		"ACME.Test":                "acme.test",
		"Bücher.example":           "xn--bcher-kva.example",
		"xn--bcher-kva.example":    "xn--bcher-kva.example",
		"mail.acme.test":           "mail.acme.test",
		"acme。test":                "acme.test",
		"communitiz-app":           "", // a bare name, which the contract takes
		"acme.test.":               "",
		".acme.test":               "",
		"acme..test":               "",
		"-acme.test":               "",
		"a b.test":                 "",
		"ana@acme.test":            "",
		"*.acme.test":              "",
		"_dmarc.acme.test":         "",
		"acme.test\x00":            "",
		"acme.te\u202est":          "",
		"":                         "",
		strings.Repeat("a.", 200):  "",
		strings.Repeat("é", 250):   "",
		"acme.test\xff":            "",
		"https://acme.test/":       "",
		strings.Repeat("a", 64):    "",
		"x." + "test\n":            "",
		"xn--a.example":            "",
		"\u200bacme.test\u200b.de": "acme.test.de",
	} {
		if got, ok := tenant.EmailDomain(in); got != want || ok != (want != "") {
			t.Errorf("EmailDomain(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
	claimed := tenant.ClaimedDomains([]string{"Acme.test", "bare", "acme.TEST", "", "b.test", "acme.test"})
	if want := []string{"acme.test", "b.test"}; !slices.Equal(claimed, want) {
		t.Errorf("ClaimedDomains = %q, want %q", claimed, want)
	}
}
