package pages

import (
	"net/http"

	"golang.org/x/text/language"

	"countersign.dev/services/api/internal/flow"
)

// signInWords are the sign-in page in one language. {org} stands for the
// organization's name, {app} for the app's, {user} for a masked address, {phone}
// for a masked number, {n} for a number of two or more. Another language is
// another entry in signInSpoken; a test finds what it leaves out.
type signInWords struct {
	Lang                    string
	First, Second, Landing  notice
	Email, Password, SignIn string
	Code, Confirm           string
	SendText, Send          string
	Forgotten, NoRecovery   string
	WaitMinute, WaitMinutes string
	Said                    map[flow.Said]string
}

// signInWordsFor picks the language that the app asks for, or else the
// browser's, or else the organization's, or else English.
func signInWordsFor(r *http.Request, asked, org string) *signInWords {
	wanted := append([]string{asked}, r.Header["Accept-Language"]...)
	_, i := language.MatchStrings(signInLanguages, append(wanted, org)...)
	return &signInSpoken[i]
}

var signInLanguages = func() language.Matcher {
	var tags []language.Tag
	for _, l := range signInSpoken {
		tags = append(tags, language.MustParse(l.Lang))
	}
	return language.NewMatcher(tags)
}()

// signInSpoken are the languages, the one for everybody else first.
var signInSpoken = []signInWords{
	{
		Lang:    "en",
		First:   notice{"Sign in to {org}", "Then you go on to {app}."},
		Second:  notice{"Confirm that it is you", "{user}: type the code that your authenticator app shows, or the one that was sent to your phone."},
		Landing: notice{"Countersign", "This is where people sign in to apps. Open your app and sign in from there."},
		Email:   "E-mail address", Password: "Password", SignIn: "Sign in",
		Code: "Code", Confirm: "Confirm",
		SendText: "A code can be sent to {phone}.", Send: "Send me a code",
		Forgotten:  "If you have forgotten your password, ask the app for a link to set another one.",
		NoRecovery: "Recovery codes are not taken on this page. If you have lost your device, use one in the app itself, or ask whoever runs it.",
		WaitMinute: "Try again in a minute.", WaitMinutes: "Try again in {n} minutes.",
		Said: map[flow.Said]string{
			flow.Wrong:     "The address or the password is wrong.",
			flow.Paused:    "There were too many wrong tries; nothing was compared.",
			flow.Off:       "There were too many wrong passwords in a row. Ask the app for a link to set another one.",
			flow.Busy:      "The service cannot do this right now; nothing was compared. Try again in a moment.",
			flow.Late:      "Too much time has passed since you gave your password. Please sign in again.",
			flow.WrongCode: "This code is wrong.",
			flow.NoCode:    "A code has six or eight digits.",
			flow.Used:      "This code was used already. Wait for the next one.",
			flow.NotSent:   "This is not a code that is good now. Ask for another one.",
			flow.Sent:      "A code is on its way to your phone.",
			flow.Refused:   "No other code can be sent to your phone now.",
			flow.Shut:      "Your second factors take no codes any more. Ask whoever runs the app to set them up anew.",
		},
	},
	{
		Lang:    "de",
		First:   notice{"Bei {org} anmelden", "Danach geht es weiter zu {app}."},
		Second:  notice{"Bestätigen Sie, dass Sie es sind", "{user}: Geben Sie den Code ein, den Ihre Authenticator-App zeigt oder der an Ihr Telefon gesendet wurde."},
		Landing: notice{"Countersign", "Hier melden sich Menschen bei Apps an. Öffnen Sie Ihre App und melden Sie sich von dort an."},
		Email:   "E-Mail-Adresse", Password: "Passwort", SignIn: "Anmelden",
		Code: "Code", Confirm: "Bestätigen",
		SendText: "Ein Code kann an {phone} gesendet werden.", Send: "Code senden",
		Forgotten:  "Wenn Sie Ihr Passwort vergessen haben, fordern Sie in der App einen Link an, mit dem Sie ein neues festlegen.",
		NoRecovery: "Wiederherstellungscodes gelten auf dieser Seite nicht. Wenn Sie Ihr Gerät verloren haben, benutzen Sie einen in der App selbst oder fragen Sie deren Betreiber.",
		WaitMinute: "Versuchen Sie es in einer Minute noch einmal.", WaitMinutes: "Versuchen Sie es in {n} Minuten noch einmal.",
		Said: map[flow.Said]string{
			flow.Wrong:     "Die Adresse oder das Passwort ist falsch.",
			flow.Paused:    "Es gab zu viele falsche Versuche; es wurde nichts verglichen.",
			flow.Off:       "Es gab zu viele falsche Passwörter in Folge. Fordern Sie in der App einen Link an, mit dem Sie ein neues festlegen.",
			flow.Busy:      "Der Dienst kann das gerade nicht tun; es wurde nichts verglichen. Versuchen Sie es gleich noch einmal.",
			flow.Late:      "Seit der Eingabe Ihres Passworts ist zu viel Zeit vergangen. Bitte melden Sie sich noch einmal an.",
			flow.WrongCode: "Dieser Code ist falsch.",
			flow.NoCode:    "Ein Code hat sechs oder acht Ziffern.",
			flow.Used:      "Dieser Code wurde schon benutzt. Warten Sie auf den nächsten.",
			flow.NotSent:   "Das ist kein Code, der jetzt gilt. Fordern Sie einen neuen an.",
			flow.Sent:      "Ein Code ist unterwegs an Ihr Telefon.",
			flow.Refused:   "An Ihr Telefon kann jetzt kein weiterer Code gesendet werden.",
			flow.Shut:      "Ihre zweiten Faktoren nehmen keine Codes mehr an. Bitten Sie den Betreiber der App, sie neu einzurichten.",
		},
	},
	{
		Lang:    "fr",
		First:   notice{"Se connecter à {org}", "Vous continuerez ensuite vers {app}."},
		Second:  notice{"Confirmez que c’est bien vous", "{user} : saisissez le code que montre votre application d’authentification, ou celui qui a été envoyé à votre téléphone."},
		Landing: notice{"Countersign", "C’est ici que l’on se connecte aux applications. Ouvrez votre application et connectez-vous depuis celle-ci."},
		Email:   "Adresse e-mail", Password: "Mot de passe", SignIn: "Se connecter",
		Code: "Code", Confirm: "Confirmer",
		SendText: "Un code peut être envoyé au {phone}.", Send: "M’envoyer un code",
		Forgotten:  "Si vous avez oublié votre mot de passe, demandez à l’application un lien pour en choisir un autre.",
		NoRecovery: "Les codes de secours ne sont pas acceptés sur cette page. Si vous avez perdu ce qui fait vos codes, utilisez-en un dans l’application, ou adressez-vous à son exploitant.",
		WaitMinute: "Réessayez dans une minute.", WaitMinutes: "Réessayez dans {n} minutes.",
		Said: map[flow.Said]string{
			flow.Wrong:     "L’adresse ou le mot de passe est erroné.",
			flow.Paused:    "Il y a eu trop d’essais erronés ; rien n’a été comparé.",
			flow.Off:       "Il y a eu trop de mots de passe erronés de suite. Demandez à l’application un lien pour en choisir un autre.",
			flow.Busy:      "Le service ne peut pas le faire pour le moment ; rien n’a été comparé. Réessayez dans un instant.",
			flow.Late:      "Trop de temps a passé depuis la saisie de votre mot de passe. Reconnectez-vous.",
			flow.WrongCode: "Ce code est erroné.",
			flow.NoCode:    "Un code a six ou huit chiffres.",
			flow.Used:      "Ce code a déjà servi. Attendez le suivant.",
			flow.NotSent:   "Ce n’est pas un code valable en ce moment. Demandez-en un autre.",
			flow.Sent:      "Un code est en route vers votre téléphone.",
			flow.Refused:   "Aucun autre code ne peut être envoyé à votre téléphone pour le moment.",
			flow.Shut:      "Vos seconds facteurs n’acceptent plus de codes. Demandez à l’exploitant de l’application de les configurer de nouveau.",
		},
	},
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
