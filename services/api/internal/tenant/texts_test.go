package tenant_test

import (
	"testing"

	"countersign.dev/services/api/internal/tenant"
)

// A page says what there is in its language, the nearest first, then what there
// is in the organization's, and otherwise nothing.
func TestAPageSaysWhatThereIsInItsLanguage(t *testing.T) {
	t.Parallel()
	said := func(tags ...string) tenant.PageTexts {
		texts := tenant.PageTexts{}
		for _, tag := range tags {
			texts[tag] = tenant.PageText{Welcome: tag}
		}
		return texts
	}
	for name, c := range map[string]struct {
		texts             tenant.PageTexts
		page, own, wanted string
	}{
		"none":                              {nil, "en", "en", ""},
		"the page's":                        {said("de", "en", "fr"), "en", "de", "en"},
		"a region of it":                    {said("de", "en-GB"), "en", "de", "en-GB"},
		"the first of its regions":          {said("en-US", "en-GB"), "en", "", "en-GB"},
		"itself before its regions":         {said("en-GB", "en"), "en", "", "en"},
		"the organization's":                {said("de", "it"), "en", "de", "de"},
		"what the organization's is of":     {said("de", "it"), "en", "de-AT", "de"},
		"a script of the organization's":    {said("zh", "zh-Hant"), "en", "zh_hant_TW", "zh-Hant"},
		"another language alone":            {said("it"), "en", "de", ""},
		"an organization without one":       {said("it"), "en", "", ""},
		"a language that begins like it":    {said("eng"), "en", "", ""},
		"a locale that is none":             {said("it"), "en", "!", ""},
		"a page that has no language":       {said("it"), "", "it", "it"},
		"the page's, where it says no word": {tenant.PageTexts{"en": {Help: "x"}, "de": {Welcome: "de"}}, "en", "de", "de"},
	} {
		org := tenant.Organization{Locale: c.own, Texts: c.texts}
		if got := org.Welcome(c.page); got.Text != c.wanted || got.Lang != c.wanted {
			t.Errorf("%s: %+v, want %q", name, got, c.wanted)
		}
	}
	org := tenant.Organization{Texts: tenant.PageTexts{"en": {Welcome: "a", Help: "b"}}}
	if got := org.Help("en"); got != (tenant.Said{Text: "b", Lang: "en"}) {
		t.Errorf("the help is %+v", got)
	}
}
