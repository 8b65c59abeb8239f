package password

import "countersign.dev/pkg/zxcvbn"

var french = speech{
	lang: "fr",
	refusals: map[string]string{
		"password_too_short":        "Utilisez au moins {n} caractères. Les espaces et tous les autres signes comptent.",
		"password_too_long":         "Utilisez au plus {n} caractères.",
		"password_blocklisted":      "Ce mot de passe est l’un des premiers qu’un attaquant essaie.",
		"password_contains_context": "Ce n’est guère plus que votre nom, votre adresse ou le nom de l’organisation. Un attaquant commence par là.",
		"password_too_weak":         "Ce mot de passe est facile à deviner.",
		"password_breached":         "Ce mot de passe a été volé à un autre service et figure dans des listes que les attaquants essaient. Choisissez-en un autre, et changez-le partout où vous l’utilisez.",
		"password_unchanged":        "C’est le mot de passe que vous avez déjà. Choisissez-en un autre.",
		"password_reused":           "C’est l’un de vos anciens mots de passe. Choisissez-en un autre.",
	},
	advice: map[zxcvbn.Advice]string{
		zxcvbn.Top10Password:        "C’est l’un des dix mots de passe les plus utilisés.",
		zxcvbn.Top100Password:       "C’est l’un des cent mots de passe les plus utilisés.",
		zxcvbn.CommonPassword:       "Beaucoup de gens utilisent ce mot de passe.",
		zxcvbn.LikeCommonPassword:   "Il est très proche d’un mot de passe que beaucoup de gens utilisent.",
		zxcvbn.SingleWord:           "Un mot seul est facile à deviner.",
		zxcvbn.SingleName:           "Un prénom ou un nom seul est facile à deviner.",
		zxcvbn.CommonName:           "Les prénoms et les noms sont faciles à deviner.",
		zxcvbn.ContextWord:          "Un attaquant connaît votre nom, votre adresse et le nom de l’organisation, et commence par là.",
		zxcvbn.StraightRowsOfKeys:   "Des touches qui se suivent sont faciles à deviner.",
		zxcvbn.ShortKeyboardPattern: "Les motifs courts sur le clavier sont faciles à deviner.",
		zxcvbn.RepeatedCharacter:    "Les répétitions comme « aaa » sont faciles à deviner.",
		zxcvbn.RepeatedPattern:      "Les répétitions comme « abcabcabc » sont à peine plus difficiles à deviner que « abc ».",
		zxcvbn.Sequence:             "Les suites comme « abc » ou « 6543 » sont faciles à deviner.",
		zxcvbn.RecentYear:           "Les années récentes sont faciles à deviner.",
		zxcvbn.Date:                 "Les dates sont souvent faciles à deviner.",

		zxcvbn.UseAFewWords:            "Utilisez quelques mots qui ne vont pas ensemble.",
		zxcvbn.NoNeedForSymbols:        "Les signes spéciaux, les chiffres et les majuscules ne sont pas nécessaires.",
		zxcvbn.AddAnotherWord:          "Ajoutez un mot ou deux, de préférence peu courants.",
		zxcvbn.UseLongerPattern:        "Utilisez un motif plus long sur le clavier, avec plus de détours.",
		zxcvbn.AvoidRepeats:            "Évitez les mots et les signes qui se répètent.",
		zxcvbn.AvoidSequences:          "Évitez les suites.",
		zxcvbn.AvoidRecentYears:        "Évitez les années récentes.",
		zxcvbn.AvoidYourYears:          "Évitez les années qui ont un rapport avec vous.",
		zxcvbn.AvoidYourDates:          "Évitez les dates et les années qui ont un rapport avec vous.",
		zxcvbn.CapitalsHelpLittle:      "Une majuscule au début n’aide guère.",
		zxcvbn.AllCapitalsHelpLittle:   "Tout en majuscules est presque aussi facile à deviner que tout en minuscules.",
		zxcvbn.ReversalHelpsLittle:     "Les mots écrits à l’envers ne sont guère plus difficiles à deviner.",
		zxcvbn.SubstitutionsHelpLittle: "Remplacer des lettres de la façon habituelle, comme « a » par « @ », n’aide guère.",
	},
}
