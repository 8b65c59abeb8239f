package pages

import (
	"net/http"

	"golang.org/x/text/language"

	"countersign.dev/services/api/internal/link"
)

// words are the pages of links in one language. {org} stands for the
// organization's name, {app} for the host that the link leads to, {n} for a
// number of two or more. Another language is another entry in spoken; a test
// finds what it leaves out.
type words struct {
	Lang                      string // of the markup, and what browsers ask for
	Create, Reset, Login      action
	Org, Account, App, Asked  string
	JustNow, OneMinute        string
	Minutes                   string
	Unasked, Again, Reference string
	Dead, Used, Unopened      notice // about the link
	Expired, Busy, Host       notice // about the request
	Refused, Failed           notice
	Own                       ownWords
}

// action is what a link does; the button is named by it.
type action struct{ Heading, Text, Button string }

// notice is why nothing was done, and what to do now.
type notice struct{ Heading, Text string }

// does are the words for a link. Links do not renew: codes do.
func (l *words) does(page linkPage) action {
	own := page.view.AppHost == ""
	switch page.view.Purpose {
	case link.Create:
		if own {
			return l.Own.Create
		}
		return l.Create
	case link.Login:
		switch {
		case own && page.begun.Here:
			return l.Own.Here
		case own:
			return l.Own.Elsewhere
		}
		return l.Login
	case link.Reset, link.Renew:
	}
	if own {
		return l.Own.Reset
	}
	return l.Reset
}

// wordsFor picks the language that the browser asks for, or else the first of
// these that we speak, or else English.
func wordsFor(r *http.Request, others ...string) *words {
	_, i := language.MatchStrings(speaks, append(r.Header["Accept-Language"], others...)...)
	return &spoken[i]
}

var speaks = func() language.Matcher {
	var tags []language.Tag
	for _, l := range spoken {
		tags = append(tags, language.MustParse(l.Lang))
	}
	return language.NewMatcher(tags)
}()

