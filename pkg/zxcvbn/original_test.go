package zxcvbn_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"countersign.dev/pkg/zxcvbn"
)

// With -update the tests ask the original itself, which npm installs into a
// folder of the test: its word lists become ours, and the record is made anew.
// That takes node, npm and the network; without it nothing does.
//
//	go test ./pkg/zxcvbn -run Original -update
var update = flag.Bool("update", false, "make the word lists and the record from the original")

const (
	version = "4.4.2"
	record  = "testdata/original.jsonl.gz"
)

// install returns the environment in which node finds the original.
func install(tb testing.TB) ([]string, error) {
	tb.Helper()
	dir := tb.TempDir()
	if out, err := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "zxcvbn@"+version).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("install the original: %w\n%s", err, out)
	}
	return append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules")), nil
}

// original runs a command of testdata/original.js.
func original(env []string, input []sample, args ...string) ([]byte, error) {
	var in, stderr bytes.Buffer
	lines := json.NewEncoder(&in)
	for _, s := range input {
		if err := lines.Encode(s); err != nil {
			return nil, fmt.Errorf("write %q: %w", s.Password, err)
		}
	}
	cmd := exec.Command("node", append([]string{"testdata/original.js"}, args...)...)
	cmd.Env, cmd.Stdin, cmd.Stderr = env, &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the original: %w\n%s", err, &stderr)
	}
	return out, nil
}

// verdict is what the original says about a password.
type verdict struct {
	sample
	Score       int      `json:"score"`
	Log10       float64  `json:"log10"` // of the guesses
	Warning     string   `json:"warning"`
	Suggestions []string `json:"suggestions"`
}

// advice is what the original's sentences are with us.
var advice = map[string]zxcvbn.Advice{
	"":                                  "",
	"This is a top-10 common password":  zxcvbn.Top10Password,
	"This is a top-100 common password": zxcvbn.Top100Password,
	"This is a very common password":    zxcvbn.CommonPassword,
	"This is similar to a commonly used password":                            zxcvbn.LikeCommonPassword,
	"A word by itself is easy to guess":                                      zxcvbn.SingleWord,
	"Names and surnames by themselves are easy to guess":                     zxcvbn.SingleName,
	"Common names and surnames are easy to guess":                            zxcvbn.CommonName,
	"Straight rows of keys are easy to guess":                                zxcvbn.StraightRowsOfKeys,
	"Short keyboard patterns are easy to guess":                              zxcvbn.ShortKeyboardPattern,
	`Repeats like "aaa" are easy to guess`:                                   zxcvbn.RepeatedCharacter,
	`Repeats like "abcabcabc" are only slightly harder to guess than "abc"`:  zxcvbn.RepeatedPattern,
	"Sequences like abc or 6543 are easy to guess":                           zxcvbn.Sequence,
	"Recent years are easy to guess":                                         zxcvbn.RecentYear,
	"Dates are often easy to guess":                                          zxcvbn.Date,
	"Use a few words, avoid common phrases":                                  zxcvbn.UseAFewWords,
	"No need for symbols, digits, or uppercase letters":                      zxcvbn.NoNeedForSymbols,
	"Add another word or two. Uncommon words are better.":                    zxcvbn.AddAnotherWord,
	"Use a longer keyboard pattern with more turns":                          zxcvbn.UseLongerPattern,
	"Avoid repeated words and characters":                                    zxcvbn.AvoidRepeats,
	"Avoid sequences":                                                        zxcvbn.AvoidSequences,
	"Avoid recent years":                                                     zxcvbn.AvoidRecentYears,
	"Avoid years that are associated with you":                               zxcvbn.AvoidYourYears,
	"Avoid dates and years that are associated with you":                     zxcvbn.AvoidYourDates,
	"Capitalization doesn't help very much":                                  zxcvbn.CapitalsHelpLittle,
	"All-uppercase is almost as easy to guess as all-lowercase":              zxcvbn.AllCapitalsHelpLittle,
	"Reversed words aren't much harder to guess":                             zxcvbn.ReversalHelpsLittle,
	"Predictable substitutions like '@' instead of 'a' don't help very much": zxcvbn.SubstitutionsHelpLittle,
}

// complaint says how our result differs, empty if it does not.
func (v verdict) complaint(ours zxcvbn.Result) string {
	warning := ours.Warning
	if warning == zxcvbn.ContextWord {
		warning = "" // the original knows the word and says nothing about it
	}
	var suggestions []zxcvbn.Advice
	for _, sentence := range v.Suggestions {
		suggestions = append(suggestions, advice[sentence])
	}
	switch {
	case ours.Score != v.Score:
		return fmt.Sprintf("score %d", v.Score)
	case math.Abs(math.Log10(ours.Guesses)-v.Log10) > 1e-9:
		return fmt.Sprintf("10^%g guesses", v.Log10)
	case warning != advice[v.Warning] || !slices.Equal(ours.Suggestions, suggestions):
		return fmt.Sprintf("%q and %q", v.Warning, v.Suggestions)
	}
	return ""
}

