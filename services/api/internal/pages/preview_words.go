package pages

// previewWords are what the preview says beside the pages that it shows, in one
// language. Another language is another entry; a test finds what it leaves out.
type previewWords struct {
	Lang, Name        string // of the language, in itself
	Title             notice // of the list
	Preview, Note     string // above each page
	All, Before, Next string
	App               string // the name of the app of the samples
	Groups, Pages     map[string]string
}

// previewWordsFor are those of a language of the pages.
func previewWordsFor(lang string) *previewWords {
	for i := range previewSpoken {
		if previewSpoken[i].Lang == lang {
			return &previewSpoken[i]
		}
	}
	return &previewSpoken[0]
}

// previewSpoken are the languages, in the order of signInSpoken.
var previewSpoken = []previewWords{
	{
		Lang: "en", Name: "English",
		Title:   notice{"Preview of the pages", "Every page as people see it, with sample data. Buttons lead from page to page; nothing that is typed is sent."},
		Preview: "Preview", Note: "Sample data, nothing is sent.",
		All: "All pages", Before: "Page before", Next: "Next page", App: "Sample app",
		Groups: map[string]string{"sign-in": "Signing in", "links": "Links from e-mails", "account": "The account page", "others": "Signing out, and errors"},
		Pages: map[string]string{
			"address": "Address first", "password": "Address and password", "password-wrong": "Password is wrong", "password-wait": "Too many tries: wait",
			"password-off": "Password takes no more tries", "password-changed": "Password was set", "link": "Link by e-mail", "link-sent": "Link is on its way",
			"link-elsewhere": "Link was opened in another browser", "forgot": "Password forgotten", "forgot-sent": "Link for another password is on its way",
			"renew": "Password has to be changed", "renew-weak": "New password is too weak", "code": "Code of an app", "code-wrong": "Code is wrong",
			"code-wait": "Too many codes: wait", "code-to-send": "Code by text message", "code-sent": "Code was sent", "code-either": "Code of an app or a phone",
			"recovery": "Recovery code", "recovery-wrong": "Recovery code is wrong", "enrol-app": "Set up an app", "enrol-app-again": "Set up an app after a recovery code",
			"enrol-phone": "Set up a phone", "enrol-phone-wrong": "Number takes no codes", "enrol-sent": "First code of a phone", "codes": "New recovery codes",
			"codes-not-saved": "Recovery codes are not saved", "consent": "App asks for access", "finished": "Signed in already",
			"link-app": "Link to sign in to an app", "link-here": "Link to sign in, in the same browser", "link-other": "Link to sign in, in another browser",
			"link-create": "Link for a first password", "link-reset": "Link for another password", "link-code": "Code for the other browser",
			"new-password": "New password", "new-password-weak": "New password is too weak", "password-set": "Password is set", "link-dead": "Link is not good any more",
			"account": "Sessions, second factors and password", "account-app": "Add an app", "account-phone": "Add a phone", "account-codes": "New recovery codes",
			"account-again": "Change needs a new sign-in", "accounts": "Accounts of a browser", "account-find": "Organization was not found",
			"sign-out": "Sign out?", "sign-out-app": "App asks to sign out", "signed-out": "Signed out", "landing": "No app has led here",
			"error-over": "Sign-in is over", "error-again": "Sign-in is over, and its app is known", "error-app": "App is not known", "error-ours": "Something went wrong",
		},
	},
	{
		Lang: "de", Name: "Deutsch",
		Title:   notice{"Vorschau der Seiten", "Alle Seiten, wie andere sie sehen, mit Beispieldaten. Die Schaltflächen führen von Seite zu Seite; was eingegeben wird, wird nicht gesendet."},
		Preview: "Vorschau", Note: "Beispieldaten, nichts wird gesendet.",
		All: "Alle Seiten", Before: "Seite davor", Next: "Nächste Seite", App: "Beispiel-App",
		Groups: map[string]string{"sign-in": "Anmelden", "links": "Links aus E-Mails", "account": "Die Kontoseite", "others": "Abmelden und Fehler"},
		Pages: map[string]string{
			"address": "Zuerst die Adresse", "password": "Adresse und Passwort", "password-wrong": "Passwort ist falsch", "password-wait": "Zu viele Versuche: warten",
			"password-off": "Passwort nimmt keine Versuche mehr an", "password-changed": "Passwort wurde festgelegt", "link": "Link per E-Mail", "link-sent": "Link ist unterwegs",
			"link-elsewhere": "Link wurde in anderem Browser geöffnet", "forgot": "Passwort vergessen", "forgot-sent": "Link für ein anderes Passwort ist unterwegs",
			"renew": "Passwort muss geändert werden", "renew-weak": "Neues Passwort ist zu schwach", "code": "Code einer App", "code-wrong": "Code ist falsch",
			"code-wait": "Zu viele Codes: warten", "code-to-send": "Code per SMS", "code-sent": "Code wurde gesendet", "code-either": "Code einer App oder eines Telefons",
			"recovery": "Wiederherstellungscode", "recovery-wrong": "Wiederherstellungscode ist falsch", "enrol-app": "App einrichten", "enrol-app-again": "App einrichten nach einem Wiederherstellungscode",
			"enrol-phone": "Telefon einrichten", "enrol-phone-wrong": "Nummer empfängt keine Codes", "enrol-sent": "Erster Code eines Telefons", "codes": "Neue Wiederherstellungscodes",
			"codes-not-saved": "Wiederherstellungscodes sind nicht gesichert", "consent": "App bittet um Zugriff", "finished": "Schon angemeldet",
			"link-app": "Link zum Anmelden bei einer App", "link-here": "Link zum Anmelden, im selben Browser", "link-other": "Link zum Anmelden, in anderem Browser",
			"link-create": "Link für ein erstes Passwort", "link-reset": "Link für ein anderes Passwort", "link-code": "Code für den anderen Browser",
			"new-password": "Neues Passwort", "new-password-weak": "Neues Passwort ist zu schwach", "password-set": "Passwort ist festgelegt", "link-dead": "Link gilt nicht mehr",
			"account": "Sitzungen, zweite Faktoren und Passwort", "account-app": "App hinzufügen", "account-phone": "Telefon hinzufügen", "account-codes": "Neue Wiederherstellungscodes",
			"account-again": "Änderung braucht eine neue Anmeldung", "accounts": "Konten eines Browsers", "account-find": "Organisation wurde nicht gefunden",
			"sign-out": "Abmelden?", "sign-out-app": "App bittet um Abmeldung", "signed-out": "Abgemeldet", "landing": "Keine App hat hergeführt",
			"error-over": "Anmeldung ist vorbei", "error-again": "Anmeldung ist vorbei, ihre App ist bekannt", "error-app": "App ist nicht bekannt", "error-ours": "Etwas ist schiefgegangen",
		},
	},
	{
		Lang: "fr", Name: "Français",
		Title:   notice{"Aperçu des pages", "Toutes les pages telles qu’on les voit, avec des données d’exemple. Les boutons mènent de page en page ; rien de ce qui est saisi n’est envoyé."},
		Preview: "Aperçu", Note: "Données d’exemple, rien n’est envoyé.",
		All: "Toutes les pages", Before: "Page précédente", Next: "Page suivante", App: "Application d’exemple",
		Groups: map[string]string{"sign-in": "Connexion", "links": "Liens des e-mails", "account": "La page du compte", "others": "Déconnexion et erreurs"},
		Pages: map[string]string{
			"address": "L’adresse d’abord", "password": "Adresse et mot de passe", "password-wrong": "Mot de passe incorrect", "password-wait": "Trop d’essais : attendre",
			"password-off": "Le mot de passe n’accepte plus d’essais", "password-changed": "Mot de passe défini", "link": "Lien par e-mail", "link-sent": "Le lien est en route",
			"link-elsewhere": "Lien ouvert dans un autre navigateur", "forgot": "Mot de passe oublié", "forgot-sent": "Le lien pour un autre mot de passe est en route",
			"renew": "Mot de passe à changer", "renew-weak": "Nouveau mot de passe trop faible", "code": "Code d’une application", "code-wrong": "Code incorrect",
			"code-wait": "Trop de codes : attendre", "code-to-send": "Code par SMS", "code-sent": "Code envoyé", "code-either": "Code d’une application ou d’un téléphone",
			"recovery": "Code de secours", "recovery-wrong": "Code de secours incorrect", "enrol-app": "Configurer une application", "enrol-app-again": "Configurer une application après un code de secours",
			"enrol-phone": "Configurer un téléphone", "enrol-phone-wrong": "Le numéro ne reçoit pas de codes", "enrol-sent": "Premier code d’un téléphone", "codes": "Nouveaux codes de secours",
			"codes-not-saved": "Codes de secours non conservés", "consent": "L’application demande un accès", "finished": "Déjà connecté",
			"link-app": "Lien de connexion à une application", "link-here": "Lien de connexion, même navigateur", "link-other": "Lien de connexion, autre navigateur",
			"link-create": "Lien pour un premier mot de passe", "link-reset": "Lien pour un autre mot de passe", "link-code": "Code pour l’autre navigateur",
			"new-password": "Nouveau mot de passe", "new-password-weak": "Nouveau mot de passe trop faible", "password-set": "Mot de passe défini", "link-dead": "Le lien n’est plus valable",
			"account": "Sessions, seconds facteurs et mot de passe", "account-app": "Ajouter une application", "account-phone": "Ajouter un téléphone", "account-codes": "Nouveaux codes de secours",
			"account-again": "La modification demande une nouvelle connexion", "accounts": "Comptes d’un navigateur", "account-find": "Organisation introuvable",
			"sign-out": "Se déconnecter ?", "sign-out-app": "L’application demande la déconnexion", "signed-out": "Déconnexion faite", "landing": "Aucune application n’a mené ici",
			"error-over": "La connexion est terminée", "error-again": "La connexion est terminée, son application est connue", "error-app": "Application inconnue", "error-ours": "Une erreur s’est produite",
		},
	},
}
