package pages

import (
	_ "embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

//go:embed account.html
var accountHTML string

//go:embed account_factors.html
var accountFactorsHTML string

//go:embed account_consents.html
var accountConsentsHTML string

var accountTemplates = withLayout("account", accountHTML+accountFactorsHTML+accountConsentsHTML)

// ownSession is a session as the page shows it.
type ownSession struct {
	ID          string
	Here        bool
	Source      string
	Begun, Used moment
}

// moment is a time for people and for their browser. It is in UTC: nobody has
// said where they are.
type moment struct{ Text, Machine string }

func momentOf(t time.Time) moment {
	t = t.UTC()
	return moment{t.Format("2006-01-02 15:04 UTC"), t.Format(time.RFC3339)}
}

func (a *Account) write(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(accountPage) // what show returns
	words := accountWordsFor(r, page.lang)
	place := page.self.Org.Name
	if page.of.Tenant.Env == tenant.Sandbox {
		place = strings.ReplaceAll(words.Sandbox, "{place}", place)
	}
	fill := strings.NewReplacer("{place}", place, "{user}", secret.MaskEmail(page.of.User.Email.Written))
	path := a.path(page.of)
	err := send(w, r, status, accountTemplates.Lookup("account"), "'self'", look(map[string]any{
		"Scripted": true, "New": newPasswordFor(words.Lang, page.username, page.hint), "Words": words, "Factors": shownFactors(page, words.Lang), "Consents": shownConsents(page, words.Lang), "Path": path, "Lang": words.Lang, "Heading": words.Title.Heading, "Text": fill.Replace(words.Title.Text),
		"Sessions": shownSessions(page), "PageToken": page.token.Reveal(),
		"SessionsAction": path + "/sessions", "PasswordAction": path + "/password", "SignOut": below(a.BaseURL, SignOutPath),
	}, page.self.Org))
	if err != nil {
		WriteFault(w, r, err)
	}
}

func shownSessions(page accountPage) (out []ownSession) {
	for _, of := range page.sessions {
		out = append(out, ownSession{of.ID, of.ID == page.of.ID, source(of), momentOf(of.CreatedAt), momentOf(of.SeenAt)})
	}
	return out
}

// source is the network that a session began in, masked when it was stored.
func source(of session.Session) string {
	if of.Source == "" {
		return "–"
	}
	return of.Source
}

// refusePassword says of a new password what is wrong with it, and renders all
// else as everywhere.
func (a *Account) refusePassword(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid || f.Advice == nil {
		a.refuse(w, r, err)
		return
	}
	a.refuseAs(w, r, err, func(lang string, f *fault.Error) notice {
		return notice{accountWordsFor(r, "").NotTaken, strings.Join(f.Advice.In(lang), " ")}
	})
}
