package pages

// ownWords are what the pages of links say where no app comes between: the link
// was asked for on our own sign-in page. {org} stands for the organization's
// name, {app} for the app's.
type ownWords struct {
	Create, Reset   action // a password, on the page after this one
	Here, Elsewhere action // a sign-in of this browser, and of another one
	Choose          action // the page for a new password
	Set, Shown      notice // after it; above a code to type elsewhere
	Over            notice // the sign-in of a link
	SignsInTo       string
	Network, Device string // where a link was asked for
	NewPassword     string
}

var ownEnglish = ownWords{
	Create: action{"Set your password", "With the button you go on to a page where you set a password for {org}.", "Set a password"},
	Reset:  action{"Choose a new password", "With the button you go on to a page where you choose a new password for {org}.", "Choose a new password"},
	Here:   action{"Sign in to {org}", "With the button you sign in to {app} in this browser.", "Sign in"},
	Elsewhere: action{
		"Did you begin to sign in?", "Somebody began to sign in to {app} in another browser or on another device. If that was you, the button shows a code to type there. This browser is not signed in. Give the code to nobody.", "Show the code",
	},
	Choose:    action{"Choose your new password", "It replaces the one that you have with {org}, and ends what you are signed in to.", "Set the password"},
	Set:       notice{"Your password is set", "Go back to your app and sign in with it."},
	Shown:     notice{"Type this code in the other browser", "It is good for five minutes, in the browser where you began to sign in. Nobody else needs it: do not pass it on."},
	Over:      notice{"This sign-in is over", "It was finished, or took too long. Go back to your app and sign in again."},
	SignsInTo: "Signs in to", Network: "Asked from the network", Device: "Asked with", NewPassword: "New password",
}

var ownGerman = ownWords{
	Create: action{"Passwort festlegen", "Die Schaltfläche führt zu einer Seite, auf der Sie ein Passwort für {org} festlegen.", "Passwort festlegen"},
	Reset:  action{"Neues Passwort wählen", "Die Schaltfläche führt zu einer Seite, auf der Sie ein neues Passwort für {org} wählen.", "Neues Passwort wählen"},
	Here:   action{"Bei {org} anmelden", "Mit der Schaltfläche melden Sie sich in diesem Browser bei {app} an.", "Anmelden"},
	Elsewhere: action{
		"Haben Sie eine Anmeldung begonnen?", "In einem anderen Browser oder auf einem anderen Gerät wurde eine Anmeldung bei {app} begonnen. Wenn Sie das waren, zeigt die Schaltfläche einen Code, den Sie dort eingeben. Dieser Browser wird nicht angemeldet. Geben Sie den Code niemandem.", "Code zeigen",
	},
	Choose:    action{"Wählen Sie Ihr neues Passwort", "Es ersetzt Ihr bisheriges bei {org} und beendet alle Anmeldungen.", "Passwort festlegen"},
	Set:       notice{"Ihr Passwort ist festgelegt", "Gehen Sie zurück zu Ihrer App und melden Sie sich damit an."},
	Shown:     notice{"Geben Sie diesen Code im anderen Browser ein", "Er gilt fünf Minuten, in dem Browser, in dem Sie die Anmeldung begonnen haben. Niemand sonst braucht ihn: Geben Sie ihn nicht weiter."},
	Over:      notice{"Diese Anmeldung ist vorbei", "Sie wurde abgeschlossen oder hat zu lange gedauert. Gehen Sie zurück zu Ihrer App und melden Sie sich neu an."},
	SignsInTo: "Anmeldung bei", Network: "Angefordert aus dem Netz", Device: "Angefordert mit", NewPassword: "Neues Passwort",
}

var ownFrench = ownWords{
	Create: action{"Définir votre mot de passe", "Le bouton vous conduit à une page où vous définissez un mot de passe pour {org}.", "Définir un mot de passe"},
	Reset:  action{"Choisir un nouveau mot de passe", "Le bouton vous conduit à une page où vous choisissez un nouveau mot de passe pour {org}.", "Choisir un nouveau mot de passe"},
	Here:   action{"Se connecter à {org}", "Le bouton vous connecte à {app} dans ce navigateur.", "Se connecter"},
	Elsewhere: action{
		"Avez-vous commencé à vous connecter ?", "Une connexion à {app} a été commencée dans un autre navigateur ou sur un autre appareil. Si c’était vous, le bouton affiche un code à saisir là-bas. Ce navigateur n’est pas connecté. Ne donnez le code à personne.", "Afficher le code",
	},
	Choose:    action{"Choisissez votre nouveau mot de passe", "Il remplace celui que vous avez chez {org} et met fin à vos connexions.", "Définir le mot de passe"},
	Set:       notice{"Votre mot de passe est défini", "Retournez dans votre application et connectez-vous avec lui."},
	Shown:     notice{"Saisissez ce code dans l’autre navigateur", "Il est valable cinq minutes, dans le navigateur où vous avez commencé à vous connecter. Personne d’autre n’en a besoin : ne le transmettez pas."},
	Over:      notice{"Cette connexion est terminée", "Elle a abouti ou a pris trop de temps. Retournez dans votre application et reconnectez-vous."},
	SignsInTo: "Connexion à", Network: "Demandé depuis le réseau", Device: "Demandé avec", NewPassword: "Nouveau mot de passe",
}
