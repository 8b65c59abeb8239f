package pages

import (
	"errors"
	"net/http"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/logout"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// The samples of all pages but the sign-in page, each by what writes it for
// people.

func (of staged) links() *Links {
	return &Links{BaseURL: of.base, Now: func() time.Time { return of.now }}
}

// linked is a sample of the page that a link from a mail leads to.
func linked(name string, purpose link.Purpose, host string, begun func(of staged) flow.Begun) sample {
	return sample{name, "links", func(of staged, w http.ResponseWriter, r *http.Request) {
		page := linkPage{view: link.View{
			Purpose: purpose, Org: of.org, Address: secret.MaskEmail(sampleAddress), AppHost: host,
			AskedAt: of.now.Add(-2 * time.Minute), ExpiresAt: of.now.Add(time.Hour),
		}}
		if begun != nil {
			page.begun = begun(of)
		}
		of.links().writeLink(w, r, http.StatusOK, page)
	}}
}

func linkSamples() []sample {
	chosen := func(of staged) password.Chosen {
		return password.Chosen{Org: of.org, Address: sampleAddress, Hint: of.hint()}
	}
	return []sample{
		linked("link-app", link.Login, sampleHost, nil),
		linked("link-here", link.Login, "", func(of staged) flow.Begun { return flow.Begun{Here: true, App: of.app} }),
		linked("link-other", link.Login, "", func(of staged) flow.Begun {
			return flow.Begun{App: of.app, Network: sampleNetwork, Device: "Firefox (Linux)"}
		}),
		linked("link-create", link.Create, "", nil),
		linked("link-reset", link.Reset, "", nil),
		{"link-code", "links", func(of staged, w http.ResponseWriter, r *http.Request) {
			of.links().writeShown(w, r, http.StatusOK, shownPage{secret.New("000000"), of.org})
		}},
		{"new-password", "links", func(of staged, w http.ResponseWriter, r *http.Request) {
			of.links().writePassword(w, r, http.StatusOK, choosePage{of: chosen(of)})
		}},
		{"new-password-weak", "links", func(of staged, w http.ResponseWriter, r *http.Request) {
			of.links().writePassword(w, r, http.StatusOK, choosePage{of: chosen(of), advice: sampleAdvice(of.lang)})
		}},
		{"password-set", "links", func(of staged, w http.ResponseWriter, r *http.Request) {
			of.links().writePasswordSet(w, r, http.StatusOK, setPage{of.org})
		}},
		{"link-dead", "links", func(of staged, w http.ResponseWriter, r *http.Request) { of.links().writeFault(w, r, link.ErrDead) }},
	}
}

// noForms makes no tokens: the forms of samples are taken by nobody.
type noForms struct{}

func (noForms) Token(secret.Text) secret.Text      { return secret.Text{} }
func (noForms) Made(secret.Text, secret.Text) bool { return false }

func (of staged) account() *Account { return &Account{BaseURL: of.base, Forms: noForms{}} }

// session is one of the person of the samples.
func (of staged) session(id string, age time.Duration) session.Session {
	return session.Session{
		ID: id, Tenant: tenant.ID{Org: of.org.ID, Env: tenant.Default}, Org: of.org.Domain,
		User:   user.User{Email: user.Address{Written: sampleAddress, Canonical: sampleAddress}},
		Source: sampleNetwork, CreatedAt: of.now.Add(-age), SeenAt: of.now.Add(-age / 2),
	}
}

// self has an app, a phone and recovery codes.
func (of staged) self() factor.Self {
	day := 24 * time.Hour
	return factor.Self{Whose: factor.Whose{Org: of.org, Standing: factor.Standing{
		Connection: tenant.Connection{Active: true},
		Factors: []factor.Factor{
			{ID: "app", Method: factor.App, ConfirmedAt: of.now.Add(-90 * day), UsedAt: of.now.Add(-time.Hour)},
			{ID: "phone", Method: factor.SMS, Phone: "+493023125042", ConfirmedAt: of.now.Add(-30 * day)},
		},
		Recovery: factor.Set{Tags: make([][]byte, len(sampleCodes)), Used: 1},
	}}}
}

// consents are of one app of others, and of all that an app may ask for.
func (of staged) consents() []consent.Consent {
	return []consent.Consent{{ClientID: "app", App: of.app, Scopes: sampleScopes, GivenAt: of.now.Add(-240 * time.Hour)}}
}

func accountSamples() []sample {
	mine := func(name string, show func(of staged, a *Account, w http.ResponseWriter, r *http.Request)) sample {
		return sample{name, "account", func(of staged, w http.ResponseWriter, r *http.Request) { show(of, of.account(), w, r) }}
	}
	return []sample{
		mine("account", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			here, other := of.session("here", 10*time.Minute), of.session("other", 72*time.Hour)
			a.write(w, r, http.StatusOK, accountPage{of: here, sessions: []session.Session{here, other}, self: of.self(), consents: of.consents(), unsaved: true, username: sampleAddress, hint: of.hint(), lang: of.lang})
		}),
		mine("account-app", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			waiting := factor.Waiting{Method: factor.App, URI: of.sampleURI(), Secret: secret.New(sampleKey)}
			a.writeWaiting(w, r, http.StatusOK, waitingPage{org: of.org, waiting: waiting, lang: of.lang})
		}),
		mine("account-phone", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			a.writeWaiting(w, r, http.StatusOK, waitingPage{org: of.org, waiting: factor.Waiting{Method: factor.SMS, Phone: samplePhone}, said: "wrong", lang: of.lang})
		}),
		mine("account-codes", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			a.writeCodes(w, r, http.StatusOK, codesPage{org: of.org, lines: sampleCodes, lang: of.lang})
		}),
		mine("account-again", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			cookies := pipeline.CookiesOf(a.BaseURL)
			r.AddCookie(cookies.Make(cookies.SessionsName(), secret.New("sample"), 60)) // of somebody who may sign in again
			a.refuse(w, r, placed{error: session.ErrReauth, org: of.org})
		}),
		mine("accounts", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			a.writePlaces(w, r, http.StatusOK, placesPage{signedIn: []session.Session{of.session("here", time.Hour)}, lang: of.lang})
		}),
		mine("account-find", func(of staged, a *Account, w http.ResponseWriter, r *http.Request) {
			a.writePlaces(w, r, http.StatusOK, placesPage{none: true, lang: of.lang})
		}),
	}
}

