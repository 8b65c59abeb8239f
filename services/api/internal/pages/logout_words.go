package pages

import (
	"net/http"
	"strings"

	"golang.org/x/text/language"
)

// logoutWords are the pages of signing out in one language. {app} stands for
// the name of the app that asks, {place} for an organization, {host} for where
// the browser goes.
type logoutWords struct {
	Lang              string // of the markup, and what browsers ask for
	AskedBy, Asked    notice // the question, of an app and of nobody known
	Done              notice
	Button, All, Goes string
	Sandbox, Unasked  string
}

// logoutWordsFor picks the language of a page: one of those that the app asks
// for (ui_locales, OpenID Connect Core 3.1.2.1), or else as wordsFor does.
func logoutWordsFor(r *http.Request, locales string) *logoutWords {
	_, i := language.MatchStrings(speaks, append(strings.Fields(locales), r.Header["Accept-Language"]...)...)
	return &spokenOfLogout[i]
}

// spokenOfLogout are the languages, in the order of spoken.
var spokenOfLogout = []logoutWords{
	{
		Lang:    "en",
		AskedBy: notice{"Sign out?", "{app} asks to sign you out. Nothing happens unless you press the button."},
		Asked:   notice{"Sign out?", "Choose where you want to be signed out in this browser."},
		Done:    notice{"You are signed out", "You can close this page."},
		Button:  "Sign out of {place}", All: "Sign out everywhere", Goes: "Then you go on to {host}.",
		Sandbox: "{place} (sandbox)", Unasked: "If you did not ask for this, close the page: you stay signed in.",
	},
	{
		Lang:    "de",
		AskedBy: notice{"Abmelden?", "{app} möchte Sie abmelden. Ohne die Schaltfläche geschieht nichts."},
		Asked:   notice{"Abmelden?", "Wählen Sie, wo Sie in diesem Browser abgemeldet werden möchten."},
		Done:    notice{"Sie sind abgemeldet", "Sie können diese Seite schließen."},
		Button:  "Bei {place} abmelden", All: "Überall abmelden", Goes: "Danach geht es weiter zu {host}.",
		Sandbox: "{place} (Sandbox)", Unasked: "Wenn Sie das nicht wollten, schließen Sie die Seite: Sie bleiben angemeldet.",
	},
	{
		Lang:    "fr",
		AskedBy: notice{"Se déconnecter ?", "{app} demande à vous déconnecter. Rien ne se passe tant que vous n’appuyez pas sur le bouton."},
		Asked:   notice{"Se déconnecter ?", "Choisissez d’où vous voulez vous déconnecter dans ce navigateur."},
		Done:    notice{"Vous êtes déconnecté", "Vous pouvez fermer cette page."},
		Button:  "Se déconnecter de {place}", All: "Se déconnecter partout", Goes: "Vous irez ensuite sur {host}.",
		Sandbox: "{place} (bac à sable)", Unasked: "Si vous n’avez rien demandé, fermez cette page : vous restez connecté.",
	},
}
