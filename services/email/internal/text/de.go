package text

import "countersign.dev/pkg/event"

var german = speech{
	tag:      "de",
	units:    units{minute: [2]string{"Minute", "Minuten"}, hour: [2]string{"Stunde", "Stunden"}, day: [2]string{"Tag", "Tage"}},
	copyLink: "Falls die Schaltfläche nicht funktioniert, kopieren Sie diese Adresse in Ihren Browser:",
	when:     "Wann:",
	what:     "Was:",
	details: map[string]string{
		"totp": "Authenticator-App", "sms": "SMS", "email": "E-Mail", "recovery": "Wiederherstellungscodes",
	},
	footer: "Diese Nachricht wurde automatisch von {host} gesendet. Antworten werden nicht gelesen.",
	templates: map[string]words{
		event.TemplateCode: {
			subject: "Ihr Sicherheitscode für {brand}",
			title:   "Ihr Sicherheitscode",
			before:  "Geben Sie diesen Code auf {host} ein:",
			life:    "Gültigkeit: {life}. Geben Sie ihn an niemanden weiter und nirgendwo sonst ein.",
			noLife:  "Geben Sie ihn an niemanden weiter und nirgendwo sonst ein.",
			after:   "Falls Sie sich nicht anmelden wollten, ignorieren Sie diese Nachricht.",
		},
		event.TemplatePasswordCreate: {
			subject: "Wählen Sie Ihr Passwort für {brand}",
			title:   "Wählen Sie Ihr Passwort",
			before:  "Sie können jetzt das Passwort für Ihr Konto bei {brand} wählen:",
			button:  "Passwort wählen",
			life:    "Der Link funktioniert einmal. Gültigkeit: {life}. Leiten Sie ihn nicht weiter.",
			noLife:  "Der Link funktioniert einmal. Leiten Sie ihn nicht weiter.",
			after:   "Falls Sie kein Konto wollten, ignorieren Sie diese Nachricht.",
		},
		event.TemplatePasswordReset: {
			subject: "Setzen Sie Ihr Passwort für {brand} zurück",
			title:   "Passwort zurücksetzen",
			before:  "Jemand möchte das Passwort Ihres Kontos bei {brand} zurücksetzen. Falls Sie es waren, wählen Sie ein neues:",
			button:  "Neues Passwort wählen",
			life:    "Der Link funktioniert einmal. Gültigkeit: {life}. Leiten Sie ihn nicht weiter.",
			noLife:  "Der Link funktioniert einmal. Leiten Sie ihn nicht weiter.",
			after:   "Falls Sie es nicht waren, ignorieren Sie diese Nachricht: Ihr Passwort bleibt, wie es ist.",
		},
		event.TemplateMagicLink: {
			subject: "Ihr Anmeldelink für {brand}",
			title:   "Anmelden",
			before:  "Mit diesem Link melden Sie sich bei Ihrem Konto bei {brand} an:",
			button:  "Anmelden",
			life:    "Der Link funktioniert einmal. Gültigkeit: {life}. Leiten Sie ihn nicht weiter: Wer ihn hat, kann sich als Sie anmelden.",
			noLife:  "Der Link funktioniert einmal. Leiten Sie ihn nicht weiter: Wer ihn hat, kann sich als Sie anmelden.",
			after:   "Falls Sie ihn nicht angefordert haben, ignorieren Sie diese Nachricht.",
		},
		event.TemplateNoticePasswordChanged: {
			subject: "Ihr Passwort für {brand} wurde geändert",
			title:   "Ihr Passwort wurde geändert",
			before:  "Das Passwort Ihres Kontos bei {brand} wurde geändert.",
			after:   "Falls Sie es waren, ist nichts zu tun. Falls nicht, setzen Sie Ihr Passwort auf {host} sofort zurück und verständigen Sie Ihre Administration.",
		},
		event.TemplateNoticeFactorChanged: {
			subject: "Der zweite Faktor Ihres Kontos bei {brand} wurde geändert",
			title:   "Ihr zweiter Faktor wurde geändert",
			before:  "Ein zweiter Faktor Ihres Kontos bei {brand} wurde hinzugefügt, ersetzt oder entfernt.",
			after:   "Falls Sie es waren, ist nichts zu tun. Falls nicht, setzen Sie Ihr Passwort auf {host} sofort zurück und verständigen Sie Ihre Administration.",
		},
		event.TemplateNoticeRecoveryCodeUsed: {
			subject: "Ein Wiederherstellungscode Ihres Kontos bei {brand} wurde benutzt",
			title:   "Ein Wiederherstellungscode wurde benutzt",
			before:  "Jemand hat statt des zweiten Faktors einen Wiederherstellungscode Ihres Kontos bei {brand} benutzt.",
			after:   "Falls Sie es waren, richten Sie Ihren zweiten Faktor bei der nächsten Anmeldung neu ein. Falls nicht, setzen Sie Ihr Passwort auf {host} sofort zurück und verständigen Sie Ihre Administration.",
		},
		event.TemplateNoticeEmailChanged: {
			subject: "Die Adresse Ihres Kontos bei {brand} wurde geändert",
			title:   "Ihre Adresse wurde geändert",
			before:  "Die E-Mail-Adresse Ihres Kontos bei {brand} wurde geändert. Nachrichten gehen von nun an an die neue Adresse.",
			after:   "Wissen Sie davon, ist nichts zu tun. Wenn nicht, sagen Sie es sofort Ihrer Administration.",
		},
		event.TemplateNoticePasswordDisabled: {
			subject: "Ihr Passwort bei {brand} wurde abgeschaltet",
			title:   "Ihr Passwort wurde abgeschaltet",
			before:  "Für Ihr Konto bei {brand} wurde hundertmal hintereinander ein falsches Passwort eingegeben. Es gilt nicht mehr, auch das richtige nicht.",
			after:   "Fordern Sie auf {host} einen Link an, um ein neues Passwort zu wählen.",
		},
		event.TemplateNoticePasswordExpiring: {
			subject: "Ihr Passwort für {brand} läuft bald ab",
			title:   "Ihr Passwort läuft bald ab",
			before:  "Das Passwort Ihres Kontos bei {brand} läuft zur unten genannten Zeit ab.",
			life:    "Es gilt noch {life}. Wählen Sie vorher auf {host} ein neues.",
			noLife:  "Wählen Sie vorher auf {host} ein neues.",
			after:   "Mit einem neuen Passwort ist sonst nichts zu tun.",
		},
		event.TemplateNoticePasswordCompromised: {
			subject: "Ihr Passwort bei {brand} muss geändert werden",
			title:   "Ihr Passwort muss geändert werden",
			before:  "Das Passwort Ihres Kontos bei {brand} steht in einer Liste von Passwörtern, die irgendwo gestohlen wurden. Wer solche Listen durchprobiert, kommt damit hinein; deshalb öffnet es von nun an nichts mehr als die Wahl eines neuen.",
			after:   "Wählen Sie bei der nächsten Anmeldung auf {host} ein neues Passwort, oder fordern Sie dort einen Link an. Falls Sie das alte noch anderswo verwenden, ändern Sie es auch dort.",
		},
		event.TemplateNoticeFactorsDisabled: {
			subject: "Die zweiten Faktoren Ihres Kontos bei {brand} wurden abgeschaltet",
			title:   "Ihre zweiten Faktoren wurden abgeschaltet",
			before:  "Für Ihr Konto bei {brand} wurde hundertmal hintereinander ein falscher Code eingegeben. Die zweiten Faktoren gelten nicht mehr, auch der richtige Code nicht.",
			after:   "Ein Wiederherstellungscode gilt weiterhin. Falls Sie keinen haben, bitten Sie Ihre Administration, Ihren zweiten Faktor neu einzurichten.",
		},
		event.TemplateNoticeFactorsReset: {
			subject: "Der zweite Faktor Ihres Kontos bei {brand} wurde zurückgesetzt",
			title:   "Ihr zweiter Faktor wurde zurückgesetzt",
			before:  "Die Administration hat den zweiten Faktor Ihres Kontos bei {brand} zurückgesetzt. Er wurde mitsamt seinen Wiederherstellungscodes ersetzt oder entfernt, und andere Sitzungen wurden beendet.",
			after:   "Falls Sie das nicht erwartet haben, sagen Sie es sofort Ihrer Administration.",
		},
		event.TemplateNoticeSecondFactorFailing: {
			subject: "Fehlgeschlagene Anmeldungen bei Ihrem Konto bei {brand}",
			title:   "Fehlgeschlagene Anmeldungen",
			before:  "Jemand hat das richtige Passwort Ihres Kontos bei {brand} eingegeben und ist mehrmals am zweiten Faktor gescheitert.",
			after:   "Falls Sie es waren, ist nichts zu tun. Falls nicht, kennt jemand Ihr Passwort: Setzen Sie es auf {host} sofort zurück.",
		},
	},
}