func otherSamples() []sample {
	ask := func(name string, of func(of staged) logout.View) sample {
		return sample{name, "others", func(on staged, w http.ResponseWriter, r *http.Request) {
			(&Logout{BaseURL: on.base}).writeQuestion(w, r, http.StatusOK, question{View: of(on), in: questionIn{Locales: on.lang}})
		}}
	}
	failed := func(name string, err error) sample {
		return sample{name, "others", func(_ staged, w http.ResponseWriter, r *http.Request) { WriteFault(w, r, err) }}
	}
	return []sample{
		ask("sign-out", func(of staged) logout.View {
			return logout.View{Org: of.org, Sessions: []session.Session{of.session("here", time.Hour)}}
		}),
		ask("sign-out-app", func(of staged) logout.View {
			sandbox := of.session("sandbox", time.Hour)
			sandbox.Tenant.Env = tenant.Sandbox
			return logout.View{
				Org: of.org, App: app.App{ID: "app", Name: of.app}, To: secret.New("https://" + sampleHost + "/"), Sessions: []session.Session{of.session("here", time.Hour), sandbox},
			}
		}),
		{"signed-out", "others", func(of staged, w http.ResponseWriter, r *http.Request) {
			(&Logout{BaseURL: of.base}).writeDone(w, r, http.StatusOK, donePage{doneIn{Locales: of.lang}, of.org})
		}},
		{"landing", "others", func(_ staged, w http.ResponseWriter, r *http.Request) { Landing(w, r, http.StatusOK) }},
		failed("error-over", flow.ErrOver),
		{"error-again", "others", func(of staged, w http.ResponseWriter, r *http.Request) {
			WriteFault(w, r, placed{flow.ErrOver, of.org, "https://" + sampleHost + "/"})
		}},
		failed("error-app", flow.ErrClient),
		failed("error-ours", errors.New("a sample")),
	}
}
