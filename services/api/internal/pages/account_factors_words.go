package pages

// ownFactorWords are what the account page says of second factors and of
// signing in to it, in one language. {n} stands for a number of two or more,
// {phone} for a masked number. Another language is another entry; a test finds
// what it leaves out.
type ownFactorWords struct {
	Lang                       string
	Title, Recent              string
	App, Phone, Kind           string
	Added, Used, Never         string
	Stopped, Last              string
	Name, Rename, Remove       string
	Another                    string
	NewName, Number            string
	AddApp, AddPhone           string
	Codes                      string
	Left, LeftOne, LeftNone    string
	Unsaved                    string
	Replaces, MakeCodes        string
	Scan, Sent, NewCodes       notice
	Picture, Key               string
	Code, Confirm, Back        string
	Download, SavedThem, Again string
	Copy, Copied, Print        string
	Places, Find               notice
	Email, Next, NoPlace       string
	Said                       map[string]string
}

// ownFactorWordsFor are those of a language of the page.
func ownFactorWordsFor(lang string) *ownFactorWords {
	for i := range spokenOfFactors {
		if spokenOfFactors[i].Lang == lang {
			return &spokenOfFactors[i]
		}
	}
	return &spokenOfFactors[0]
}

// spokenOfFactors are the languages, in the order of spoken.
var spokenOfFactors = []ownFactorWords{
	{
		Lang: "en", Title: "Second factors", Recent: "Each change needs a sign-in of the last five minutes, with all that you have.",
		App: "Authenticator app", Phone: "Phone", Kind: "Kind", Added: "Added", Used: "Last used", Never: "Not yet",
		Stopped: "It takes no codes any more.", Last: "It cannot be removed: a sign-in here needs a second factor, and no other one takes codes. Add another one first.",
		Name: "Name", Rename: "Rename", Remove: "Remove", Another: "Add another one", NewName: "Name of the new device", Number: "Phone number, with country code (+49 …)",
		AddApp: "Add an authenticator app", AddPhone: "Add a phone",
		Codes: "Recovery codes", Left: "{n} recovery codes are left.", LeftOne: "One recovery code is left.", LeftNone: "No recovery code is left.",
		Unsaved: "Show the new recovery codes, which are not saved yet", Replaces: "You get five new codes. The ones that you have now stop working.", MakeCodes: "Make new recovery codes",
		Scan:     notice{"Add an authenticator app", "Scan this picture with the app, or type the key into it. Then type the code that the app shows."},
		Sent:     notice{"Confirm your phone", "Type the code that was sent to {phone}."},
		NewCodes: notice{"Your new recovery codes", "Each of them stands in for your second factor once. Keep them where you find them without your device: they are not shown again once you have saved them."},
		Picture:  "QR code with the key", Key: "Key", Code: "Code", Confirm: "Confirm", Back: "To your account",
		Copy: "Copy", Copied: "Copied", Print: "Print",
		Download: "Save as a text file", SavedThem: "I have saved them", Again: "Sign in again",
		Places: notice{"Your accounts", "This browser is signed in to these. Another one is found by your e-mail address."},
		Find:   notice{"Your account", "Sign in to see your account: its organization is found by your e-mail address."},
		Email:  "E-mail address", Next: "Continue", NoPlace: "No organization is found by this address. Sign in from your app, and open your account then.",
		Said: map[string]string{"wrong": "This code is wrong.", "malformed": "A code has six or eight digits.", "used": "This code was used already. Wait for the next one."},
	},
	{
		Lang: "de", Title: "Zweite Faktoren", Recent: "Jede Änderung braucht eine Anmeldung aus den letzten fünf Minuten, mit allem, was Sie haben.",
		App: "Authenticator-App", Phone: "Telefon", Kind: "Art", Added: "Hinzugefügt", Used: "Zuletzt benutzt", Never: "Noch nicht",
		Stopped: "Er nimmt keine Codes mehr an.", Last: "Er kann nicht entfernt werden: Eine Anmeldung braucht hier einen zweiten Faktor, und kein anderer nimmt Codes an. Fügen Sie erst einen anderen hinzu.",
		Name: "Name", Rename: "Umbenennen", Remove: "Entfernen", Another: "Noch einen hinzufügen", NewName: "Name des neuen Geräts", Number: "Telefonnummer mit Landesvorwahl (+49 …)",
		AddApp: "Authenticator-App hinzufügen", AddPhone: "Telefon hinzufügen",
		Codes: "Wiederherstellungscodes", Left: "{n} Wiederherstellungscodes sind übrig.", LeftOne: "Ein Wiederherstellungscode ist übrig.", LeftNone: "Kein Wiederherstellungscode ist übrig.",
		Unsaved: "Die neuen Wiederherstellungscodes zeigen, die noch nicht gesichert sind", Replaces: "Sie bekommen fünf neue Codes. Die bisherigen gelten dann nicht mehr.", MakeCodes: "Neue Wiederherstellungscodes erstellen",
		Scan:     notice{"Authenticator-App hinzufügen", "Scannen Sie dieses Bild mit der App, oder geben Sie den Schlüssel in sie ein. Geben Sie dann den Code ein, den die App zeigt."},
		Sent:     notice{"Telefon bestätigen", "Geben Sie den Code ein, der an {phone} gesendet wurde."},
		NewCodes: notice{"Ihre neuen Wiederherstellungscodes", "Jeder von ihnen ersetzt einmal Ihren zweiten Faktor. Bewahren Sie sie so auf, dass Sie sie ohne Ihr Gerät finden: Wenn Sie sie gesichert haben, werden sie nicht noch einmal gezeigt."},
		Picture:  "QR-Code mit dem Schlüssel", Key: "Schlüssel", Code: "Code", Confirm: "Bestätigen", Back: "Zu Ihrem Konto",
		Copy: "Kopieren", Copied: "Kopiert", Print: "Drucken",
		Download: "Als Textdatei sichern", SavedThem: "Ich habe sie gesichert", Again: "Noch einmal anmelden",
		Places: notice{"Ihre Konten", "Bei diesen ist dieser Browser angemeldet. Ein anderes finden Sie über Ihre E-Mail-Adresse."},
		Find:   notice{"Ihr Konto", "Melden Sie sich an, um Ihr Konto zu sehen: Ihre Organisation wird über Ihre E-Mail-Adresse gefunden."},
		Email:  "E-Mail-Adresse", Next: "Weiter", NoPlace: "Zu dieser Adresse gibt es hier keine Organisation. Melden Sie sich über Ihre App an und öffnen Sie dann Ihr Konto.",
		Said: map[string]string{"wrong": "Dieser Code ist falsch.", "malformed": "Ein Code hat sechs oder acht Ziffern.", "used": "Dieser Code wurde schon benutzt. Warten Sie auf den nächsten."},
	},
	{
		Lang: "fr", Title: "Seconds facteurs", Recent: "Chaque modification demande une connexion de moins de cinq minutes, avec tout ce que vous avez.",
		App: "Application d’authentification", Phone: "Téléphone", Kind: "Type", Added: "Ajouté", Used: "Dernière utilisation", Never: "Pas encore",
		Stopped: "Il n’accepte plus de codes.", Last: "Il ne peut pas être supprimé : une connexion demande ici un second facteur, et aucun autre n’accepte de codes. Ajoutez-en d’abord un autre.",
		Name: "Nom", Rename: "Renommer", Remove: "Supprimer", Another: "En ajouter un autre", NewName: "Nom du nouvel appareil", Number: "Numéro de téléphone, avec l’indicatif du pays (+33 …)",
		AddApp: "Ajouter une application d’authentification", AddPhone: "Ajouter un téléphone",
		Codes: "Codes de secours", Left: "Il reste {n} codes de secours.", LeftOne: "Il reste un code de secours.", LeftNone: "Il ne reste aucun code de secours.",
		Unsaved: "Afficher les nouveaux codes de secours, qui ne sont pas encore enregistrés", Replaces: "Vous recevez cinq nouveaux codes. Ceux que vous avez ne fonctionneront plus.", MakeCodes: "Créer de nouveaux codes de secours",
		Scan:     notice{"Ajouter une application d’authentification", "Scannez cette image avec l’application, ou saisissez-y la clé. Saisissez ensuite le code que montre l’application."},
		Sent:     notice{"Confirmer votre téléphone", "Saisissez le code qui a été envoyé au {phone}."},
		NewCodes: notice{"Vos nouveaux codes de secours", "Chacun remplace une fois votre second facteur. Conservez-les là où vous les trouverez sans votre appareil : une fois enregistrés, ils ne sont plus affichés."},
		Picture:  "Code QR contenant la clé", Key: "Clé", Code: "Code", Confirm: "Confirmer", Back: "Vers votre compte",
		Copy: "Copier", Copied: "Copié", Print: "Imprimer",
		Download: "Enregistrer dans un fichier texte", SavedThem: "Je les ai enregistrés", Again: "Se reconnecter",
		Places: notice{"Vos comptes", "Ce navigateur est connecté à ceux-ci. Un autre se trouve par votre adresse e-mail."},
		Find:   notice{"Votre compte", "Connectez-vous pour voir votre compte : votre organisation se trouve par votre adresse e-mail."},
		Email:  "Adresse e-mail", Next: "Continuer", NoPlace: "Aucune organisation ne correspond à cette adresse. Connectez-vous depuis votre application, puis ouvrez votre compte.",
		Said: map[string]string{"wrong": "Ce code est erroné.", "malformed": "Un code a six ou huit chiffres.", "used": "Ce code a déjà servi. Attendez le suivant."},
	},
}
