package pages

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// texts are all texts of a language, by where they stand.
func texts(v reflect.Value, at string, into map[string]string) {
	for field, value := range v.Fields() {
		if value.Kind() == reflect.Struct {
			texts(value, at+field.Name+".", into)
			continue
		}
		into[at+field.Name] = value.String()
	}
}

var braced = regexp.MustCompile(`\{[^}]*\}?`)

// A language says everything, with the same things filled in as English.
func TestEveryLanguageIsWhole(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	texts(reflect.ValueOf(spoken[0]), "", want)
	if len(want) < 30 || spoken[0].Lang != "en" {
		t.Fatalf("found %d texts of %s", len(want), spoken[0].Lang)
	}
	for _, language := range spoken {
		got := map[string]string{}
		texts(reflect.ValueOf(language), "", got)
		for name, text := range got {
			if strings.TrimSpace(text) == "" || strings.TrimSpace(text) != text {
				t.Errorf("%s: %s is %q", language.Lang, name, text)
			}
			if filled, asEnglish := fills(text), fills(want[name]); !slices.Equal(filled, asEnglish) {
				t.Errorf("%s: %s has %q, in English %q", language.Lang, name, filled, asEnglish)
			}
		}
	}
}

func fills(text string) []string {
	found := braced.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

func TestHowLongAgo(t *testing.T) {
	t.Parallel()
	for passed, want := range map[time.Duration]string{
		-time.Hour: "vor weniger als einer Minute", 59 * time.Second: "vor weniger als einer Minute", 119 * time.Second: "vor einer Minute",
		2 * time.Minute: "vor 2 Minuten", 61 * time.Minute: "vor 61 Minuten",
	} {
		if got := spoken[1].ago(passed); got != want {
			t.Errorf("%v is %q, want %q", passed, got, want)
		}
	}
}
