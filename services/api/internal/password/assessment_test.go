package password_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/zxcvbn"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// ordinary is what a connection asks for when nothing is said.
var ordinary = password.Policy{Min: 15, Max: 256, Strength: 3}

// maria is who chooses passwords here.
var maria = password.Known{
	Email: "maria.kowalczyk-2@communitiz.example",
	Names: []string{"María", "Kowalczyk", "Mika", "Ana", "Jo-El"},
	Org:   tenant.Organization{Name: "Communitiz GmbH & Co", Domain: "communitiz", EmailDomains: []string{"comm-unity.example"}},
	Host:  "signin.blumenhof.example",
}

func assess(t *testing.T, p password.Policy, typed string, known password.Known) password.Assessment {
	t.Helper()
	a, err := p.Assess(secret.New(typed), known, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Covers R-056 for the words of the context.
func TestAPasswordThatLeansOnKnownWordsIsRefused(t *testing.T) {
	t.Parallel()
	const leans = "password_contains_context"
	cases := map[string]struct{ typed, want string }{
		"the organization, a year and signs":     {"Communitiz2026!!!", leans},
		"in small letters":                       {"communitiz2026!!!", leans},
		"in large ones":                          {"COMMUNITIZ2026!!!", leans},
		"with an accent put on":                  {"Commúnitiz2026!!!", leans},
		"twice":                                  {"CommunitizCommunitiz", leans},
		"behind and before":                      {"2026communitiz!!!", leans},
		"the name of the person":                 {"Kowalczyk12345678", leans},
		"the name without its accent":            {"mariamariamaria1", leans},
		"the nickname":                           {"mika-mika-mika-mika", leans},
		"first and last name":                    {"MariaKowalczyk1990", leans},
		"the local part of the address":          {"maria.kowalczyk-2", leans},
		"a domain of the organization's mail":    {"comm-unity-1234567", leans},
		"this product":                           {"Countersign123456", leans},
		"the host of this service":               {"blumenhof!blumenhof", leans},
		"words that overlap":                     {"signinsigninsignin", leans},
		"a phrase that names the organization":   {"communitiz wagon tuba marble lantern", ""},
		"a phrase that names the person":         {"Maria wagt tuba marmor laterne", ""},
		"random signs around":                    {"x8#Tq!v2Lp@communitiz", ""},
		"a name without its dash":                {"joeljoeljoel2026", leans},
		"three letters are in many words":        {"xanayanazanaxana", ""},
		"a short word alone does not count":      {"co and gmbh quite far off lantern", ""},
		"nothing of it":                          {"wagon tuba marble lantern", ""},
		"weak, and nothing of it":                {"hunter2hunter2hunter2", "password_too_weak"},
		"too short, whatever it holds":           {"Communitiz2026", "password_too_short"},
		"on a list, whatever it holds":           {"passwordpassword", "password_blocklisted"},
		"a word that only begins like a name":    {"mar wagon tuba marble lan", ""},
		"a letter of another script in the name": {"Kоwаlczyk wagon tuba marble", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := assess(t, ordinary, c.typed, maria).Reason(); got != c.want {
				t.Errorf("%q is refused as %q, want %q", c.typed, got, c.want)
			}
			if c.want == leans {
				lax := ordinary
				lax.Strength = 0
				if got := assess(t, lax, c.typed, maria).Reason(); got != leans {
					t.Errorf("with no strength asked for %q is refused as %q", c.typed, got)
				}
				if got := assess(t, ordinary, c.typed, password.Known{}).Reason(); got == leans && !strings.Contains(strings.ToLower(c.typed), "countersign") {
					t.Errorf("%q is refused where nothing of it is known", c.typed)
				}
			}
		})
	}
}

// Covers R-056 for the list of most used passwords, and its advice.
func TestTheMostUsedPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	beside := password.Policy{SecondFactor: true}
	file, err := os.Open("../../../../pkg/zxcvbn/words/passwords.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	list, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for lines := bufio.NewScanner(list); refused < 3000 && lines.Scan(); {
		typed := lines.Text()
		if refused%2 == 1 {
			typed = strings.ToUpper(typed)
		}
		refused++
		if len(typed) < 8 {
			if got := assess(t, beside, typed, password.Known{}).Reason(); got != "password_too_short" {
				t.Errorf("%s: %q", typed, got)
			}
			continue
		}
		a := assess(t, beside, typed, password.Known{})
		if a.Reason() != "password_blocklisted" {
			t.Errorf("%s: %q", typed, a.Reason())
		}
		if warning, suggestions := a.Words("en"); warning == "" || len(suggestions) == 0 {
			t.Errorf("%s: no word about it: %q %q", typed, warning, suggestions)
		}
	}
	if refused != 3000 {
		t.Errorf("%d were tried", refused)
	}
}