// spoken are the languages, the one for everybody else first.
var spoken = []words{
	{
		Lang: "en", Own: ownEnglish,
		Create: action{
			"Set your password", "You are about to set a password for {org}. With the button you go on to {app}, where you type it.", "Set a password",
		},
		Reset: action{
			"Choose a new password", "You are about to choose a new password for {org}. With the button you go on to {app}, where you type it.", "Choose a new password",
		},
		Login: action{"Sign in to {org}", "With the button you sign in to {app} in this browser.", "Sign in"},
		Org:   "Organization", Account: "Account", App: "Goes on to", Asked: "Asked for",
		JustNow: "less than a minute ago", OneMinute: "a minute ago", Minutes: "{n} minutes ago",
		Unasked: "If you did not ask for this, close the page. Nothing happens unless you press the button.",
		Again:   "Try again", Reference: "Reference",
		Dead: notice{
			"This link is no longer valid", "It was used already, was replaced by a newer one, or is too old. Go back to where you asked for it and ask for a new one.",
		},
		Used: notice{
			"This link was already used", "It works once. If you did not get through, go back to where you asked for it and ask for a new one.",
		},
		Unopened: notice{
			"Open the link from your message", "No link was opened in this browser in the last ten minutes. If you have just used it, there is nothing left to do here.",
		},
		Expired: notice{
			"This page is out of date", "You may have opened another link since, or used this one already. Nothing was changed. Open the link from your message again.",
		},
		Busy:    notice{"Please try again in a moment", "The service cannot do this right now. Nothing was changed, and your link is as good as before."},
		Host:    notice{"This is not our address", "Open the link from your message exactly as it is."},
		Refused: notice{"This request could not be understood", "Nothing was changed. Open the link from your message again."},
		Failed:  notice{"Something went wrong on our side", "Try again. If it stays, give the reference below to whoever runs this service."},
	},
	{
		Lang: "de", Own: ownGerman,
		Create: action{
			"Passwort festlegen", "Sie legen gleich ein Passwort für {org} fest. Die Schaltfläche führt zu {app}, wo Sie es eingeben.", "Passwort festlegen",
		},
		Reset: action{
			"Neues Passwort wählen", "Sie wählen gleich ein neues Passwort für {org}. Die Schaltfläche führt zu {app}, wo Sie es eingeben.", "Neues Passwort wählen",
		},
		Login: action{"Bei {org} anmelden", "Mit der Schaltfläche melden Sie sich in diesem Browser bei {app} an.", "Anmelden"},
		Org:   "Organisation", Account: "Konto", App: "Weiter zu", Asked: "Angefordert",
		JustNow: "vor weniger als einer Minute", OneMinute: "vor einer Minute", Minutes: "vor {n} Minuten",
		Unasked: "Wenn Sie das nicht angefordert haben, schließen Sie die Seite. Ohne die Schaltfläche geschieht nichts.",
		Again:   "Noch einmal versuchen", Reference: "Kennung",
		Dead: notice{
			"Dieser Link ist nicht mehr gültig", "Er wurde schon benutzt, durch einen neueren ersetzt oder ist zu alt. Fordern Sie dort, wo Sie ihn angefordert haben, einen neuen an.",
		},
		Used: notice{
			"Dieser Link wurde schon benutzt", "Er gilt nur einmal. Wenn Sie nicht ans Ziel gekommen sind, fordern Sie dort, wo Sie ihn angefordert haben, einen neuen an.",
		},
		Unopened: notice{
			"Öffnen Sie den Link aus Ihrer Nachricht", "In diesem Browser wurde in den letzten zehn Minuten kein Link geöffnet. Wenn Sie ihn gerade benutzt haben, ist hier nichts mehr zu tun.",
		},
		Expired: notice{
			"Diese Seite ist veraltet", "Vielleicht haben Sie seither einen anderen Link geöffnet oder diesen schon benutzt. Es wurde nichts geändert. Öffnen Sie den Link aus Ihrer Nachricht noch einmal.",
		},
		Busy:    notice{"Bitte versuchen Sie es gleich noch einmal", "Der Dienst kann das gerade nicht tun. Es wurde nichts geändert, und Ihr Link gilt weiter."},
		Host:    notice{"Das ist nicht unsere Adresse", "Öffnen Sie den Link aus Ihrer Nachricht genau so, wie er dort steht."},
		Refused: notice{"Diese Anfrage war nicht zu verstehen", "Es wurde nichts geändert. Öffnen Sie den Link aus Ihrer Nachricht noch einmal."},
		Failed:  notice{"Bei uns ist etwas schiefgegangen", "Versuchen Sie es noch einmal. Wenn es so bleibt, nennen Sie dem Betreiber die Kennung unten."},
	},
	{
		Lang: "fr", Own: ownFrench,
		Create: action{
			"Définir votre mot de passe", "Vous allez définir un mot de passe pour {org}. Le bouton vous conduit à {app}, où vous le saisirez.", "Définir un mot de passe",
		},
		Reset: action{
			"Choisir un nouveau mot de passe", "Vous allez choisir un nouveau mot de passe pour {org}. Le bouton vous conduit à {app}, où vous le saisirez.", "Choisir un nouveau mot de passe",
		},
		Login: action{"Se connecter à {org}", "Le bouton vous connecte à {app} dans ce navigateur.", "Se connecter"},
		Org:   "Organisation", Account: "Compte", App: "Mène à", Asked: "Demandé",
		JustNow: "il y a moins d’une minute", OneMinute: "il y a une minute", Minutes: "il y a {n} minutes",
		Unasked: "Si vous n’avez rien demandé, fermez cette page. Rien ne se passe tant que vous n’appuyez pas sur le bouton.",
		Again:   "Réessayer", Reference: "Référence",
		Dead: notice{
			"Ce lien n’est plus valable", "Il a déjà servi, un lien plus récent l’a remplacé, ou il est trop ancien. Demandez-en un nouveau là où vous l’aviez demandé.",
		},
		Used: notice{
			"Ce lien a déjà servi", "Il ne sert qu’une fois. Si vous n’êtes pas arrivé au bout, demandez-en un nouveau là où vous l’aviez demandé.",
		},
		Unopened: notice{
			"Ouvrez le lien de votre message", "Aucun lien n’a été ouvert dans ce navigateur ces dix dernières minutes. Si vous venez de l’utiliser, il n’y a plus rien à faire ici.",
		},
		Expired: notice{
			"Cette page n’est plus à jour", "Vous avez peut-être ouvert un autre lien depuis, ou déjà utilisé celui-ci. Rien n’a été modifié. Ouvrez de nouveau le lien de votre message.",
		},
		Busy:    notice{"Réessayez dans un instant", "Le service ne peut pas le faire pour le moment. Rien n’a été modifié et votre lien reste valable."},
		Host:    notice{"Cette adresse n’est pas la nôtre", "Ouvrez le lien de votre message exactement tel qu’il est."},
		Refused: notice{"Cette demande n’a pas été comprise", "Rien n’a été modifié. Ouvrez de nouveau le lien de votre message."},
		Failed:  notice{"Une erreur s’est produite de notre côté", "Réessayez. Si elle persiste, donnez la référence ci-dessous à l’exploitant du service."},
	},
}
