package pages

import (
	"context"
	"errors"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
)

// OwnConsents are what users have allowed apps; consent.Service implements it.
type OwnConsents interface {
	List(ctx context.Context, t tenant.ID, userID string) ([]consent.Consent, error)
	Revoke(ctx context.Context, w consent.Whose) (consent.Consent, error)
}

var _ OwnConsents = (*consent.Service)(nil)

const consentsPath = "/consents"

// consentRoutes are the part of the table about apps of others. Taking back
// needs no fresh sign-in: it changes nothing that somebody proves with, and
// whoever finds a browser open can only make an app ask again.
func (a *Account) consentRoutes() []pipeline.Route {
	revoke := a.form(AccountPath+consentsPath, "Take back what an app was allowed", 0, pipeline.Handle(a.revoke))
	revoke.Fresh = false
	return []pipeline.Route{revoke}
}

type revokeForm struct {
	PageToken secret.Text `in:"page_token"`
	App       string      `in:"app"`
}

// revoke takes back what the user has allowed an app. Where that is nothing, or
// was taken back before, nothing is to be done.
func (a *Account) revoke(ctx context.Context, c pipeline.Call, in revokeForm) (pipeline.Departure, error) {
	_, err := a.Consents.Revoke(ctx, consent.Whose{
		Tenant: c.Tenant, UserID: c.Session.User.ID, ClientID: in.App, By: activity.By{Actor: activity.User, TraceID: c.TraceID},
	})
	if errors.Is(err, consent.ErrNotFound) {
		err = nil
	}
	return a.back(c), err
}

// ownConsent is what an app was allowed, as the page shows it.
type ownConsent struct {
	ID, Name string
	Scopes   []scope
	Since    moment
}

// ownConsents are all of them, with the words for them; nil for none.
type ownConsents struct {
	Words *ownConsentWords
	All   []ownConsent
}

func shownConsents(page accountPage, lang string) *ownConsents {
	if len(page.consents) == 0 {
		return nil
	}
	out := &ownConsents{Words: ownConsentWordsFor(lang)}
	for _, c := range page.consents {
		out.All = append(out.All, ownConsent{c.ClientID, c.App, scopesIn(lang, c.Scopes), momentOf(c.GivenAt)})
	}
	return out
}

// scopesIn says what scopes are as the question for them did.
func scopesIn(lang string, scopes []string) []scope {
	for _, words := range signInSpoken {
		if words.Lang == lang {
			return words.scopes(scopes)
		}
	}
	return signInEnglish.scopes(scopes)
}

// ownConsentWords are what the account page says of apps of others, in one
// language. {app} stands for the name of one.
type ownConsentWords struct {
	Lang          string
	Title, Text   string
	May, Since    string
	Take, TakeOne string // what the button says, and what it is called
}

func ownConsentWordsFor(lang string) *ownConsentWords {
	for i := range spokenOfConsents {
		if spokenOfConsents[i].Lang == lang {
			return &spokenOfConsents[i]
		}
	}
	return &spokenOfConsents[0]
}

func (l *ownConsentWords) Of(app string) string { return strings.ReplaceAll(l.TakeOne, "{app}", app) }

// spokenOfConsents are the languages, in the order of spoken.
var spokenOfConsents = []ownConsentWords{
	{
		Lang: "en", Title: "Apps that you have allowed something", Text: "If you take it back, the app loses its access, and asks you when you sign in to it again.",
		May: "It gets", Since: "Allowed since", Take: "Take back", TakeOne: "Take back from {app}",
	},
	{
		Lang: "de", Title: "Apps, denen Sie etwas erlaubt haben", Text: "Wenn Sie es zurücknehmen, verliert die App ihren Zugriff und fragt Sie bei der nächsten Anmeldung neu.",
		May: "Sie bekommt", Since: "Erlaubt seit", Take: "Zurücknehmen", TakeOne: "Von {app} zurücknehmen",
	},
	{
		Lang: "fr", Title: "Applications que vous avez autorisées", Text: "Si vous retirez l’autorisation, l’application perd son accès et vous la redemande à la prochaine connexion.",
		May: "Elle reçoit", Since: "Autorisée depuis", Take: "Retirer l’autorisation", TakeOne: "Retirer l’autorisation de {app}",
	},
}
