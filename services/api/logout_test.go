package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/session"
)

// lives reports whether a session is still good.
func (s *stage) lives(l login) bool {
	s.t.Helper()
	return slices.ContainsFunc(s.sessionsOf(l), func(of session.Session) bool { return of.ID == l.session.ID })
}

func (s *stage) sessionsOf(l login) []session.Session {
	s.t.Helper()
	all, err := s.sessions.List(s.t.Context(), l.session.Tenant, l.session.User.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// refreshes reports whether the refresh token of a login is still good.
func (s *stage) refreshes(l login, app string) bool {
	s.t.Helper()
	_, err := s.grants.Refresh(s.t.Context(), l.refresh, app)
	return err == nil
}

// A token of the session ends it without a question, however old the token is,
// and with it what came of the session, unless that was to stay. The browser
// goes to the registered address and stays signed in elsewhere.
//
// Covers R-150 for logouts with a valid id_token_hint.
func TestATokenOfTheSessionEndsItAtOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		app := s.app()
		ben := s.newUser("ben@acme.test", "+4915112345679")
		other := s.elsewhere()
		for name, c := range map[string]struct {
			age  time.Duration
			hint func(l login) string
		}{
			"a fresh ID token":              {0, func(l login) string { return "id_token_hint=" + l.id }},
			"an expired ID token":           {time.Hour, func(l login) string { return "id_token_hint=" + l.id }},
			"an access token":               {0, func(l login) string { return "access_token_hint=" + l.access }},
			"an expired access token":       {time.Hour, func(l login) string { return "access_token_hint=" + l.access }},
			"an ID token and its client_id": {0, func(l login) string { return "id_token_hint=" + l.id + "&client_id=" + app }},
		} {
			b := s.browser()
			if c.age > 0 {
				s.now = time.Now().Add(-c.age).Add(time.Second)
			}
			l := s.signIn(b, app, s.user)
			s.now = time.Time{}
			stays := s.tokensOf(l.session, app, s.user, "offline_access")
			kept := s.signIn(b, other.app, other.user)
			beside := s.signIn(s.browser(), app, ben)
			form, err := url.ParseQuery(c.hint(l))
			if err != nil {
				t.Fatal(err)
			}
			form.Set("post_logout_redirect_uri", afterLogout)
			form.Set("state", "a b&c=d")
			b.visit(http.MethodGet, endSession+"?"+form.Encode(), nil).wantTo(afterLogout + "?state=a+b%26c%3Dd")
			if s.lives(l) || s.refreshes(l, app) {
				t.Errorf("%s: the session or its refresh token is good", name)
			}
			if !s.refreshes(stays, app) || !s.lives(kept) || !s.refreshes(kept, other.app) || !s.lives(beside) {
				t.Errorf("%s: something else has ended", name)
			}
			if got := b.set().Realms(); len(got) != 1 || got[0] != session.Realm(other.org, "sandbox") {
				t.Errorf("%s: the browser has %v", name, got)
			}
		}
	})
}

