package zxcvbn_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"countersign.dev/pkg/zxcvbn"
)

// sample is a password as somebody may choose it, and words that belong to
// whoever does.
type sample struct {
	Password string   `json:"password"`
	Context  []string `json:"context,omitempty"`
}

// chooser makes up passwords, the same ones each time.
type chooser struct {
	*rand.Rand
	lists map[string][]string
	names []string
}

func newChooser(seed uint64) chooser {
	lists := zxcvbn.Words()
	return chooser{rand.New(rand.NewPCG(seed, seed)), lists, slices.Sorted(maps.Keys(lists))}
}

func pick[T any](c chooser, of []T) T { return of[c.IntN(len(of))] }

// word is often one of the most used ones.
func (c chooser) word() string {
	words := c.lists[pick(c, c.names)]
	if c.IntN(2) == 0 {
		words = words[:300]
	}
	return pick(c, words)
}

// each changes some characters of a text.
func (c chooser) each(text string, change func(r rune) string) string {
	var out strings.Builder
	for _, r := range text {
		if c.IntN(3) == 0 {
			out.WriteString(change(r))
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

var l33tOf = map[rune]string{
	'a': "4@", 'b': "8", 'c': "({[<", 'e': "3", 'g': "69", 'i': "1!|", 'l': "1|7", 'o': "0", 's': "$5", 't': "+7", 'x': "%", 'z': "2",
}

func (c chooser) l33t(text string) string {
	return c.each(text, func(r rune) string {
		if l33tOf[r] == "" {
			return string(r)
		}
		return string(pick(c, []byte(l33tOf[r])))
	})
}

func (c chooser) capitals(text string) string {
	switch c.IntN(4) {
	case 0:
		return strings.ToUpper(text)
	case 1:
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return c.each(text, func(r rune) string { return strings.ToUpper(string(r)) })
}

// chance is up to most characters of an alphabet.
func (c chooser) chance(alphabet string, most int) string {
	runes := []rune(alphabet)
	var out strings.Builder
	for range 1 + c.IntN(most) {
		out.WriteRune(pick(c, runes))
	}
	return out.String()
}

const (
	printable = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`" + `abcdefghijklmnopqrstuvwxyz{|}~`
	digits    = "0123456789"
	keyRows   = "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/qwertyuiop[]asdfghjkl;'zxcvbnm,./!@#$%^&*()_+QWERTYUIOP789456123.,pyfgcrlaoeuidhtns"
	scripts   = "äöüßéèñçøåÄÖÜÉŁłžšαβγδΣσςжДяשלוםمرحبا中文字密码日本語パスワード한국어🙂🔒👍🏽𐐀𐐨KſİıǅﬁÅ\u00a0\u2028\u3000\ufeff\u0301\u200d\u0085"
)

func (c chooser) date() string {
	day, month, year := c.IntN(34), c.IntN(14), 1890+c.IntN(170)
	if c.IntN(2) == 0 {
		year %= 100
	}
	form := pick(c, []string{"%[1]d", "%02[1]d"})
	numbers := []string{fmt.Sprintf(form, day), fmt.Sprintf(form, month), fmt.Sprintf("%02d", year)}
	if c.IntN(3) == 0 {
		slices.Reverse(numbers)
	}
	return strings.Join(numbers, pick(c, []string{"", "/", ".", "-", "_", " ", `\`}))
}

func (c chooser) walk() string {
	from := c.IntN(len(keyRows) - 12)
	return keyRows[from : from+3+c.IntN(9)]
}

func (c chooser) sequence() string {
	first, step := 33+c.IntN(90), c.IntN(13)-6
	if c.IntN(4) == 0 {
		first = 0x391 + c.IntN(0x100)
	}
	var out strings.Builder
	for i := range 3 + c.IntN(8) {
		out.WriteRune(rune(max(first+i*step, 33)))
	}
	return out.String()
}

// foreign puts characters of other scripts into a text.
func (c chooser) foreign(text string) string {
	runes := []rune(text)
	for range 1 + c.IntN(4) {
		runes = slices.Insert(runes, c.IntN(len(runes)+1), pick(c, []rune(scripts)))
	}
	return string(runes)
}

func (c chooser) long() string {
	var out strings.Builder
	for out.Len() < 60+c.IntN(100) {
		out.WriteString(pick(c, []func() string{c.word, c.walk, c.date, func() string { return c.l33t(c.word()) }})())
	}
	return out.String()
}

// kinds are the ways in which passwords come about.
func (c chooser) kinds() []func() string {
	return []func() string{
		c.word,
		func() string { return c.l33t(c.word()) },
		func() string { return c.capitals(c.word()) },
		func() string { return c.l33t(c.capitals(c.word() + c.word())) },
		func() string {
			return c.capitals(c.word()) + c.chance(digits, 4) + pick(c, []string{"", "!", "?", "#"})
		},
		func() string { return c.word() + pick(c, []string{" ", "-", ""}) + c.word() + " " + c.word() },
		func() string { return c.word() + " " + c.word() + " " + c.word() + " " + c.word() },
		func() string { return string(reversed([]rune(c.capitals(c.word())))) },
		func() string { return string(reversed([]rune(c.l33t(c.word())))) + c.chance(digits, 3) },
		c.walk,
		func() string { return c.walk() + c.word() },
		func() string { return strings.Repeat(c.word(), 1+c.IntN(4)) },
		func() string { return strings.Repeat(c.chance(printable, 1), 1+c.IntN(20)) },
		func() string { return strings.Repeat(c.chance("ab1", 5), 2+c.IntN(3)) + c.chance("ab1", 4) },
		c.date,
		func() string { return c.word() + c.date() + pick(c, []string{"", "!", "xx"}) },
		c.sequence,
		func() string { return c.sequence() + c.word() },
		func() string { return c.chance(printable, 24) },
		func() string { return c.chance(digits, 12) },
		func() string { return c.chance("abcdefghijklmnopqrstuvwxyz0123456789", 14) },
		func() string { return c.chance(zxcvbn.L33tChars+"aeilost", 14) },
		func() string { return c.chance(scripts, 10) },
		func() string { return c.foreign(c.word()) },
		func() string { return c.foreign(c.l33t(c.capitals(c.word())) + c.date()) },
		func() string { return strings.Repeat(c.foreign(c.chance("ab1", 2)), 1+c.IntN(4)) },
		c.long,
		func() string { return c.foreign(c.long()) },
	}
}

func reversed(of []rune) []rune {
	slices.Reverse(of)
	return of
}

// samples are at least this many different passwords, those that try the
// estimator most first.
func samples(atLeast int) []sample {
	out := []sample{{Password: ""}, {Password: "constructor"}, {Password: "__proto__"}, {Password: "myConstructor7"}}
	for _, password := range crafted() {
		out = append(out, sample{Password: password})
	}
	c := newChooser(6)
	known := map[string]bool{}
	for len(out) < atLeast {
		for _, kind := range c.kinds() {
			s := sample{Password: kind()}
			if c.IntN(10) == 0 { // somebody whose words these are
				s.Context = []string{c.foreign("Smith"), c.word(), "Countersign", c.word()}
				s.Password = pick(c, s.Context) + s.Password
			}
			if !known[s.Password] {
				known[s.Password] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// crafted are passwords that cost an estimator much. The last ones are what a
// search by mutation came to that went for the most work.
func crafted() []string {
	repeated := func(texts ...string) []string {
		var out []string
		for _, text := range texts {
			out = append(out, strings.Repeat(text, 1+zxcvbn.Longest/len(text))[:zxcvbn.Longest])
		}
		return out
	}
	return slices.Concat(repeated(
		"a", "1", "12", "ab", "aab", "aabaabc", "1|!l", "4@8({[<3691!|70$5+%2", "l1|!i7+t", "$5s", "11121314", "1/1/91", "12.12.1912",
		"0123456789", "20001231", "qwertyuiop", "!QAZ2wsx", "password", "p4$$w0rd", "thethere", "anand", "abcdefghijklmnopqrstuvwxyz", " ", ".",
	), []string{
		"l!aatneumang4esit5pride345esta234567oti$@1115talind4os!ts!tice1beaner14567timeniscusel00sentime11i5t",
		"44$sprejecth35EAn123jesusc5E45thermansavestar5thermansav3EEamindednesthersanana5123321ana5E@55455454",
		"selen!enter1ieherannieedselen!enter1ies1111turniidanaelen|enter1dannienotsaudisanknotdannienotiael|1",
		"8518484222725941929244423417701737357456248311192341419292444184842227831119292477706737357456599534",
	})
}
