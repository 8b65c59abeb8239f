package pages

import "countersign.dev/services/api/internal/session"

// faultsSpoken are the languages, the one for everybody else first. A test
// finds what one of them leaves out.
var faultsSpoken = []faultWords{
	{
		Lang: "en", Reference: "Reference",
		Codes: map[string]notice{
			"page_expired":           {"This page is out of date", "Nothing was changed. Go back and open the page again."},
			"cross_site":             {"This came from another site", "Nothing was changed. Open the page here and send it from here."},
			session.ErrNone.Code:     {"You are not signed in here", "You have signed out, or did nothing here for too long. Sign in again from your app."},
			session.ErrReauth.Code:   {"Please sign in again", "This change needs a sign-in of the last five minutes, with all that you have. Sign in again from your app."},
			"sign_in_over":           {"This sign-in is over", "It was finished, took too long, or began in another browser. Go back to the app and sign in from there."},
			"sign_in_other_user":     {"The app asks for somebody else", "You have signed in as another user than the one whom the app asks for. Go back to the app and sign in as that user."},
			"sign_in_tries":          {"Too many wrong tries", "Go back to the app and begin again. If you have forgotten your password, ask the app for a link to set another one."},
			"sign_in_method":         {"You cannot sign in to this app", "The app allows no way of signing in that you have set up. Ask whoever runs the app."},
			"app_not_valid":          {"This app is not known here", "The link that brought you here names no app that is active. Nothing was sent to anybody. Tell whoever runs the app."},
			"redirect_uri_not_valid": {"The app's address is not registered", "The link that brought you here leads back to an address that the app has not registered. Nothing was sent there. Tell whoever runs the app."},
		},
		Busy:    notice{"Please try again in a moment", "The service cannot do this right now. Nothing was changed."},
		Host:    notice{"This is not our address", "Open the address that you were given exactly as it is."},
		Refused: notice{"This request could not be understood", "Nothing was changed. Go back to the app and begin again."},
		Failed:  notice{"Something went wrong on our side", "Try again. If it stays, give the reference below to whoever runs this service."},
	},
	{
		Lang: "de", Reference: "Kennung",
		Codes: map[string]notice{
			"page_expired":           {"Diese Seite ist veraltet", "Es wurde nichts geändert. Gehen Sie zurück und öffnen Sie die Seite noch einmal."},
			"cross_site":             {"Das kam von einer anderen Website", "Es wurde nichts geändert. Öffnen Sie die Seite hier und senden Sie sie von hier ab."},
			session.ErrNone.Code:     {"Sie sind hier nicht angemeldet", "Sie haben sich abgemeldet oder hier zu lange nichts getan. Melden Sie sich über Ihre App neu an."},
			session.ErrReauth.Code:   {"Bitte melden Sie sich noch einmal an", "Diese Änderung braucht eine Anmeldung aus den letzten fünf Minuten, mit allem, was Sie haben. Melden Sie sich über Ihre App neu an."},
			"sign_in_over":           {"Diese Anmeldung ist vorbei", "Sie wurde abgeschlossen, hat zu lange gedauert oder begann in einem anderen Browser. Gehen Sie zurück zur App und melden Sie sich von dort an."},
			"sign_in_other_user":     {"Die App fragt nach jemand anderem", "Sie haben sich als jemand anderes angemeldet, als die App verlangt. Gehen Sie zurück zur App und melden Sie sich mit dem verlangten Konto an."},
			"sign_in_tries":          {"Zu viele falsche Versuche", "Gehen Sie zurück zur App und beginnen Sie neu. Wenn Sie Ihr Passwort vergessen haben, fordern Sie in der App einen Link an, mit dem Sie ein neues festlegen."},
			"sign_in_method":         {"Sie können sich bei dieser App nicht anmelden", "Die App erlaubt keine Art der Anmeldung, die Sie eingerichtet haben. Fragen Sie den Betreiber der App."},
			"app_not_valid":          {"Diese App ist hier nicht bekannt", "Der Link, der Sie hergeführt hat, nennt keine aktive App. Es wurde niemandem etwas gesendet. Sagen Sie es dem Betreiber der App."},
			"redirect_uri_not_valid": {"Die Adresse der App ist nicht registriert", "Der Link, der Sie hergeführt hat, führt zu einer Adresse zurück, die die App nicht registriert hat. Es wurde nichts dorthin gesendet. Sagen Sie es dem Betreiber der App."},
		},
		Busy:    notice{"Bitte versuchen Sie es gleich noch einmal", "Der Dienst kann das gerade nicht tun. Es wurde nichts geändert."},
		Host:    notice{"Das ist nicht unsere Adresse", "Öffnen Sie die Adresse, die Sie bekommen haben, genau so, wie sie ist."},
		Refused: notice{"Diese Anfrage war nicht zu verstehen", "Es wurde nichts geändert. Gehen Sie zurück zur App und beginnen Sie neu."},
		Failed:  notice{"Bei uns ist etwas schiefgegangen", "Versuchen Sie es noch einmal. Wenn es so bleibt, nennen Sie dem Betreiber die Kennung unten."},
	},
	{
		Lang: "fr", Reference: "Référence",
		Codes: map[string]notice{
			"page_expired":           {"Cette page n’est plus à jour", "Rien n’a été modifié. Revenez en arrière et ouvrez de nouveau la page."},
			"cross_site":             {"Cela vient d’un autre site", "Rien n’a été modifié. Ouvrez la page ici et envoyez-la d’ici."},
			session.ErrNone.Code:     {"Vous n’êtes pas connecté ici", "Vous vous êtes déconnecté, ou n’avez rien fait ici depuis trop longtemps. Reconnectez-vous depuis votre application."},
			session.ErrReauth.Code:   {"Reconnectez-vous", "Cette modification demande une connexion de moins de cinq minutes, avec tout ce que vous avez. Reconnectez-vous depuis votre application."},
			"sign_in_over":           {"Cette connexion est terminée", "Elle a abouti, a duré trop longtemps ou a commencé dans un autre navigateur. Revenez à l’application et connectez-vous depuis celle-ci."},
			"sign_in_other_user":     {"L’application attend quelqu’un d’autre", "Vous vous êtes connecté sous un autre compte que celui que l’application demande. Revenez à l’application et connectez-vous avec ce compte."},
			"sign_in_tries":          {"Trop d’essais erronés", "Revenez à l’application et recommencez. Si vous avez oublié votre mot de passe, demandez à l’application un lien pour en choisir un autre."},
			"sign_in_method":         {"Vous ne pouvez pas vous connecter à cette application", "L’application n’autorise aucun des moyens de connexion que vous avez. Adressez-vous à son exploitant."},
			"app_not_valid":          {"Cette application n’est pas connue ici", "Le lien qui vous a amené ici ne désigne aucune application active. Rien n’a été envoyé à personne. Prévenez l’exploitant de l’application."},
			"redirect_uri_not_valid": {"L’adresse de l’application n’est pas enregistrée", "Le lien qui vous a amené ici ramène à une adresse que l’application n’a pas enregistrée. Rien n’y a été envoyé. Prévenez l’exploitant de l’application."},
		},
		Busy:    notice{"Réessayez dans un instant", "Le service ne peut pas le faire pour le moment. Rien n’a été modifié."},
		Host:    notice{"Cette adresse n’est pas la nôtre", "Ouvrez l’adresse que vous avez reçue exactement telle qu’elle est."},
		Refused: notice{"Cette demande n’a pas été comprise", "Rien n’a été modifié. Revenez à l’application et recommencez."},
		Failed:  notice{"Une erreur s’est produite de notre côté", "Réessayez. Si elle persiste, donnez la référence ci-dessous à l’exploitant du service."},
	},
}
