package template_test

import (
	"testing"

	"countersign.dev/pkg/wording"
	"countersign.dev/services/api/internal/template"
)

func TestWordsAreInTheBestLanguage(t *testing.T) {
	t.Parallel()
	of := func(tags ...string) template.Contents {
		c := template.Contents{}
		for _, tag := range tags {
			c[tag] = wording.Source{Text: tag}
		}
		return c
	}
	for name, c := range map[string]struct {
		contents          template.Contents
		person, org, want string
	}{
		"as it is written":                        {of("de", "de-AT"), "de-AT", "de", "de-AT"},
		"in another case":                         {of("de", "de-AT"), "DE_at", "", "de-AT"},
		"without its region":                      {of("de", "en"), "de-AT", "en", "de"},
		"without its region, but with its script": {of("zh", "zh-Hant"), "zh-Hant-TW", "", "zh-Hant"},
		"another region is another language":      {of("de-CH"), "de-AT", "fr", ""},
		"the organization's":                      {of("fr", "en"), "de", "fr-CA", "fr"},
		"neither":                                 {of("fr"), "de", "en", ""},
		"of a person who says none":               {of("fr", "de"), "", "de", "de"},
		"of an organization that says none":       {of("fr", "de"), "", "", "de"},
		"in English, where nobody says anything":  {of("de", "en"), "", "", "en"},
		"of a person whose language is none":      {of("de"), "!", "", "de"},
		"no words":                                {nil, "de", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.contents.In(c.person, c.org)
			if c.want == "" {
				if got != nil {
					t.Errorf("got %+v", got)
				}
				return
			}
			if got == nil || got.Locale != c.want || got.Text != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}