// Without a token of the browser's own session nothing ends before the person
// has said so. Then it goes on as the app wants, where the app is known.
//
// Covers R-150 for forged hints and those of other clients.
// Covers R-156 for requests to sign out.
func TestWhoeverShowsNoTokenOfTheSessionIsAsked(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		app, another := s.app(), s.app("Another shop")
		ben := s.newUser("ben@acme.test", "+4915112345679")
		other := s.elsewhere()
		forger := newStage(t, open(t, embedded(t))) // the same program with other keys
		forged := func(l login) string {
			raw, err := forger.forge(s, l, app)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		for name, c := range map[string]struct {
			params func(l login) []string
			known  bool // the question names the app, and the browser goes on to it
		}{
			"no hint, no client":           {func(login) []string { return nil }, false},
			"no hint":                      {func(login) []string { return []string{"client_id=" + app} }, true},
			"a forged hint":                {func(l login) []string { return []string{"id_token_hint=" + forged(l)} }, false},
			"a forged hint and the client": {func(l login) []string { return []string{"client_id=" + app, "id_token_hint=" + forged(l)} }, true},
			"a hint with another end": {func(l login) []string {
				return []string{"client_id=" + app, "id_token_hint=" + l.id[:len(l.id)-8] + "AAAAAAAA"}
			}, true},
			"a hint without its signature": {func(l login) []string {
				return []string{"client_id=" + app, "id_token_hint=" + l.id[:strings.LastIndexByte(l.id, '.')+1]}
			}, true},
			"no token at all": {func(login) []string { return []string{"client_id=" + app, "id_token_hint=canary"} }, true},
			"an access token as ID token": {func(l login) []string {
				return []string{"client_id=" + app, "id_token_hint=" + l.access}
			}, true},
			"an ID token as access token": {func(l login) []string {
				return []string{"client_id=" + app, "access_token_hint=" + l.id}
			}, true},
			"a hint of another client": {func(l login) []string {
				return []string{"client_id=" + app, "id_token_hint=" + s.tokensOf(l.session, another, s.user).id}
			}, false},
			"a hint of another session of the user": {func(login) []string {
				return []string{"id_token_hint=" + s.signIn(s.browser(), app, s.user).id}
			}, true},
			"a hint of another user": {func(login) []string {
				return []string{"id_token_hint=" + s.signIn(s.browser(), app, ben).id}
			}, true},
			"a hint of no session": {func(login) []string {
				return []string{"id_token_hint=" + s.tokensOf(session.Session{}, app, s.user).id}
			}, true},
			"a hint of another organization's app, and this client": {func(login) []string {
				return []string{"client_id=" + app, "id_token_hint=" + s.signIn(s.browser(), other.app, other.user).id}
			}, false},
			"a client that never was": {func(login) []string { return []string{"client_id=app_000000000000000000000000000"} }, false},
			"a client that cannot be": {func(login) []string { return []string{"client_id=' OR 1=1 --"} }, false},
		} {
			b := s.browser()
			l := s.signIn(b, app, s.user)
			asked := b.end(append(c.params(l), "post_logout_redirect_uri="+afterLogout, "state=s1")...).wantTo(signOut)
			if strings.Contains(asked.header.Get("Location"), "hint") || !s.lives(l) {
				t.Fatalf("%s: it ended, or the hint goes on: %s", name, asked.header.Get("Location"))
			}
			page := b.visit(http.MethodGet, asked.header.Get("Location"), nil).want(http.StatusOK)
			if named := strings.Contains(page.raw, "Shop asks"); named != c.known || strings.Contains(page.raw, "ana@") || !strings.Contains(page.raw, s.org) {
				t.Errorf("%s: the app is named: %v, want %v: %s", name, named, c.known, page.raw)
			}
			on := signedOut
			if c.known {
				on = afterLogout + "?state=s1"
			}
			b.press(asked, session.Realm(s.org, "sandbox")).wantTo(on)
			if s.lives(l) || s.refreshes(l, app) || len(b.set().Realms()) != 0 {
				t.Errorf("%s: the session is good after the person has agreed", name)
			}
		}
	})
}

// Where nobody is signed in there is nothing to end and nobody to ask: the app
// gets its browser back, and a stranger gets a page.
func TestNobodyIsAskedWhoIsNotSignedIn(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, embedded(t)))
	app, other := s.app(), s.elsewhere()
	hint := "id_token_hint=" + s.signIn(s.browser(), app, s.user).id
	to := "post_logout_redirect_uri=" + afterLogout
	for name, c := range map[string]struct {
		params []string
		on     string
	}{
		"nothing":                      {nil, signedOut},
		"only where to go":             {[]string{to}, signedOut},
		"a client":                     {[]string{"client_id=" + app}, signedOut},
		"a client, and where to go":    {[]string{"client_id=" + app, to, "state=1"}, afterLogout + "?state=1"},
		"a hint, and where to go":      {[]string{hint, to}, afterLogout},
		"a hint of somebody's session": {[]string{hint}, signedOut},
	} {
		s.browser().end(c.params...).wantTo(c.on)
		stale := s.browser() // its cookie has outlived the session
		l := s.signIn(stale, app, s.user)
		if err := s.sessions.End(t.Context(), l.session.Tenant, l.session.ID, closed()); err != nil {
			t.Fatal(err)
		}
		stale.end(c.params...).wantTo(c.on)
		if got := stale.set().Realms(); len(got) != 0 {
			t.Errorf("%s: the browser keeps %v", name, got)
		}
		b := s.browser() // signed in elsewhere only
		kept := s.signIn(b, other.app, other.user)
		if strings.HasPrefix(strings.Join(c.params, " "), "client_id") || strings.HasPrefix(strings.Join(c.params, " "), "id_token_hint") {
			b.end(c.params...).wantTo(c.on)
		}
		if !s.lives(kept) {
			t.Errorf("%s: another organization's session has ended", name)
		}
	}
}

