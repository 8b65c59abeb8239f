package pages

import (
	"net/http"

	"golang.org/x/text/language"

	"countersign.dev/services/api/internal/flow"
)

// signInWords are the sign-in page in one language. {org} stands for the
// organization's name, {app} for the app's, {user} for an address, {phone} for a
// masked number, {n} for a number of two or more. Another language is another
// file like signin_en.go and an entry in signInSpoken; a test finds what it
// leaves out.
type signInWords struct {
	Lang    string
	Landing notice
	Steps   map[flow.Step]notice
	Turns   map[flow.Step]string // what a button says that turns to the step
	Said    map[flow.Said]string
	ByMail  map[flow.Said]string // in place of Said, at the steps of mails
	Scopes  map[string]string    // what an app of that scope gets, as an item of a list
	// What stands in place of the text of a step, or below it.
	Then, ThenAccount            string // of StepPassword: where it goes then
	CodeOfApp, CodeOfEither      string // of StepCode
	CodeToSend, CodeSent         string
	Elsewhere, Recovered         string // of StepLinkSent and of the enrolment
	Others, Mistake              string
	WaitMinute, WaitMinutes      string
	WaitSecond, WaitSeconds      string
	Email, Password, NewPassword string
	Show, Hide                   string
	SignIn, Next, SetPassword    string
	SendLink, SendAgain          string
	Code, Confirm                string
	SendText, Send               string
	RecoveryCode, CodeElsewhere  string // the latter of StepLinkSent, before it is opened elsewhere
	QRAlt, OpenApp, Secret       string
	Phone, PhoneHint             string
	Download, Copy, Copied       string
	Print, Saved                 string
	Allow, Deny                  string
	GoOn, GoOnAccount            string
}

// signInSpoken are the languages, the one for everybody else first.
var signInSpoken = []*signInWords{&signInEnglish, &signInGerman, &signInFrench}

// signInWordsFor picks the language that the app asks for, or else the
// browser's, or else the organization's, or else English.
func signInWordsFor(r *http.Request, asked, org string) *signInWords {
	wanted := append([]string{asked}, r.Header["Accept-Language"]...)
	_, i := language.MatchStrings(signInLanguages, append(wanted, org)...)
	return signInSpoken[i]
}

var signInLanguages = func() language.Matcher {
	var tags []language.Tag
	for _, l := range signInSpoken {
		tags = append(tags, language.MustParse(l.Lang))
	}
	return language.NewMatcher(tags)
}()

// mistake puts into the data of a page what was wrong with the last try; empty
// for nothing. The title says that there was something.
func mistake(data map[string]any, said string) {
	if said == "" {
		return
	}
	lang, _ := data["Lang"].(string)
	data["Said"], data["Mistake"] = said, mistakeIn(lang)
}

// mistakeIn is what titles begin with in a language of the pages.
func mistakeIn(lang string) string {
	_, i := language.MatchStrings(signInLanguages, lang)
	return signInSpoken[i].Mistake
}

// Landing says what this service is, to a browser that comes for no app.
func Landing(w http.ResponseWriter, r *http.Request, status int) {
	words := signInWordsFor(r, "", "")
	if err := send(w, r, status, signInTemplates.Lookup("landing"), "'none'", map[string]any{
		"Lang": words.Lang, "Heading": words.Landing.Heading, "Text": words.Landing.Text,
	}); err != nil {
		WriteFault(w, r, err)
	}
}
