package text

import "countersign.dev/pkg/event"

var french = speech{
	tag:      "fr",
	units:    units{minute: [2]string{"minute", "minutes"}, hour: [2]string{"heure", "heures"}, day: [2]string{"jour", "jours"}},
	copyLink: "Si le bouton ne fonctionne pas, copiez cette adresse dans votre navigateur :",
	when:     "Quand :",
	what:     "Quoi :",
	details: map[string]string{
		"totp": "application d'authentification", "sms": "SMS", "email": "e-mail", "recovery": "codes de secours",
	},
	footer: "Ce message a été envoyé automatiquement par {host}. Les réponses ne sont pas lues.",
	templates: map[string]words{
		event.TemplateCode: {
			subject: "Votre code de sécurité {brand}",
			title:   "Votre code de sécurité",
			before:  "Saisissez ce code sur {host} :",
			life:    "Il est valable {life}. Ne le communiquez à personne et ne le saisissez nulle part ailleurs.",
			noLife:  "Ne le communiquez à personne et ne le saisissez nulle part ailleurs.",
			after:   "Si vous n'avez pas essayé de vous connecter, ignorez ce message.",
		},
		event.TemplatePasswordCreate: {
			subject: "Choisissez votre mot de passe {brand}",
			title:   "Choisissez votre mot de passe",
			before:  "Vous pouvez maintenant choisir le mot de passe de votre compte {brand} :",
			button:  "Choisir un mot de passe",
			life:    "Le lien fonctionne une seule fois, pendant {life}. Ne le transférez pas.",
			noLife:  "Le lien fonctionne une seule fois. Ne le transférez pas.",
			after:   "Si vous n'avez pas demandé de compte, ignorez ce message.",
		},
		event.TemplatePasswordReset: {
			subject: "Réinitialisez votre mot de passe {brand}",
			title:   "Réinitialiser votre mot de passe",
			before:  "Quelqu'un a demandé à réinitialiser le mot de passe de votre compte {brand} ; si c'était vous, choisissez-en un nouveau :",
			button:  "Choisir un nouveau mot de passe",
			life:    "Le lien fonctionne une seule fois, pendant {life}. Ne le transférez pas.",
			noLife:  "Le lien fonctionne une seule fois. Ne le transférez pas.",
			after:   "Si ce n'était pas vous, ignorez ce message : votre mot de passe ne change pas.",
		},
		event.TemplateMagicLink: {
			subject: "Votre lien de connexion {brand}",
			title:   "Se connecter",
			before:  "Avec ce lien, vous vous connectez à votre compte {brand} :",
			button:  "Se connecter",
			life:    "Le lien fonctionne une seule fois, pendant {life}. Ne le transférez pas : quiconque l'a peut se connecter à votre place.",
			noLife:  "Le lien fonctionne une seule fois. Ne le transférez pas : quiconque l'a peut se connecter à votre place.",
			after:   "Si vous ne l'avez pas demandé, ignorez ce message.",
		},
		event.TemplateNoticePasswordChanged: {
			subject: "Votre mot de passe {brand} a été modifié",
			title:   "Votre mot de passe a été modifié",
			before:  "Le mot de passe de votre compte {brand} a été modifié.",
			after:   "Si c'était vous, il n'y a rien à faire. Sinon, réinitialisez tout de suite votre mot de passe sur {host} et prévenez votre administrateur.",
		},
		event.TemplateNoticeFactorChanged: {
			subject: "Le second facteur de votre compte {brand} a été modifié",
			title:   "Votre second facteur a été modifié",
			before:  "Un second facteur de votre compte {brand} a été ajouté, remplacé ou supprimé.",
			after:   "Si c'était vous, il n'y a rien à faire. Sinon, réinitialisez tout de suite votre mot de passe sur {host} et prévenez votre administrateur.",
		},
		event.TemplateNoticeRecoveryCodeUsed: {
			subject: "Un code de secours de votre compte {brand} a été utilisé",
			title:   "Un code de secours a été utilisé",
			before:  "Quelqu'un a utilisé un code de secours de votre compte {brand} à la place du second facteur.",
			after:   "Si c'était vous, configurez à nouveau votre second facteur à la prochaine connexion. Sinon, réinitialisez tout de suite votre mot de passe sur {host} et prévenez votre administrateur.",
		},
		event.TemplateNoticeEmailChanged: {
			subject: "L’adresse de votre compte {brand} a été modifiée",
			title:   "Votre adresse a été modifiée",
			before:  "L’adresse e-mail de votre compte {brand} a été modifiée. Les messages sont désormais envoyés à la nouvelle adresse.",
			after:   "Si vous êtes au courant, il n’y a rien à faire. Sinon, prévenez tout de suite votre administrateur.",
		},
		event.TemplateNoticePasswordDisabled: {
			subject: "Votre mot de passe {brand} a été désactivé",
			title:   "Votre mot de passe a été désactivé",
			before:  "Un mot de passe erroné a été saisi cent fois de suite pour votre compte {brand} : même le bon ne fonctionne plus.",
			after:   "Demandez un lien sur {host} pour choisir un nouveau mot de passe.",
		},
		event.TemplateNoticePasswordExpiring: {
			subject: "Votre mot de passe {brand} expire bientôt",
			title:   "Votre mot de passe expire bientôt",
			before:  "Le mot de passe de votre compte {brand} expire à l’heure indiquée ci-dessous.",
			life:    "Il reste valable {life}. Choisissez-en un nouveau sur {host} avant cette échéance.",
			noLife:  "Choisissez-en un nouveau sur {host} avant cette échéance.",
			after:   "Avec un nouveau mot de passe, il n’y a rien d’autre à faire.",
		},
		event.TemplateNoticePasswordCompromised: {
			subject: "Votre mot de passe {brand} doit être changé",
			title:   "Votre mot de passe doit être changé",
			before:  "Le mot de passe de votre compte {brand} figure dans une liste de mots de passe volés quelque part. Quiconque essaie ces listes peut s’en servir ; il ne permet donc plus que d’en choisir un nouveau.",
			after:   "Choisissez un nouveau mot de passe à votre prochaine connexion sur {host}, ou demandez-y un lien. Si vous utilisez l’ancien ailleurs, changez-le là aussi.",
		},
		event.TemplateNoticeFactorsDisabled: {
			subject: "Les seconds facteurs de votre compte {brand} ont été désactivés",
			title:   "Vos seconds facteurs ont été désactivés",
			before:  "Un code erroné a été saisi cent fois de suite pour votre compte {brand} : ses seconds facteurs ne fonctionnent plus, même avec le bon code.",
			after:   "Un code de secours fonctionne toujours. Si vous n'en avez pas, demandez à votre administrateur de configurer à nouveau votre second facteur.",
		},
		event.TemplateNoticeFactorsReset: {
			subject: "Le second facteur de votre compte {brand} a été réinitialisé",
			title:   "Votre second facteur a été réinitialisé",
			before:  "Un administrateur a réinitialisé le second facteur de votre compte {brand} : il a été remplacé ou supprimé avec ses codes de secours, et les autres sessions ont été fermées.",
			after:   "Si vous ne vous y attendiez pas, prévenez tout de suite votre administrateur.",
		},
		event.TemplateNoticeSecondFactorFailing: {
			subject: "Échecs de connexion à votre compte {brand}",
			title:   "Échecs de connexion",
			before:  "Quelqu'un a saisi le bon mot de passe de votre compte {brand} et a échoué plusieurs fois au second facteur.",
			after:   "Si c'était vous, il n'y a rien à faire. Sinon, quelqu'un connaît votre mot de passe : réinitialisez-le tout de suite sur {host}.",
		},
	},
}
