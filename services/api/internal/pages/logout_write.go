package pages

import (
	_ "embed"
	"net/http"
	"net/url"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
)

//go:embed logout.html
var logoutHTML string

var logoutTemplates = withLayout("logout", logoutHTML)

// place is one of the sessions of the question.
type place struct{ Place, Address, Realm, Button string }

func (l *Logout) writeQuestion(w http.ResponseWriter, r *http.Request, status int, answer any) {
	q, _ := answer.(question) // what ask returns
	words := logoutWordsFor(r, q.in.Locales)
	if q.in.Locales != "" {
		q.in.Locales = words.Lang
	}
	said := words.Asked
	switch {
	case len(q.Sessions) == 0: // signed out meanwhile, in another tab
		said = words.Done
	case q.App.ID != "":
		said = words.AskedBy
		said.Text = strings.ReplaceAll(said.Text, "{app}", q.App.Name)
	}
	data := map[string]any{
		"Words": words, "Lang": words.Lang, "Heading": said.Heading, "Text": said.Text, "Sessions": words.places(q.Sessions),
		"Action": below(l.BaseURL, SignOutPath), "PageToken": q.token.Reveal(), "Hidden": hidden(q.in),
	}
	if len(q.Sessions) > 1 {
		data["All"] = words.All
	}
	host, forms := leads(q.To)
	if host != "" {
		data["Goes"] = strings.ReplaceAll(words.Goes, "{host}", host)
	}
	if err := send(w, r, status, logoutTemplates.Lookup("question"), forms, look(data, q.Org)); err != nil {
		WriteFault(w, r, err)
	}
}

// places are the sessions as the page shows them: whose they are only as far
// as somebody knows who is them.
func (l *logoutWords) places(all []session.Session) (out []place) {
	for _, of := range all {
		name := of.Org
		if of.Tenant.Env == tenant.Sandbox {
			name = strings.ReplaceAll(l.Sandbox, "{place}", of.Org)
		}
		out = append(out, place{
			Place: name, Address: secret.MaskEmail(of.User.Email.Written), Realm: session.Realm(of.Org, of.Tenant.Env),
			Button: strings.ReplaceAll(l.Button, "{place}", name),
		})
	}
	return out
}

// hidden are the fields that go along with the form.
func hidden(in questionIn) map[string]string {
	fields := map[string]string{}
	for name, values := range in.query() {
		fields[name] = values[0]
	}
	return fields
}

// leads says where an address leads, in words and as a policy of forms does:
// browsers hold the redirect that answers a form to the page's policy. An app
// on a machine of its user may have a scheme of its own.
func leads(to secret.Text) (host, forms string) {
	u, err := url.Parse(to.Reveal())
	switch {
	case to.IsZero() || err != nil:
		return "", "'self'"
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Host, "'self' " + formTargets(u.Host)
	}
	return u.Scheme, "'self' " + u.Scheme + ":"
}

func (l *Logout) writeDone(w http.ResponseWriter, r *http.Request, status int, answer any) {
	page, _ := answer.(donePage) // what done returns
	words := logoutWordsFor(r, page.in.Locales)
	if err := send(w, r, status, logoutTemplates.Lookup("question"), "'none'", named(map[string]any{
		"Words": words, "Lang": words.Lang, "Heading": words.Done.Heading, "Text": words.Done.Text,
	}, page.org)); err != nil {
		WriteFault(w, r, err)
	}
}
