package text

import "countersign.dev/pkg/event"

var english = speech{
	tag:      "en",
	units:    units{minute: [2]string{"minute", "minutes"}, hour: [2]string{"hour", "hours"}, day: [2]string{"day", "days"}},
	copyLink: "If the button does not work, copy this address into your browser:",
	when:     "When:",
	what:     "What:",
	details: map[string]string{
		"totp": "authenticator app", "sms": "text message", "email": "e-mail", "recovery": "recovery codes",
	},
	footer: "This message was sent automatically by {host}. Replies are not read.",
	templates: map[string]words{
		event.TemplateCode: {
			subject: "Your {brand} security code",
			title:   "Your security code",
			before:  "Enter this code on {host}:",
			life:    "It is good for {life}. Do not share it with anyone, and enter it nowhere else.",
			noLife:  "Do not share it with anyone, and enter it nowhere else.",
			after:   "If you did not try to sign in, ignore this message.",
		},
		event.TemplatePasswordCreate: {
			subject: "Choose your {brand} password",
			title:   "Choose your password",
			before:  "You can choose the password of your {brand} account now:",
			button:  "Choose a password",
			life:    "The link works once and for {life}. Do not forward it.",
			noLife:  "The link works once. Do not forward it.",
			after:   "If you did not ask for an account, ignore this message.",
		},
		event.TemplatePasswordReset: {
			subject: "Reset your {brand} password",
			title:   "Reset your password",
			before:  "Somebody asked to reset the password of your {brand} account. If it was you, choose a new one:",
			button:  "Choose a new password",
			life:    "The link works once and for {life}. Do not forward it.",
			noLife:  "The link works once. Do not forward it.",
			after:   "If it was not you, ignore this message: your password stays as it is.",
		},
		event.TemplateMagicLink: {
			subject: "Your {brand} sign-in link",
			title:   "Sign in",
			before:  "With this link you sign in to your {brand} account:",
			button:  "Sign in",
			life:    "The link works once and for {life}. Do not forward it: whoever has it can sign in as you.",
			noLife:  "The link works once. Do not forward it: whoever has it can sign in as you.",
			after:   "If you did not ask for it, ignore this message.",
		},
		event.TemplateNoticePasswordChanged: {
			subject: "Your {brand} password was changed",
			title:   "Your password was changed",
			before:  "The password of your {brand} account was changed.",
			after:   "If it was you, there is nothing to do. If not, reset your password on {host} at once and tell your administrator.",
		},
		event.TemplateNoticeFactorChanged: {
			subject: "The second factor of your {brand} account was changed",
			title:   "Your second factor was changed",
			before:  "A second factor of your {brand} account was added, replaced or removed.",
			after:   "If it was you, there is nothing to do. If not, reset your password on {host} at once and tell your administrator.",
		},
		event.TemplateNoticeRecoveryCodeUsed: {
			subject: "A recovery code of your {brand} account was used",
			title:   "A recovery code was used",
			before:  "Somebody used a recovery code of your {brand} account in place of the second factor.",
			after:   "If it was you, set up your second factor again at the next sign-in. If not, reset your password on {host} at once and tell your administrator.",
		},
		event.TemplateNoticeEmailChanged: {
			subject: "The address of your {brand} account was changed",
			title:   "Your address was changed",
			before:  "The e-mail address of your {brand} account was changed. Messages go to the new address from now on.",
			after:   "If you know of it, there is nothing to do. If not, tell your administrator at once.",
		},
		event.TemplateNoticePasswordDisabled: {
			subject: "Your {brand} password was switched off",
			title:   "Your password was switched off",
			before:  "Somebody entered a wrong password of your {brand} account a hundred times in a row. It does not work any more, not even the right one.",
			after:   "Ask for a link on {host} to choose a new password.",
		},
		event.TemplateNoticePasswordExpiring: {
			subject: "Your {brand} password expires soon",
			title:   "Your password expires soon",
			before:  "The password of your {brand} account expires at the time below.",
			life:    "It is good for another {life}. Choose a new one on {host} before then.",
			noLife:  "Choose a new one on {host} before then.",
			after:   "With a new password there is nothing else to do.",
		},
		event.TemplateNoticePasswordCompromised: {
			subject: "Your {brand} password must be changed",
			title:   "Your password must be changed",
			before:  "The password of your {brand} account stands in a list of passwords that were stolen somewhere. Whoever tries such lists gets in with it, so it now opens nothing but the choice of a new one.",
			after:   "Choose a new password when you next sign in on {host}, or ask for a link there. If you use the old one anywhere else, change it there, too.",
		},
		event.TemplateNoticeFactorsDisabled: {
			subject: "The second factors of your {brand} account were switched off",
			title:   "Your second factors were switched off",
			before:  "Somebody entered a wrong code for your {brand} account a hundred times in a row. Its second factors do not work any more, not even with the right code.",
			after:   "A recovery code still works. If you have none, ask your administrator to set up your second factor again.",
		},
		event.TemplateNoticeFactorsReset: {
			subject: "The second factor of your {brand} account was reset",
			title:   "Your second factor was reset",
			before:  "An administrator reset the second factor of your {brand} account. It was replaced or removed together with its recovery codes, and other sessions were ended.",
			after:   "If you did not expect this, tell your administrator at once.",
		},
		event.TemplateNoticeSecondFactorFailing: {
			subject: "Failed sign-ins to your {brand} account",
			title:   "Failed sign-ins",
			before:  "Somebody entered the right password of your {brand} account and failed at the second factor several times.",
			after:   "If it was you, there is nothing to do. If not, somebody knows your password: reset it on {host} at once.",
		},
	},
}
