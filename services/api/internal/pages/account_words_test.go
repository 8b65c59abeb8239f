package pages

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A language says all of the account page, with the same things filled in as
// English, and stands where the languages of the other pages stand.
func TestEveryLanguageSaysAllOfAnAccount(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	texts(reflect.ValueOf(spokenOfAccounts[0]), "", want)
	if len(want) < 10 || len(spokenOfAccounts) != len(spoken) {
		t.Fatalf("%d texts in %d languages", len(want), len(spokenOfAccounts))
	}
	for i, language := range spokenOfAccounts {
		got := map[string]string{}
		texts(reflect.ValueOf(language), "", got)
		for name, text := range got {
			if strings.TrimSpace(text) == "" || !slices.Equal(fills(text), fills(want[name])) {
				t.Errorf("%s: %s is %q, in English %q", language.Lang, name, text, want[name])
			}
		}
		if language.Lang != spoken[i].Lang {
			t.Errorf("language %d is %s, elsewhere %s", i, language.Lang, spoken[i].Lang)
		}
	}
}
