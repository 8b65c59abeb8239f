package password

import "countersign.dev/pkg/zxcvbn"

var english = speech{
	lang: "en",
	refusals: map[string]string{
		"password_too_short":        "Use at least {n} characters. Spaces and all other signs count.",
		"password_too_long":         "Use at most {n} characters.",
		"password_blocklisted":      "This password is one of the first that an attacker tries.",
		"password_contains_context": "This is little more than your name, your address or the name of the organization. An attacker tries those first.",
		"password_too_weak":         "This password is easy to guess.",
		"password_breached":         "This password was stolen from another service and stands in lists that attackers try. Choose another one, and change it wherever else you use it.",
		"password_unchanged":        "This is the password that you have already. Choose another one.",
		"password_reused":           "This was one of your passwords before. Choose another one.",
	},
	advice: map[zxcvbn.Advice]string{
		zxcvbn.Top10Password:        "This is one of the ten most used passwords.",
		zxcvbn.Top100Password:       "This is one of the hundred most used passwords.",
		zxcvbn.CommonPassword:       "This is a password that many people use.",
		zxcvbn.LikeCommonPassword:   "This is close to a password that many people use.",
		zxcvbn.SingleWord:           "A single word is easy to guess.",
		zxcvbn.SingleName:           "A first or last name alone is easy to guess.",
		zxcvbn.CommonName:           "First and last names are easy to guess.",
		zxcvbn.ContextWord:          "An attacker knows your name, your address and the name of the organization, and tries those first.",
		zxcvbn.StraightRowsOfKeys:   "Keys in a row are easy to guess.",
		zxcvbn.ShortKeyboardPattern: "Short patterns on the keyboard are easy to guess.",
		zxcvbn.RepeatedCharacter:    "Repeats such as “aaa” are easy to guess.",
		zxcvbn.RepeatedPattern:      "Repeats such as “abcabcabc” are only slightly harder to guess than “abc”.",
		zxcvbn.Sequence:             "Sequences such as “abc” or “6543” are easy to guess.",
		zxcvbn.RecentYear:           "Recent years are easy to guess.",
		zxcvbn.Date:                 "Dates are often easy to guess.",

		zxcvbn.UseAFewWords:            "Use a few words that do not belong together.",
		zxcvbn.NoNeedForSymbols:        "It needs no symbols, digits or capital letters.",
		zxcvbn.AddAnotherWord:          "Add a word or two. Uncommon words are better.",
		zxcvbn.UseLongerPattern:        "Use a longer pattern on the keyboard, with more turns.",
		zxcvbn.AvoidRepeats:            "Avoid words and signs that repeat.",
		zxcvbn.AvoidSequences:          "Avoid sequences.",
		zxcvbn.AvoidRecentYears:        "Avoid recent years.",
		zxcvbn.AvoidYourYears:          "Avoid years that have to do with you.",
		zxcvbn.AvoidYourDates:          "Avoid dates and years that have to do with you.",
		zxcvbn.CapitalsHelpLittle:      "A capital letter at the beginning helps little.",
		zxcvbn.AllCapitalsHelpLittle:   "All capital letters are almost as easy to guess as all small ones.",
		zxcvbn.ReversalHelpsLittle:     "Words spelt backwards are not much harder to guess.",
		zxcvbn.SubstitutionsHelpLittle: "Replacing letters in the usual way, such as “@” for “a”, helps little.",
	},
}
