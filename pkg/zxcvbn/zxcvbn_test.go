package zxcvbn_test

import (
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/zxcvbn"
)

func TestWhatIsToldAboutAPassword(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		password    string
		context     []string
		score       int
		warning     zxcvbn.Advice
		suggestions []zxcvbn.Advice
	}{
		"nothing": {"", nil, 0, "", []zxcvbn.Advice{zxcvbn.UseAFewWords, zxcvbn.NoNeedForSymbols}},
		"one of the ten most used": {"password", nil, 0, zxcvbn.Top10Password,
			[]zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"one of the hundred most used, in capitals": {"MASTER", nil, 0, zxcvbn.Top100Password,
			[]zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AllCapitalsHelpLittle}},
		"a common one": {"Yankees1", nil, 1, zxcvbn.CommonPassword,
			[]zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.CapitalsHelpLittle}},
		"a common one in l33t": {"p4$$word", nil, 0, zxcvbn.LikeCommonPassword,
			[]zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.SubstitutionsHelpLittle}},
		"a common one backwards": {"drowssap", nil, 0, zxcvbn.LikeCommonPassword,
			[]zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.ReversalHelpsLittle}},
		"a word":                  {"government", nil, 0, zxcvbn.SingleWord, []zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"a name":                  {"stephanie", nil, 0, zxcvbn.SingleName, []zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"a name and a bit":        {"stephanie-x", nil, 1, zxcvbn.CommonName, []zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"a row of keys":           {"xcvbnm,./", nil, 1, zxcvbn.StraightRowsOfKeys, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.UseLongerPattern}},
		"a corner of keys":        {"cde34rfgh", nil, 2, zxcvbn.ShortKeyboardPattern, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.UseLongerPattern}},
		"one character":           {"xxxxxxxxxxx", nil, 0, zxcvbn.RepeatedCharacter, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidRepeats}},
		"the same again":          {"k7-k7-k7-k7-", nil, 1, zxcvbn.RepeatedPattern, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidRepeats}},
		"a sequence":              {"cdefghijklm", nil, 0, zxcvbn.Sequence, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidSequences}},
		"a year":                  {"1987", nil, 0, zxcvbn.RecentYear, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidRecentYears, zxcvbn.AvoidYourYears}},
		"a date":                  {"24.12.1990", nil, 1, zxcvbn.Date, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidYourDates}},
		"a date with wide blanks": {"24\u300012\u30001990", nil, 1, zxcvbn.Date, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidYourDates}},
		"a date on three lines":   {"24\u008512\u00851990", nil, 3, "", nil},
		"good enough":             {"jumbled%hat", nil, 3, "", nil},
		"several words":           {"correct horse battery staple", nil, 4, "", nil},
		"chance":                  {"kX9#mQ2$vL5!", nil, 4, "", nil},
		"the organization":        {"Communitiz7", []string{"Communitiz"}, 1, zxcvbn.ContextWord, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.CapitalsHelpLittle}},
		"a name in Greek":         {"οδυσσευς7", []string{"", "ΟΔΥΣΣΕΥΣ"}, 1, zxcvbn.ContextWord, []zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"a name, backwards":       {"reztluhcs", []string{"Schultzer"}, 0, zxcvbn.ContextWord, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.ReversalHelpsLittle}},
		"a name outside BMP":      {"𐐨𐐩𐐪𐐫", []string{"𐐀𐐁𐐂𐐃"}, 0, zxcvbn.ContextWord, []zxcvbn.Advice{zxcvbn.AddAnotherWord}},
		"what is no text":         {"\xff\xfe\xfd", nil, 0, zxcvbn.RepeatedCharacter, []zxcvbn.Advice{zxcvbn.AddAnotherWord, zxcvbn.AvoidRepeats}},
		"a context of others":     {"correct horse battery staple", []string{"Communitiz"}, 4, "", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := zxcvbn.Estimate(c.password, c.context...)
			if got.Score != c.score || got.Warning != c.warning || !slices.Equal(got.Suggestions, c.suggestions) {
				t.Errorf("%q: %+v, want score %d, %s and %s", c.password, got, c.score, c.warning, c.suggestions)
			}
		})
	}
}

// What comes after the first hundred characters neither helps nor costs.
//
// Covers R-054 for the first 100 characters.
func TestOnlyTheBeginIsLookedAt(t *testing.T) {
	t.Parallel()
	begin := strings.Repeat("ab", zxcvbn.Longest/2)
	if got, want := zxcvbn.Estimate(begin+"kX9#mQ2$vL5!").Guesses, zxcvbn.Estimate(begin).Guesses; got != want {
		t.Errorf("%v guesses with more behind it, %v without", got, want)
	}
	half := "🙂" // of which one unit is the hundredth
	if got, want := zxcvbn.Estimate(begin[1:]+half).Guesses, zxcvbn.Estimate(begin[1:]+"字").Guesses; got != want {
		t.Errorf("%v guesses with half a character, %v with a whole one", got, want)
	}
	if got, want := zxcvbn.Estimate(begin[1:]+"x").Guesses, zxcvbn.Estimate(begin).Guesses; got <= want {
		t.Errorf("the last that counts does not: %v guesses, %v without it", got, want)
	}
}

// Libraries of the older kind count a repeat as if it were chance.
//
// Covers R-054 for repeats.
func TestRepeatsAreNotStrong(t *testing.T) {
	t.Parallel()
	for _, repeated := range []string{"1", "a", "12", "ab", "x7", "123", "abc", "q1w2", "haha", "äö", "🙂", "P4$$w0rd"} {
		for _, times := range []int{8, 16, 32, 64, 500} {
			password := strings.Repeat(repeated, times)
			if got := zxcvbn.Estimate(password); got.Score > 2 {
				t.Errorf("%s, %d times: %+v", repeated, times, got)
			}
		}
	}
}

func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]bool{
		"password": true, "PassWord": true, "123456": true, "iloveyou!": true, "p@ssw0rd": true,
		"": false, "passwort-": false, "password password": false, "government": false,
		"kX9#mQ2$vL5!": false, "pässword": false, strings.Repeat("1", 1000): false,
	} {
		if got := zxcvbn.Common(password); got != want {
			t.Errorf("Common(%q) = %t", password, got)
		}
	}
	for _, word := range zxcvbn.Words()["passwords"] {
		if !zxcvbn.Common(strings.ToUpper(word)) {
			t.Errorf("%s is not common", word)
		}
	}
}

// However long the list, what is on it is weak.
func TestCommonPasswordsAreNotStrong(t *testing.T) {
	t.Parallel()
	for _, word := range zxcvbn.Words()["passwords"] {
		if got := zxcvbn.Estimate(word); got.Score > 1 {
			t.Errorf("%s: %+v", word, got)
		}
	}
}
