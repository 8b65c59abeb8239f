package text

import "strings"

// speech is one language. %c stands for the code, %b for the brand. Every
// sentence uses GSM-7 characters only, so that the brand alone decides the
// alphabet, and has a left-to-right letter before the brand, so that a name in
// Hebrew or Arabic does not turn the line around. No form ends its sentence
// with the brand: it may end in a dot itself.
type speech struct {
	fullForm  string
	shortForm string // with the brand, for the 70 units of UCS-2
	bareForm  string
	tinyForm  string // when the host leaves no room
}

var english = speech{
	fullForm:  "%c is your %b security code. Do not share it with anyone.",
	shortForm: "Code %c (%b). Do not share.",
	bareForm:  "%c is your security code. Do not share it with anyone.",
	tinyForm:  "Code %c. Do not share.",
}

var speeches = map[string]speech{
	"en": english,
	"de": {
		fullForm:  "Ihr Sicherheitscode für %b: %c. Geben Sie ihn an niemanden weiter.",
		shortForm: "Code %c (%b). Nicht weitergeben.",
		bareForm:  "Ihr Sicherheitscode: %c. Geben Sie ihn an niemanden weiter.",
		tinyForm:  "Code %c. Nicht weitergeben.",
	},
	"fr": {
		fullForm:  "Votre code de sécurité %b : %c. Ne le communiquez à personne.",
		shortForm: "Code %c (%b). Ne pas partager.",
		bareForm:  "Votre code de sécurité : %c. Ne le communiquez à personne.",
		tinyForm:  "Code %c. Ne pas partager.",
	},
}

// speechFor takes the language of a BCP 47 tag: de-AT speaks German, what is
// not here speaks English.
func speechFor(locale string) speech {
	language, _, _ := strings.Cut(strings.ReplaceAll(locale, "_", "-"), "-")
	if w, ok := speeches[strings.ToLower(strings.TrimSpace(language))]; ok {
		return w
	}
	return english
}

func (w speech) full(code, brand string) string  { return fill(w.fullForm, code, brand) }
func (w speech) short(code, brand string) string { return fill(w.shortForm, code, brand) }
func (w speech) plain(code string) string        { return fill(w.bareForm, code, "") }
func (w speech) plainShort(code string) string   { return fill(w.tinyForm, code, "") }

// fill replaces both marks in one pass, so that a brand is never read as a
// template.
func fill(form, code, brand string) string {
	return strings.NewReplacer("%c", code, "%b", brand).Replace(form)
}