// What an app has not registered, character for character, leads nowhere,
// whoever asks and whatever was proven.
//
// Covers R-158 for post_logout_redirect_uri and target_url.
// Covers R-150 for exact post_logout_redirect_uri.
func TestNobodyIsSentWhereTheAppDoesNotSay(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, embedded(t)))
	app := s.app()
	variants := hostileURIs(afterLogout)
	if len(variants) < 60 {
		t.Fatalf("only %d variants", len(variants))
	}
	single := "/api/v1/tenants/" + s.org + "/" + app + "/oauth/token/slo-after-revoke-token?"
	for name, uri := range variants {
		if strings.Contains(uri, "\x00") { // no text for any parameter
			s.browser().end("client_id="+app, "post_logout_redirect_uri="+uri).want(http.StatusUnprocessableEntity)
			continue
		}
		form := url.Values{"client_id": {app}, "post_logout_redirect_uri": {uri}, "state": {"s"}}
		s.browser().visit(http.MethodGet, endSession+"?"+form.Encode(), nil).wantTo(signedOut)
		s.browser().visit(http.MethodGet, single+url.Values{"target_url": {uri}}.Encode(), nil).wantTo(signedOut)

		b := s.browser()
		l := s.signIn(b, app, s.user)
		form.Set("id_token_hint", l.id)
		if b.visit(http.MethodGet, endSession+"?"+form.Encode(), nil).wantTo(signedOut); s.lives(l) {
			t.Errorf("%s: the session is good, though its token was shown", name)
		}
		s.signIn(b, app, s.user)
		form.Del("id_token_hint")
		asked := b.visit(http.MethodGet, endSession+"?"+form.Encode(), nil).wantTo(signOut)
		if page := b.visit(http.MethodGet, asked.header.Get("Location"), nil).want(http.StatusOK); strings.Contains(page.raw, "Then you go on") {
			t.Errorf("%s: the question says that it leads somewhere: %s", name, page.raw)
		}
		b.press(asked, "").wantTo(signedOut)
	}
	if b := s.browser(); !strings.HasPrefix(b.end("client_id="+app, "post_logout_redirect_uri="+afterLogout).wantTo(afterLogout).header.Get("Location"), afterLogout) {
		t.Error("not even the registered one leads on")
	}
	s.deactivate(app)
	s.browser().end("client_id="+app, "post_logout_redirect_uri="+afterLogout).wantTo(signedOut)
}

// A browser is signed in to several organizations; only what is meant ends.
func TestOnlyTheMeantSessionEnds(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		app, other := s.app(), s.elsewhere()
		b := s.browser()
		here, there := s.signIn(b, app, s.user), s.signIn(b, other.app, other.user)
		mine, theirs := session.Realm(s.org, "sandbox"), session.Realm(other.org, "sandbox")
		asked := b.end().wantTo(signOut)
		page := b.visit(http.MethodGet, asked.header.Get("Location"), nil).want(http.StatusOK)
		for _, realm := range []string{mine, theirs, ""} {
			if strings.Count(page.raw, `name="realm" value="`+realm+`"`) != 1 {
				t.Errorf("the page does not list %q: %s", realm, page.raw)
			}
		}
		named := b.end("client_id=" + app).wantTo(signOut)
		if page := b.visit(http.MethodGet, named.header.Get("Location"), nil); strings.Contains(page.raw, theirs) || strings.Contains(page.raw, `value=""`) {
			t.Errorf("an app's question names what is not its own: %s", page.raw)
		}
		b.press(asked, "nobody.sandbox").wantTo(signedOut)
		if !s.lives(here) || !s.lives(there) {
			t.Error("a realm that the browser is not in has ended something")
		}
		b.press(asked, theirs).wantTo(signedOut)
		if !s.lives(here) || s.lives(there) || !slices.Equal(b.set().Realms(), []string{mine}) {
			t.Errorf("of two, one was to end: %v", b.set().Realms())
		}
		there = s.signIn(b, other.app, other.user)
		b.press(asked, "").wantTo(signedOut)
		if s.lives(here) || s.lives(there) || len(b.set().Realms()) != 0 {
			t.Error("not all have ended")
		}
		late := b.visit(http.MethodGet, signOut, nil).want(http.StatusOK)
		if !strings.Contains(late.raw, "You are signed out") || strings.Contains(late.raw, "<form") {
			t.Errorf("a question that is out of date: %s", late.raw)
		}
	})
}

