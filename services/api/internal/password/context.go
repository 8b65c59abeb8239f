package password

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// product is what everybody knows who signs in here.
const product = "countersign"

const (
	mostWords    = 64  // that are looked for
	longestWord  = 100 // characters of each
	shortestWord = 4   // characters that count as containing it: Ana is in banana
)

// Known is what whoever guesses knows of a user and tries first (NIST SP
// 800-63B-4 3.1.1.2).
type Known struct {
	Email string
	Names []string
	Org   tenant.Organization
	Host  string // of this service's base URL
}

// knownOf is what is known of a user, or of who is to be one.
func (s *Service) knownOf(org tenant.Organization, address user.Address, u *user.User) Known {
	known := Known{Email: address.Written, Org: org, Host: s.Host}
	if u == nil {
		return known
	}
	for _, name := range []*string{u.Profile.GivenName, u.Profile.FamilyName, u.Profile.Nickname, u.Profile.PreferredUsername} {
		if name != nil {
			known.Names = append(known.Names, *name)
		}
	}
	return known
}

// words takes apart what is known: each text as a whole and without what
// stands between its parts, and the parts. All are in small letters, and where
// that differs without accents, too. The user's come first, since there is a
// bound.
func (k Known) words() []string {
	local, domain, _ := strings.Cut(k.Email, "@")
	texts := slices.Concat([]string{local}, k.Names, []string{k.Org.Name, k.Org.Domain, product, k.Host, domain}, k.Org.EmailDomains)
	var out []string
	add := func(word string) {
		if runes := []rune(word); len(runes) > longestWord {
			word = string(runes[:longestWord])
		}
		if word != "" && len(out) < mostWords && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	for _, text := range texts {
		lower := norm.NFC.String(strings.ToLower(strings.ToValidUTF8(text, "")))
		for _, spelt := range []string{lower, fold(lower)} {
			parts := strings.FieldsFunc(spelt, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
			add(spelt)
			add(strings.Join(parts, ""))
			for _, part := range parts {
				add(part)
			}
		}
	}
	return out
}

// fold takes case and accents from a text.
func fold(text string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(strings.ToLower(text)))
	return norm.NFC.String(plain)
}

// without is what is left of a password without the words that it contains, in
// whatever case and with or without accents, and whether it contains any.
// Occurrences may overlap.
func without(plain string, words []string) (rest string, found bool) {
	folded := fold(plain)
	covered := make([]bool, len(folded))
	for _, word := range words {
		if word = fold(word); utf8.RuneCountInString(word) < shortestWord {
			continue
		}
		for from := 0; ; {
			at := strings.Index(folded[from:], word)
			if at < 0 {
				break
			}
			found = true
			for i := range len(word) {
				covered[from+at+i] = true
			}
			_, size := utf8.DecodeRuneInString(folded[from+at:])
			from += at + size
		}
	}
	var left strings.Builder
	for i := range len(folded) {
		if !covered[i] {
			left.WriteByte(folded[i])
		}
	}
	return left.String(), found
}
