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

// So it is with what is said of new passwords.
func TestEveryLanguageSaysAllOfStrength(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	texts(reflect.ValueOf(spokenOfStrength[0]), "", want)
	if len(want) < 10 || len(spokenOfStrength) != len(spoken) {
		t.Fatalf("%d texts in %d languages", len(want), len(spokenOfStrength))
	}
	for i, language := range spokenOfStrength {
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

// So it is with what it says of apps of others.
func TestEveryLanguageSaysAllOfConsents(t *testing.T) {
	t.Parallel()
	for i, language := range spokenOfConsents {
		want, got := map[string]string{}, map[string]string{}
		texts(reflect.ValueOf(spokenOfConsents[0]), "", want)
		texts(reflect.ValueOf(language), "", got)
		for name, text := range got {
			if strings.TrimSpace(text) == "" || !slices.Equal(fills(text), fills(want[name])) {
				t.Errorf("%s: %s is %q, in English %q", language.Lang, name, text, want[name])
			}
		}
		if len(spokenOfConsents) != len(spoken) || language.Lang != spoken[i].Lang {
			t.Errorf("language %d of %d is %s", i, len(spokenOfConsents), language.Lang)
		}
	}
}

// So it is with what it says of second factors.
func TestEveryLanguageSaysAllOfOwnFactors(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	texts(reflect.ValueOf(spokenOfFactors[0]), "", want)
	if len(want) < 40 || len(spokenOfFactors) != len(spokenOfAccounts) {
		t.Fatalf("%d texts in %d languages", len(want), len(spokenOfFactors))
	}
	for i, language := range spokenOfFactors {
		got := map[string]string{}
		texts(reflect.ValueOf(language), "", got)
		for name, text := range want {
			if strings.TrimSpace(got[name]) == "" || !slices.Equal(fills(got[name]), fills(text)) {
				t.Errorf("%s: %s is %q, in English %q", language.Lang, name, got[name], text)
			}
		}
		for said := range spokenOfFactors[0].Said {
			if language.Said[said] == "" {
				t.Errorf("%s has nothing to say of a code that is %s", language.Lang, said)
			}
		}
		if language.Lang != spokenOfAccounts[i].Lang {
			t.Errorf("language %d is %s, elsewhere %s", i, language.Lang, spokenOfAccounts[i].Lang)
		}
	}
}