// The form of the question is taken from the page that this browser has open,
// and from nowhere else.
//
// Covers R-156 for logouts.
func TestOnlyOurOwnFormSignsOut(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, embedded(t)))
	app := s.app()
	b := s.browser()
	first := s.signIn(b, app, s.user)
	old := fieldsOfPage(b.visit(http.MethodGet, signOut, nil).want(http.StatusOK)).Get("page_token")
	if err := s.sessions.End(t.Context(), first.session.Tenant, first.session.ID, closed()); err != nil {
		t.Fatal(err)
	}
	l := s.signIn(b, app, s.user) // another one in its place
	stranger := s.browser()
	s.signIn(stranger, app, s.user)
	foreign := fieldsOfPage(stranger.visit(http.MethodGet, signOut, nil).want(http.StatusOK)).Get("page_token")
	good := fieldsOfPage(b.visit(http.MethodGet, signOut, nil).want(http.StatusOK)).Get("page_token")
	post := func(token, cookie, query string, headers ...string) *reply {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+signOut+query, strings.NewReader(url.Values{"page_token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", form)
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
		}
		if cookie != "" {
			req.Header.Set("Cookie", cookie)
		}
		return s.exchange(req)
	}
	ours, mine := "Sec-Fetch-Site: same-origin", "cs_sessions="+b.cookie("cs_sessions")
	for name, c := range map[string]struct {
		token, cookie, query string
		headers              []string
		status               int
	}{
		"no token":              {"", mine, "", []string{ours}, 403},
		"another token":         {"canary", mine, "", []string{ours}, 403},
		"another browser's":     {foreign, mine, "", []string{ours}, 403},
		"the one of before":     {old, mine, "", []string{ours}, 403},
		"a token cut short":     {good[:len(good)-1], mine, "", []string{ours}, 403},
		"no cookie":             {good, "", "", []string{ours}, 403},
		"another cookie":        {good, "cs_sessions=" + stranger.cookie("cs_sessions"), "", []string{ours}, 403},
		"two cookies":           {good, mine + "; " + mine, "", []string{ours}, 403},
		"from another site":     {good, mine, "", []string{"Sec-Fetch-Site: cross-site"}, 403},
		"from a subdomain":      {good, mine, "", []string{"Sec-Fetch-Site: same-site"}, 403},
		"an older browser":      {good, mine, "", []string{"Origin: https://evil.test"}, 403},
		"an opaque origin":      {good, mine, "", []string{"Origin: null"}, 403},
		"the token in a query":  {"", mine, "?page_token=" + good, []string{ours}, 400},
		"another method inside": {good, mine, "?_method=DELETE", []string{ours}, 400},
	} {
		if got := post(c.token, c.cookie, c.query, c.headers...); got.status != c.status || !got.isPage() {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.status, got.raw)
		}
		if !s.lives(l) {
			t.Fatalf("%s: the session has ended", name)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		b.visit(method, signOut+"?page_token="+good+"&realm=", nil).want(http.StatusOK)
	}
	if !s.lives(l) {
		t.Fatal("looking at the question has ended the session")
	}
	if post(good, mine, "", ours).wantTo(signedOut); s.lives(l) {
		t.Error("the form has not ended the session")
	}
}