// quirks are where we do better than the original, never worse.
var quirks = map[string]string{
	"constructor": "its language has a property of that name, which hides the word in its lists",
	"i\u0307":     "it makes two small letters of İ and looks for what follows in the wrong place",
}

// quirk says why the original may differ, empty if it has no reason to.
func quirk(s sample) string {
	small := strings.ToLower(strings.ReplaceAll(s.Password, "İ", "i\u0307"))
	for text, why := range quirks {
		if strings.Contains(small, text) {
			return why
		}
	}
	return ""
}

// Covers R-054 for scores, guesses and advice like the original's.
func TestVerdictsAreThoseOfTheOriginal(t *testing.T) {
	t.Parallel()
	if *update {
		makeRecord(t)
	}
	year, verdicts := readRecord(t)
	var foreign, known, others int
	scores, advices := map[int]int{}, map[zxcvbn.Advice]int{}
	for _, v := range verdicts {
		ours := zxcvbn.EstimateIn(year, v.Password, v.Context...)
		if strings.ContainsFunc(v.Password, outsideASCII) {
			foreign++
		}
		if v.Context != nil {
			known++
		}
		scores[v.Score]++
		for _, a := range append(ours.Suggestions, ours.Warning) {
			advices[a]++
		}
		difference, why := v.complaint(ours), quirk(v.sample)
		if ours.Score != v.Score {
			others++
		}
		switch {
		case difference == "":
		case why == "" || ours.Score > v.Score:
			t.Errorf("%q, context %q: the original says %s, we %+v", v.Password, v.Context, difference, ours)
		default:
			t.Logf("%q, context %q: the original says %s, we %+v: %s", v.Password, v.Context, difference, ours, why)
		}
	}
	t.Logf("%d passwords, %d of them not in ASCII, %d with a context; scores %v, %d differ", len(verdicts), foreign, known, scores, others)
	if equal := 1 - float64(others)/float64(len(verdicts)); equal < 0.995 {
		t.Errorf("%.2f %% of the scores are equal", 100*equal)
	}
	if len(verdicts) < 3000 || foreign < 500 || known < 200 {
		t.Errorf("%d passwords, %d not in ASCII, %d with a context are too few to tell", len(verdicts), foreign, known)
	}
	for score := range 5 {
		if scores[score] < 100 {
			t.Errorf("%d passwords of score %d", scores[score], score)
		}
	}
	for sentence, ours := range advice {
		if advices[ours] == 0 {
			t.Errorf("no password hears %q", sentence)
		}
	}
}

func outsideASCII(r rune) bool { return r > unicode.MaxASCII }

// header is the first line of the record.
type header struct {
	Version string `json:"version"`
	Year    int    `json:"year"` // in which it was made: dates count from there
}

func makeRecord(t *testing.T) {
	t.Helper()
	env, err := install(t)
	if err != nil {
		t.Fatal(err)
	}
	judged, err := original(env, samples(3200), "judge")
	if err != nil {
		t.Fatal(err)
	}
	first, err := json.Marshal(header{version, time.Now().Year()})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(w, "%s\n%s", first, judged)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRecord(t *testing.T) (year int, all []verdict) {
	t.Helper()
	file, err := os.Open(record)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bufio.NewReader(unpacked))
	var first header
	if err := lines.Decode(&first); err != nil || first.Version != version {
		t.Fatalf("the record is of %q: %v", first.Version, err)
	}
	for lines.More() {
		var v verdict
		if err := lines.Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return first.Year, all
}

// The lists are what an attacker has: all of the original's words, each in one
// of them, so that looking up small letters of ASCII is enough.
func TestWordListsAreThoseOfTheOriginal(t *testing.T) {
	t.Parallel()
	if *update {
		env, err := install(t)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := original(env, nil, "words", "words"); err != nil {
			t.Fatal(err)
		}
		return // they are compiled in: the next run sees them
	}
	sizes := map[string]int{
		"passwords": 30_000, "english_wikipedia": 30_000, "female_names": 3712, "surnames": 10_000, "us_tv_and_film": 19_160, "male_names": 983,
	}
	seen := map[string]string{}
	for name, words := range zxcvbn.Words() {
		if len(words) != sizes[name] {
			t.Errorf("%s has %d words, not %d", name, len(words), sizes[name])
		}
		for _, word := range words {
			if seen[word] != "" || word == "" || word != strings.ToLower(word) || strings.ContainsFunc(word, unprintable) {
				t.Errorf("%s has %q, as has %q", name, word, seen[word])
			}
			seen[word] = name
		}
	}
	if len(seen) != 93_855 {
		t.Errorf("%d words", len(seen))
	}
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }
