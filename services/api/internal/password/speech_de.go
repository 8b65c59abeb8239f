package password

import "countersign.dev/pkg/zxcvbn"

var german = speech{
	lang: "de",
	refusals: map[string]string{
		"password_too_short":        "Verwenden Sie mindestens {n} Zeichen. Leerzeichen und alle anderen Zeichen zählen mit.",
		"password_too_long":         "Verwenden Sie höchstens {n} Zeichen.",
		"password_blocklisted":      "Dieses Passwort gehört zu den ersten, die ein Angreifer ausprobiert.",
		"password_contains_context": "Das ist kaum mehr als Ihr Name, Ihre Adresse oder der Name der Organisation. Damit beginnt ein Angreifer.",
		"password_too_weak":         "Dieses Passwort ist leicht zu erraten.",
		"password_breached":         "Dieses Passwort wurde bei einem anderen Dienst gestohlen und steht in Listen, die Angreifer durchprobieren. Wählen Sie ein anderes, und ändern Sie es überall, wo Sie es sonst verwenden.",
		"password_unchanged":        "Dieses Passwort haben Sie schon. Wählen Sie ein anderes.",
		"password_reused":           "Dieses Passwort hatten Sie schon einmal. Wählen Sie ein anderes.",
	},
	advice: map[zxcvbn.Advice]string{
		zxcvbn.Top10Password:        "Das ist eines der zehn häufigsten Passwörter.",
		zxcvbn.Top100Password:       "Das ist eines der hundert häufigsten Passwörter.",
		zxcvbn.CommonPassword:       "Dieses Passwort verwenden viele.",
		zxcvbn.LikeCommonPassword:   "Das ist einem Passwort sehr ähnlich, das viele verwenden.",
		zxcvbn.SingleWord:           "Ein einzelnes Wort ist leicht zu erraten.",
		zxcvbn.SingleName:           "Ein Vor- oder Nachname allein ist leicht zu erraten.",
		zxcvbn.CommonName:           "Vor- und Nachnamen sind leicht zu erraten.",
		zxcvbn.ContextWord:          "Ein Angreifer kennt Ihren Namen, Ihre Adresse und den Namen der Organisation und beginnt damit.",
		zxcvbn.StraightRowsOfKeys:   "Tasten in einer Reihe sind leicht zu erraten.",
		zxcvbn.ShortKeyboardPattern: "Kurze Muster auf der Tastatur sind leicht zu erraten.",
		zxcvbn.RepeatedCharacter:    "Wiederholungen wie „aaa“ sind leicht zu erraten.",
		zxcvbn.RepeatedPattern:      "Wiederholungen wie „abcabcabc“ sind kaum schwerer zu erraten als „abc“.",
		zxcvbn.Sequence:             "Folgen wie „abc“ oder „6543“ sind leicht zu erraten.",
		zxcvbn.RecentYear:           "Jahreszahlen der letzten Zeit sind leicht zu erraten.",
		zxcvbn.Date:                 "Ein Datum ist oft leicht zu erraten.",

		zxcvbn.UseAFewWords:            "Nehmen Sie ein paar Wörter, die nicht zusammengehören.",
		zxcvbn.NoNeedForSymbols:        "Sonderzeichen, Ziffern oder Großbuchstaben braucht es nicht.",
		zxcvbn.AddAnotherWord:          "Fügen Sie ein oder zwei Wörter hinzu. Seltene Wörter sind besser.",
		zxcvbn.UseLongerPattern:        "Nehmen Sie ein längeres Muster auf der Tastatur, mit mehr Wendungen.",
		zxcvbn.AvoidRepeats:            "Vermeiden Sie Wörter und Zeichen, die sich wiederholen.",
		zxcvbn.AvoidSequences:          "Vermeiden Sie Folgen.",
		zxcvbn.AvoidRecentYears:        "Vermeiden Sie Jahreszahlen der letzten Zeit.",
		zxcvbn.AvoidYourYears:          "Vermeiden Sie Jahreszahlen, die mit Ihnen zu tun haben.",
		zxcvbn.AvoidYourDates:          "Vermeiden Sie Daten und Jahreszahlen, die mit Ihnen zu tun haben.",
		zxcvbn.CapitalsHelpLittle:      "Ein großer Anfangsbuchstabe hilft wenig.",
		zxcvbn.AllCapitalsHelpLittle:   "Nur Großbuchstaben sind fast so leicht zu erraten wie nur Kleinbuchstaben.",
		zxcvbn.ReversalHelpsLittle:     "Rückwärts geschriebene Wörter sind kaum schwerer zu erraten.",
		zxcvbn.SubstitutionsHelpLittle: "Buchstaben auf die übliche Weise zu ersetzen, etwa „a“ durch „@“, hilft wenig.",
	},
}