// An app may send its request as a form, too. Browsers bring no cookie of ours
// with it, so that it is repeated as GET; what it has shown stays here, since an
// address is kept in histories and logs. What takes its place in the address is
// worth nothing in another browser, and nothing a second time.
func TestAPostedLogoutIsRepeatedWithoutItsTokens(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		s := newStage(t, start(t, p))
		app, another := s.app(), s.app("Another shop")
		for name, c := range map[string]struct {
			shows func(l login) url.Values
			asked bool
		}{
			"an ID token":      {func(l login) url.Values { return url.Values{"id_token_hint": {l.id}, "client_id": {app}} }, false},
			"an access token":  {func(l login) url.Values { return url.Values{"access_token_hint": {l.access}, "client_id": {app}} }, false},
			"no client":        {func(l login) url.Values { return url.Values{"id_token_hint": {l.id}} }, false},
			"another client":   {func(l login) url.Values { return url.Values{"id_token_hint": {l.id}, "client_id": {another}} }, true},
			"no token":         {func(login) url.Values { return url.Values{"client_id": {app}} }, true},
			"what is no token": {func(login) url.Values { return url.Values{"id_token_hint": {"canary"}, "client_id": {app}} }, true},
			"one of no session": {func(login) url.Values {
				return url.Values{"id_token_hint": {s.tokensOf(session.Session{}, app, s.user).id}}
			}, true},
		} {
			b := s.browser()
			l := s.signIn(b, app, s.user)
			form := c.shows(l)
			form.Set("post_logout_redirect_uri", afterLogout)
			form.Set("state", "s")
			form.Set("ui_locales", "fr")
			again := s.browser().visit(http.MethodPost, endSession, form).wantTo(endSession).to()
			if strings.Contains(again, "token") || strings.Contains(again, l.id) || strings.Contains(again, l.access) || strings.Contains(again, "canary") {
				t.Errorf("%s: the browser is sent to %s", name, again)
			}
			if !s.lives(l) {
				t.Fatalf("%s: a form of another site has ended a session by itself", name)
			}
			if c.asked {
				if b.visit(http.MethodGet, again, nil).wantTo(signOut); !s.lives(l) {
					t.Errorf("%s: the session has ended", name)
				}
				continue
			}
			if b.visit(http.MethodGet, again, nil).wantTo(afterLogout + "?state=s"); s.lives(l) {
				t.Errorf("%s: repeated it does not end the session", name)
			}
			l = s.signIn(b, app, s.user)
			if b.visit(http.MethodGet, again, nil).wantTo(signOut); !s.lives(l) {
				t.Errorf("%s: the same address has ended a second session", name)
			}
			stranger := s.signIn(s.browser(), app, s.user)
			if stranger.visit(http.MethodGet, s.browser().visit(http.MethodPost, endSession, c.shows(l)).to(), nil).wantTo(signOut); !s.lives(l) || !s.lives(stranger) {
				t.Errorf("%s: another browser has ended a session", name)
			}
		}
	})
}

// The app says in which language it speaks with the person.
func TestLogoutPagesSpeakWhatTheAppAsksFor(t *testing.T) {
	t.Parallel()
	s := newStage(t, start(t, embedded(t)))
	app := s.app("<b>Shop</b>")
	b := s.browser()
	s.signIn(b, app, s.user)
	for locales, want := range map[string]string{"": "Sign out?", "fr-CA fr en": "Se déconnecter", "xx de": "Abmelden?", "zz": "Sign out?"} {
		asked := b.end("client_id="+app, "ui_locales="+locales).wantTo(signOut)
		page := b.visit(http.MethodGet, asked.header.Get("Location"), nil).want(http.StatusOK)
		if !strings.Contains(page.raw, "<h1>"+want) || strings.Contains(page.raw, "<b>") || !strings.Contains(page.raw, "&lt;b&gt;Shop") {
			t.Errorf("in %q the page is %s", locales, page.raw)
		}
	}
	b.press(b.end("ui_locales=de").wantTo(signOut), "").wantTo(signedOut)
	if page := b.visit(http.MethodGet, signedOut+"?ui_locales=de", nil).want(http.StatusOK); !strings.Contains(page.raw, "Sie sind abgemeldet") {
		t.Errorf("the last page is %s", page.raw)
	}
}

// forge makes an ID token that says the same and is signed by another key.
func (s *stage) forge(of *stage, l login, app string) (string, error) {
	client, err := of.store.AppByID(s.t.Context(), app)
	if err != nil {
		return "", err
	}
	made, err := s.tokens.IssueUser(s.t.Context(), grant.Session{
		Grant: grant.Grant{
			ID: "7f3b0a44-0000-4000-8000-00000000000f", Tenant: client.Tenant, UserID: l.session.User.ID, ClientID: app, SessionID: l.session.ID,
			Scope: []string{grant.OpenID}, AMR: []string{grant.Password}, ACR: "aal1", AuthTime: time.Now(),
		},
		User: l.session.User, Org: client.Org, Profile: client.Profile, IDTokenAlg: client.IDTokenAlg,
	}, secret.Text{})
	return made.ID.Reveal(), err
}
