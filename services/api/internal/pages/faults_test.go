package pages

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// Each language has all that the first one has.
func TestEveryLanguageSaysEveryFault(t *testing.T) {
	t.Parallel()
	codes := slices.Sorted(maps.Keys(faultsSpoken[0].Codes))
	anew := slices.Sorted(maps.Keys(faultsSpoken[0].Anew))
	for _, words := range faultsSpoken {
		if said := slices.Sorted(maps.Keys(words.Anew)); !slices.Equal(said, anew) {
			t.Errorf("%s begins anew after %v, not after %v", words.Lang, said, anew)
		}
		if said := slices.Sorted(maps.Keys(words.Codes)); !slices.Equal(said, codes) {
			t.Errorf("%s speaks of %v, not of %v", words.Lang, said, codes)
		}
		for code, said := range words.Codes {
			if said.Heading == "" || said.Text == "" {
				t.Errorf("%s has half of the words for %s", words.Lang, code)
			}
		}
		value := reflect.ValueOf(words)
		for i := range value.NumField() {
			if value.Field(i).IsZero() {
				t.Errorf("%s leaves out %s", words.Lang, value.Type().Field(i).Name)
			}
		}
	}
}
