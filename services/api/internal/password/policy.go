// Package password is the rules of passwords: who may set one and when it lets
// somebody in, how its text is read, which texts are refused, and how it is
// kept.
//
// What is typed is bounded before any work and brought into one form, once. A
// [Hasher] makes of it what is stored (Argon2id in PHC form, with a pepper
// from the configuration) and evaluates candidates against that. Nothing here
// compares: the guard does, after it has counted, in a turn of the hashing
// pool.
package password

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/zxcvbn"
)

// What nobody can configure away (NIST SP 800-63B-4 3.1.1.2). Lengths are in
// code points, after the text was brought into one form.
const (
	maxBytes        = 1024 // of the text as it came: bounds all work on it
	minAlone        = 15
	minBesideFactor = 8
	alwaysAccepted  = 64
)

// ErrMalformed refuses what is no password.
var ErrMalformed = fault.New(fault.Malformed, "malformed_password", "a password is text in UTF-8, of 1,024 bytes at most")

// CheckSize refuses what is no password before any work is done on it. It
// returns ErrMalformed.
func CheckSize(typed secret.Text) error {
	if plain := typed.Reveal(); len(plain) > maxBytes || !utf8.ValidString(plain) {
		return ErrMalformed
	}
	return nil
}

// compose brings a password into the form that is hashed: Unicode's composed
// one (NFC), since keyboards spell é in two ways and it is one letter to who
// types it. Nothing is trimmed, folded or cut.
func compose(typed secret.Text) (string, error) {
	if err := CheckSize(typed); err != nil {
		return "", err
	}
	return norm.NFC.String(typed.Reveal()), nil
}

// Policy is what a connection asks of new passwords.
type Policy struct {
	Min int // characters; more than the minimum of the product counts, less does not
	Max int // characters; zero for none, and never below 64
	// SecondFactor says that the organization enforces one. Only then a
	// password may be shorter than 15 characters.
	SecondFactor bool
	Strength     int // the least score of an estimate, 0 to 4
}

// Bounds returns the lengths that hold, in characters; no most is zero.
func (p Policy) Bounds() (least, most int) {
	least = minAlone
	if p.SecondFactor {
		least = minBesideFactor
	}
	least = max(least, min(p.Min, alwaysAccepted))
	if p.Max > 0 {
		most = max(p.Max, alwaysAccepted)
	}
	return least, most
}

// Assess judges a new password, given what an attacker knows about its user
// and the operator's own list. There are no rules of composition: length is
// what counts, and how hard it is to guess. It returns ErrMalformed alone.
//
// The checks come in the order of what they can say, the plainest reason
// first. Whether a password has leaked is asked by who calls this, after it:
// that may go out of the house.
func (p Policy) Assess(typed secret.Text, known Known, own *Blocklist) (Assessment, error) {
	plain, err := compose(typed)
	if err != nil {
		return Assessment{}, err
	}
	words := known.words()
	estimate := zxcvbn.Estimate(plain, words...)
	a := Assessment{Score: estimate.Score, Least: p.Strength, Warning: estimate.Warning, Suggestions: estimate.Suggestions}
	least, most := p.Bounds()
	length := utf8.RuneCountInString(plain)
	switch {
	case length < least:
		a.refusal, a.length = errShort(least), least
	case most > 0 && length > most:
		a.refusal, a.length = errLong(most), most
	case uniform(plain) || common[strings.ToLower(plain)] || zxcvbn.Common(plain) || own.has(plain):
		a.refusal = ErrCommon
	case p.leans(plain, words):
		a.refusal = ErrContext
	case a.Score < p.Strength:
		a.refusal = ErrWeak
	}
	return a, nil
}

// leans reports whether a password is little more than words that an attacker
// begins with: what is left without them is too weak by itself. So
// Communitiz2026!!! is refused in the organization Communitiz, although the
// estimate takes ten signs after a word for something, and a long phrase that
// names the organization is not.
//
// A connection that asks for no strength does not switch this off.
func (p Policy) leans(plain string, words []string) bool {
	rest, found := without(plain, words)
	return found && zxcvbn.Estimate(rest, words...).Score < max(p.Strength, defaultStrength)
}

// uniform reports whether a text is one character over and over.
func uniform(plain string) bool {
	first, size := utf8.DecodeRuneInString(plain)
	return strings.Trim(plain[size:], string(first)) == ""
}

// common are the passwords that are used most, of those that are long enough
// to get here, in lower case.
var common = setOf(`
12345678 123456789 1234567890 0123456789 0987654321 87654321 9876543210 123123123 123321123 147258369 789456123 12341234 1234qwer
1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc qwertyui qwertyuiop qwerty123 qwerty1234 qwerty12 asdfghjk asdfghjkl zxcvbnm123 q1w2e3r4
q1w2e3r4t5 qazwsxedc asdf1234 abc12345 abcd1234 abcdefgh a1b2c3d4 aa123456 a12345678 aa12345678
password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword pass1234 mypassword newpassword changeme changeme1
changeme123 letmein1 letmein123 welcome1 welcome123 welcome2024 welcome2025 welcome2026 admin123 admin1234 administrator default1
iloveyou iloveyou1 sunshine sunshine1 princess princess1 football football1 baseball baseball1 superman batman123 starwars trustno1
whatever michelle jennifer michael1 charlie1 dragon123 monkey123 shadow123 master123 computer internet security secret123 liverpool
chocolate butterfly hello123 test1234 testtest testing1 google123 samsung1 pokemon1 corvette mercedes maverick
123456789012345 1234567890123456 12345678901234567890 123456781234567 1234567812345678 123456789123456 123456789123456789
111111222222333 112233445566778 1122334455667788 qwertyuiopasdfg qwertyuiopasdfgh qwertyuiopasdfghjkl qwertyuiop12345 qwertyuiop123456
qwertyuiop1234567890 1q2w3e4r5t6y7u8i 1q2w3e4r5t6y7u8i9o0p 1qaz2wsx3edc4rfv 1qaz2wsx3edc4rfv5tgb qwertyqwertyqwerty qwerty123456789
asdfghjklasdfghjkl abcdefghijklmno abcdefghijklmnop abcdefghijklmnopqrstuvwxyz abcd1234abcd1234 abcdefg12345678
passwordpassword passwordpassword1 passwordpassword123 password12345678 password123456789 password1234567890 passw0rdpassw0rd
thisisapassword thisismypassword mypasswordispassword mypassword12345 averylongpassword administrator123 changemechangeme
iloveyouiloveyou iloveyou12345678 letmeinletmein1 letmeinletmeinletmein sunshinesunshine footballfootball
correcthorsebatterystaple correct-horse-battery-staple
` + "\ncorrect horse battery staple\nthis is a password\nthis is my password\ni love you very much\nlet me in please")

// setOf reads passwords: those of one line with spaces between, and then, one
// in a line, those that have spaces in them.
func setOf(text string) map[string]bool {
	words, phrases, _ := strings.Cut(strings.TrimPrefix(text, "\n"), "\n\n")
	out := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		out[word] = true
	}
	for phrase := range strings.Lines(phrases) {
		out[strings.TrimSuffix(phrase, "\n")] = true
	}
	return out
}