func TestTheThresholdIsTheConnections(t *testing.T) {
	t.Parallel()
	for score, typed := range map[int]string{1: "hunter2hunter2hunter2", 4: "wagon tuba marble lantern"} {
		for least := range 5 {
			p := ordinary
			p.Strength = least
			a := assess(t, p, typed, password.Known{})
			want := ""
			if score < least {
				want = "password_too_weak"
			}
			if a.Score != score || a.Least != least || a.Reason() != want {
				t.Errorf("%q where %d is asked for: %+v, want score %d and %q", typed, least, a, score, want)
			}
		}
	}
}

// A score that is good and still too low has no advice of its own.
func TestEveryRefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	strict, short := ordinary, ordinary
	strict.Strength, short.Min = 4, 20
	cases := map[string]struct {
		policy password.Policy
		typed  string
		want   []string // in English
	}{
		"too short": {short, "wagon tuba marble", []string{"Use at least 20 characters. Spaces and all other signs count."}},
		"too long":  {password.Policy{Max: 64}, mixed(65), []string{"Use at most 64 characters."}},
		"blocklisted": {ordinary, "passwordpassword", []string{
			"This password is one of the first that an attacker tries.",
			"Use a few words that do not belong together.", "It needs no symbols, digits or capital letters.",
		}},
		"weak": {ordinary, "hunter2hunter2hunter2", []string{
			"Repeats such as “abcabcabc” are only slightly harder to guess than “abc”.",
			"Add a word or two. Uncommon words are better.", "Avoid words and signs that repeat.",
		}},
		"good, and more is asked for": {strict, "government-1987-x", []string{
			"This password is easy to guess.", "Add a word or two. Uncommon words are better.",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, ok := errors.AsType[*fault.Error](assess(t, c.policy, c.typed, password.Known{}).Refused("xx"))
			if !ok {
				t.Fatal("not refused")
			}
			if got := f.Advice.In(); !slices.Equal(got, c.want) {
				t.Errorf("%s advises %q, want %q", f.Code, got, c.want)
			}
		})
	}
}

// Whatever is typed, what is said about it is one of our own sentences.
func TestNothingThatIsTypedIsSaid(t *testing.T) {
	t.Parallel()
	ours := password.Sentences()
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.OneOf(rapid.StringN(0, 40, 1024), rapid.SampledFrom([]string{
			"Communitiz2026!!!", "hunter2hunter2hunter2", "zxcvbnmzxcvbnm,./", "abcdefghijklmnopq", "11.11.1990 11.11.1990", "eizneizneizneizn", "P@ssw0rdP@ssw0rd",
		})).Draw(t, "typed")
		language := rapid.SampledFrom([]string{"", "en", "de-AT, fr;q=0.5", "fr", "ja", "*", "de;q=x", strings.Repeat("a-", 500)}).Draw(t, "language")
		a, err := ordinary.Assess(secret.New(typed), maria, nil)
		if err != nil {
			return
		}
		warning, suggestions := a.Words(language)
		for _, said := range append(suggestions, warning) {
			if said == "" && a.Reason() == "" {
				continue
			}
			if !slices.Contains(ours, said) && a.Reason() != "password_too_short" && a.Reason() != "password_too_long" {
				t.Errorf("about %q: %q", typed, said)
			}
			if len(typed) > 8 && strings.Contains(said, typed) {
				t.Errorf("%q repeats %q", said, typed)
			}
		}
	})
}

