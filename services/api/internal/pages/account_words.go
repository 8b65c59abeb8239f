package pages

import (
	"net/http"

	"golang.org/x/text/language"
)

// accountWords are the account page in one language. {place} stands for an
// organization, {user} for a masked address.
type accountWords struct {
	Lang               string
	Title              notice
	Sandbox            string
	Sessions           string
	Begun, Used, Place string
	Here, End, SignOut string
	Passwords          string // what the part is called
	Password, Change   string
	Recent, NotTaken   string
}

// accountWordsFor picks the language that is asked for, or else one of the
// browser's, or else English.
func accountWordsFor(r *http.Request, asked string) *accountWords {
	_, i := language.MatchStrings(speaks, append([]string{asked}, r.Header["Accept-Language"]...)...)
	return &spokenOfAccounts[i]
}

// spokenOfAccounts are the languages, in the order of spoken.
var spokenOfAccounts = []accountWords{
	{
		Lang: "en", Title: notice{"Your account", "You are signed in at {place} as {user}."}, Sandbox: "{place} (sandbox)",
		Sessions: "Where you are signed in", Begun: "Since", Used: "Last used", Place: "From",
		Here: "This browser", End: "End", SignOut: "Sign out",
		Passwords: "Password", Password: "New password", Change: "Change password",
		Recent: "This needs a sign-in of the last five minutes. You are signed out everywhere else then.", NotTaken: "This password was not taken",
	},
	{
		Lang: "de", Title: notice{"Ihr Konto", "Sie sind bei {place} angemeldet als {user}."}, Sandbox: "{place} (Sandbox)",
		Sessions: "Wo Sie angemeldet sind", Begun: "Seit", Used: "Zuletzt benutzt", Place: "Von",
		Here: "Dieser Browser", End: "Beenden", SignOut: "Abmelden",
		Passwords: "Passwort", Password: "Neues Passwort", Change: "Passwort ändern",
		Recent: "Dafür muss Ihre Anmeldung höchstens fünf Minuten alt sein. Überall sonst werden Sie dann abgemeldet.", NotTaken: "Dieses Passwort wurde nicht angenommen",
	},
	{
		Lang: "fr", Title: notice{"Votre compte", "Vous êtes connecté à {place} en tant que {user}."}, Sandbox: "{place} (bac à sable)",
		Sessions: "Où vous êtes connecté", Begun: "Depuis", Used: "Dernière utilisation", Place: "De",
		Here: "Ce navigateur", End: "Terminer", SignOut: "Se déconnecter",
		Passwords: "Mot de passe", Password: "Nouveau mot de passe", Change: "Changer de mot de passe",
		Recent: "Cela demande une connexion de moins de cinq minutes. Vous serez déconnecté partout ailleurs.", NotTaken: "Ce mot de passe n’a pas été accepté",
	},
}
