package pages

import (
	"strconv"
	"strings"

	"countersign.dev/services/api/internal/password"
)

// newPassword is what stands below a field for a new password. Without our
// script it is the hint alone.
type newPassword struct {
	Words    *strengthWords
	Username string // whose it is; empty where the page does not tell
	Hint     string
	Least    int    // characters; zero where nothing is known of it
	Known    string // what is tried first, a line each
}

func newPasswordFor(lang, username string, of password.Hint) newPassword {
	words := strengthWordsFor(lang)
	out := newPassword{words, username, words.Good, of.Least, strings.Join(of.Words, "\n")}
	if of.Least > 0 {
		out.Hint = strings.ReplaceAll(words.AtLeast, "{n}", strconv.Itoa(of.Least)) + " " + out.Hint
	}
	return out
}

// strengthWords are what is said of a password while it is typed, in one
// language. {n} stands for a number of two or more. They promise nothing: the
// password is judged when it is saved.
type strengthWords struct {
	Lang           string
	Account        string
	AtLeast, Good  string
	Strength       string
	One, Many      string // characters that are missing
	Known, Row     string // what counts little
	Enough, Strong string
	Show, Hide     string // what is typed
}

func strengthWordsFor(lang string) *strengthWords {
	for i := range spokenOfStrength {
		if spokenOfStrength[i].Lang == lang {
			return &spokenOfStrength[i]
		}
	}
	return &spokenOfStrength[0]
}

// spokenOfStrength are the languages, in the order of spoken.
var spokenOfStrength = []strengthWords{
	{
		Lang: "en", Account: "E-mail address", AtLeast: "At least {n} characters.",
		Good:     "Some words that nobody would guess together are better than a short password with signs. Your password manager can make one up.",
		Strength: "Strength, by estimate", One: "One more character is needed.", Many: "{n} more characters are needed.",
		Known:  "Words of your address and of the organization count little. Add something else.",
		Row:    "Repetitions and rows such as 1234 count little. Add something else.",
		Enough: "Long enough. It is checked when you save it.", Strong: "Looks strong. It is checked when you save it.",
		Show: "Show password", Hide: "Hide password",
	},
	{
		Lang: "de", Account: "E-Mail-Adresse", AtLeast: "Mindestens {n} Zeichen.",
		Good:     "Einige Wörter, die niemand zusammen errät, sind besser als ein kurzes Passwort mit Sonderzeichen. Ihr Passwortmanager kann sich eines ausdenken.",
		Strength: "Stärke, geschätzt", One: "Ein Zeichen fehlt noch.", Many: "{n} Zeichen fehlen noch.",
		Known:  "Wörter aus Ihrer Adresse und der Organisation zählen wenig. Fügen Sie etwas anderes hinzu.",
		Row:    "Wiederholungen und Reihen wie 1234 zählen wenig. Fügen Sie etwas anderes hinzu.",
		Enough: "Lang genug. Geprüft wird es beim Speichern.", Strong: "Sieht stark aus. Geprüft wird es beim Speichern.",
		Show: "Passwort zeigen", Hide: "Passwort verbergen",
	},
	{
		Lang: "fr", Account: "Adresse e-mail", AtLeast: "Au moins {n} caractères.",
		Good:     "Quelques mots que personne ne devinerait ensemble valent mieux qu’un mot de passe court avec des signes. Votre gestionnaire de mots de passe peut en inventer un.",
		Strength: "Solidité, estimée", One: "Il manque encore un caractère.", Many: "Il manque encore {n} caractères.",
		Known:  "Les mots de votre adresse et de l’organisation comptent peu. Ajoutez autre chose.",
		Row:    "Les répétitions et les suites comme 1234 comptent peu. Ajoutez autre chose.",
		Enough: "Assez long. Il est vérifié lors de l’enregistrement.", Strong: "Semble solide. Il est vérifié lors de l’enregistrement.",
		Show: "Montrer le mot de passe", Hide: "Cacher le mot de passe",
	},
}