func TestAdviceSpeaksTheLanguageThatIsAskedFor(t *testing.T) {
	t.Parallel()
	a := assess(t, ordinary, "hunter2hunter2hunter2", password.Known{})
	cases := map[string]struct {
		languages []string
		locale    string
		want      string // how the suggestion begins
	}{
		"nothing":                            {nil, "", "Add a word"},
		"the request's":                      {[]string{"de-CH, en;q=0.5"}, "fr", "Fügen Sie"},
		"the request's second":               {[]string{"pl, fr;q=0.5"}, "de", "Ajoutez"},
		"the locale, since none is asked":    {nil, "fr-CA", "Ajoutez"},
		"the locale, since any is":           {[]string{"*"}, "de", "Fügen Sie"},
		"the locale, since none is spoken":   {[]string{"pl"}, "de", "Fügen Sie"},
		"English, since none is spoken":      {[]string{"ja"}, "pl", "Add a word"},
		"English, since nothing is a tag":    {[]string{"q=q;;"}, "??", "Add a word"},
		"English, which is asked for before": {[]string{"en-GB"}, "de", "Add a word"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, ok := errors.AsType[*fault.Error](a.Refused(c.locale))
			if !ok {
				t.Fatal("not refused")
			}
			if got := f.Advice.In(c.languages...); len(got) < 2 || !strings.HasPrefix(got[1], c.want) {
				t.Errorf("said %q, want %q …", got, c.want)
			}
		})
	}
}

// Every language has a sentence of its own for everything.
func TestEveryLanguageSaysAll(t *testing.T) {
	t.Parallel()
	all := []zxcvbn.Advice{
		zxcvbn.Top10Password, zxcvbn.Top100Password, zxcvbn.CommonPassword, zxcvbn.LikeCommonPassword, zxcvbn.SingleWord, zxcvbn.SingleName,
		zxcvbn.CommonName, zxcvbn.ContextWord, zxcvbn.StraightRowsOfKeys, zxcvbn.ShortKeyboardPattern, zxcvbn.RepeatedCharacter, zxcvbn.RepeatedPattern,
		zxcvbn.Sequence, zxcvbn.RecentYear, zxcvbn.Date, zxcvbn.UseAFewWords, zxcvbn.NoNeedForSymbols, zxcvbn.AddAnotherWord, zxcvbn.UseLongerPattern,
		zxcvbn.AvoidRepeats, zxcvbn.AvoidSequences, zxcvbn.AvoidRecentYears, zxcvbn.AvoidYourYears, zxcvbn.AvoidYourDates, zxcvbn.CapitalsHelpLittle,
		zxcvbn.AllCapitalsHelpLittle, zxcvbn.ReversalHelpsLittle, zxcvbn.SubstitutionsHelpLittle,
	}
	codes := []string{
		"password_too_short", "password_too_long", "password_blocklisted", "password_contains_context", "password_too_weak", "password_breached",
		"password_unchanged", "password_reused",
	}
	seen := map[string]string{}
	for lang, says := range password.Languages() {
		for _, advice := range all {
			codes = append(codes, string(advice))
		}
		if len(says) != len(all)+8 {
			t.Errorf("%s has %d sentences, want %d", lang, len(says), len(all)+8)
		}
		for _, code := range codes {
			said := says[code]
			if said == "" {
				t.Errorf("%s has nothing for %s", lang, code)
			}
			if before := seen[said]; before != "" && before != lang {
				t.Errorf("%s and %s say the same for %s: %s", before, lang, code, said)
			}
			seen[said] = lang
			if numbered := strings.Contains(said, "{n}"); numbered != strings.HasPrefix(code, "password_too_s") && numbered != strings.HasPrefix(code, "password_too_l") {
				t.Errorf("%s: %s: a number where none belongs, or none where one does: %s", lang, code, said)
			}
		}
	}
}
