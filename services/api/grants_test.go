package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/grant"
)

// tokenPaths both do everything.
var tokenPaths = []string{"/api/v2/oauth/token", "/oauth/token"}

// app is a house with a key, whose token it calls with.
type app struct {
	*house
	key api.NewKey
}

// app signs a new key of an account in.
func (h *house) app(account, env string) *app {
	h.t.Helper()
	key := h.key(account, env, api.AllScopes)
	return &app{h.as(h.signIn(key)), key}
}

// code is one that the user's login for the app's key has ended in.
func (a *app) code(change ...func(*grant.New)) string {
	a.t.Helper()
	code, err := a.service.CodeFor(a.t.Context(), a.key.ClientID, a.org, a.user, change...)
	if err != nil {
		a.t.Fatal(err)
	}
	return code.Reveal()
}

// redeem exchanges a code at a path.
func (a *app) redeem(path, code string, more ...string) *reply {
	a.t.Helper()
	return a.call("POST", path, append([]string{"grant_type=authorization_code", "code=" + code}, more...)...)
}

// refresh exchanges a refresh token.
func (a *app) refresh(raw string, more ...string) *reply {
	a.t.Helper()
	return a.call("POST", "/oauth/token", append([]string{"grant_type=refresh_token", "refresh_token=" + raw}, more...)...)
}

// session is one that has just begun.
func (a *app) session() *reply {
	a.t.Helper()
	return a.redeem("/oauth/token", a.code()).want(200)
}

// wantOAuth checks an error in the form of RFC 6749.
func (r *reply) wantOAuth(what string, status int, code string) {
	r.t.Helper()
	if r.status != status || r.body["error"] != code || r.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("%s: status %d, want %d %s: %s", what, r.status, status, code, r.raw)
	}
}

// A code is good for the API key that asked for it, with all it was made for,
// and for one try.
// Covers R-140 for the headless token paths.
func TestACodeIsForItsOwnKey(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	a := h.app("acme", "sandbox")
	beside, live, rival := h.app("acme", "sandbox"), h.app("acme", "default"), h.app("rival", "sandbox")
	revoked := h.app("acme", "sandbox")
	if err := h.admin.RevokeKey(t.Context(), revoked.key.ClientID); err != nil {
		t.Fatal(err)
	}
	user := a.redeem("/oauth/token", a.code()).want(200)
	secret := "client_secret=" + a.key.ClientSecret.Reveal()
	for name, c := range map[string]struct {
		token string
		more  []string
		code  string
	}{
		"nobody":                       {"", nil, "invalid_client"},
		"a word":                       {"nonsense", nil, "invalid_client"},
		"a token cut short":            {a.token[:len(a.token)-3], nil, "invalid_client"},
		"a user's access token":        {user.text("access_token"), nil, "invalid_client"},
		"an ID token":                  {user.text("id_token"), nil, "invalid_client"},
		"a revoked key":                {revoked.token, nil, "invalid_client"},
		"the key's secret":             {"", []string{"client_id=" + a.key.ClientID, secret}, "invalid_client"},
		"the secret beside the token":  {a.token, []string{secret}, "invalid_request"},
		"another key":                  {beside.token, nil, "invalid_grant"},
		"another key, in our name":     {beside.token, []string{"client_id=" + a.key.ClientID}, "invalid_client"},
		"our key, in another's name":   {a.token, []string{"client_id=" + beside.key.ClientID}, "invalid_client"},
		"the other environment's":      {live.token, nil, "invalid_grant"},
		"another account's":            {rival.token, nil, "invalid_grant"},
		"our key, another account":     {a.token, []string{"tenant_domain=rival"}, "invalid_client"},
		"our key, an organization":     {a.token, []string{"domain=" + a.org}, "invalid_client"},
		"a redirect URI":               {a.token, []string{"redirect_uri=https://acme.test/"}, "invalid_grant"},
		"a verifier without challenge": {a.token, []string{"code_verifier=" + strings.Repeat("a", 43)}, "invalid_grant"},
	} {
		for _, path := range tokenPaths {
			code, caller := a.code(), &app{a.as(c.token), a.key}
			status := http.StatusBadRequest
			if c.code == "invalid_client" {
				status = http.StatusUnauthorized
			}
			caller.redeem(path, code, c.more...).wantOAuth(name, status, c.code)
			a.redeem(path, code).wantOAuth(name+", then all right", 400, "invalid_grant")
		}
	}
	a.redeem("/oauth/token", a.code(), "client_id="+a.key.ClientID, "audience=acme", "foo=bar").want(200)
	at := func(n *grant.New) { n.RedirectURI = "https://acme.test/" }
	a.redeem("/oauth/token", a.code(at), "redirect_uri=https://acme.test/").want(200)
	a.redeem("/oauth/token", a.code(at)).want(200) // the contract's clients leave it out
	a.redeem("/oauth/token", a.code(at), "redirect_uri=https://acme.test").wantOAuth("another redirect URI", 400, "invalid_grant")
	a.redeem("/oauth/token", "").wantOAuth("no code", 400, "invalid_request")
	a.redeem("/oauth/token", strings.Repeat("a", 60_000)).wantOAuth("a long code", 400, "invalid_grant")
	a.refresh("").wantOAuth("no refresh token", 400, "invalid_request")
	a.refresh(strings.Repeat(".", 60_000)).wantOAuth("a long refresh token", 400, "invalid_grant")
}

// Of 32 parallel redemptions over two processes one gets tokens, and none of
// them outlives the others' tries.
// Covers R-141 over HTTP.
func TestACodeIsRedeemedOnceOverHTTP(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		one := start(t, p).app("acme", "sandbox")
		two := &app{open(t, p).as(one.token), one.key}
		two.org, two.user = one.org, one.user
		for range 5 {
			code := one.code()
			answers := make([]*reply, 32)
			begin := make(chan struct{})
			var group sync.WaitGroup
			for i := range answers {
				caller := []*app{one, two}[i%2]
				group.Go(func() {
					<-begin
					answers[i] = caller.redeem(tokenPaths[i/2%2], code)
				})
			}
			close(begin)
			group.Wait()
			var got []*reply
			replays := 0
			for _, answer := range answers {
				switch answer.status {
				case 200:
					got = append(got, answer)
				case 503: // a busy machine, on which it waited too long
				default:
					answer.wantOAuth("a parallel redemption", 400, "invalid_grant")
					replays++
				}
			}
			if len(got) > 1 || len(got) == 0 && replays == len(answers) {
				t.Fatalf("%d of 32 redemptions gave tokens, want 1", len(got))
			}
			if len(got) == 1 && replays > 0 {
				two.refresh(got[0].text("refresh_token")).wantOAuth("after the others", 400, "invalid_grant")
			}
		}
	})
}

// Covers R-143 over HTTP.
func TestRefreshing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		one := start(t, p).app("acme", "sandbox")
		two := &app{open(t, p).as(one.token), one.key}
		first := one.session()
		second := two.refresh(first.text("refresh_token"), "scope=openid").want(200)
		if second.text("refresh_token") == first.text("refresh_token") || second.text("access_token") == first.text("access_token") {
			t.Error("a refresh gave what was there before")
		}
		again := one.call("POST", "/api/v2/oauth/token", "grant_type=refresh_token", "token="+first.text("refresh_token")).want(200)
		if again.text("refresh_token") != second.text("refresh_token") {
			t.Error("a retry began a second family")
		}
		other := (&app{one.house.app("acme", "sandbox").house, one.key})
		other.refresh(second.text("refresh_token")).wantOAuth("another key", 400, "invalid_grant")
		(&app{one.as(""), one.key}).refresh(second.text("refresh_token")).wantOAuth("nobody", 401, "invalid_client")
		third := one.refresh(second.text("refresh_token")).want(200) // neither has used it up
		other.refresh(second.text("refresh_token")).wantOAuth("a used one, by another key", 400, "invalid_grant")
		two.refresh(third.text("refresh_token")).wantOAuth("after that", 400, "invalid_grant")
	})
}

// Covers R-040 for refresh tokens and codes: users, keys and organizations.
func TestWhoIsGoneRefreshesNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		a := h.app("acme", "sandbox")
		two := &app{open(t, p).as(a.token), a.key}
		path := "/api/v2/org/" + a.org + "/users/" + a.user
		session, code := a.session(), a.code()
		h.call("PUT", path, "active=false").want(200)
		two.refresh(session.text("refresh_token")).wantOAuth("a user who is deactivated", 400, "invalid_grant")
		two.redeem("/oauth/token", code).wantOAuth("a code of a user who is deactivated", 400, "invalid_grant")
		h.call("PUT", path, "active=true").want(200)
		session = two.refresh(session.text("refresh_token")).want(200)
		h.call("DELETE", "/api/v2/api-keys/"+a.key.ClientID).want(200)
		two.refresh(session.text("refresh_token")).wantOAuth("a key that is revoked", 401, "invalid_client")
		b := h.app("acme", "sandbox")
		session, code = b.session(), b.code()
		h.call("DELETE", path).want(200)
		b.refresh(session.text("refresh_token")).wantOAuth("a user who is deleted", 400, "invalid_grant")
		b.redeem("/oauth/token", code).wantOAuth("a code of a user who is deleted", 400, "invalid_grant")
		b.house.user = h.newUser("bob@acme.test", "")
		session = b.session()
		h.call("DELETE", "/api/v2/organizations/"+b.org).want(200)
		b.refresh(session.text("refresh_token")).wantOAuth("an organization that is deleted", 400, "invalid_grant")
	})
}

// Every parameter twice, in each form and place, is refused; so are two names
// of one with two values.
// Covers R-128 for the token paths.
func TestDuplicateParametersOfTokenPaths(t *testing.T) {
	t.Parallel()
	a := start(t, embedded(t)).app("acme", "sandbox")
	const asForm, asJSON = "application/x-www-form-urlencoded", "application/json"
	send := func(path, mediaType, body string) *reply {
		return a.raw("POST", path, mediaType, strings.NewReader(body))
	}
	for _, path := range tokenPaths {
		for _, name := range []string{
			"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier", "refresh_token", "token", "tenant_domain", "domain", "audience",
		} {
			code := a.code()
			base := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
			value := "x"
			if base.Has(name) {
				value = base.Get(name)
			}
			twice := url.Values{name: {value, value}}
			for other := range base {
				if other != name {
					twice.Set(other, base.Get(other))
				}
			}
			send(path, asForm, twice.Encode()).wantOAuth("a form with "+name+" twice", 400, "invalid_request")
			send(path, asForm, base.Encode()+"&"+name+"[]="+value+"&"+name+"[]=y").wantOAuth("a list of "+name, 400, "invalid_request")
			send(path, asJSON, `{"grant_type":"authorization_code","code":"`+code+`","`+name+`":"`+value+`","`+name+`":"`+value+`"}`).
				wantOAuth("JSON with "+name+" twice", 400, "invalid_request")
			send(path+"?"+url.Values{name: {value}}.Encode(), asForm, base.Encode()).wantOAuth(name+" in the query", 400, "invalid_request")
			a.redeem(path, code).want(200) // nothing of it has touched the code
		}
		session := a.session()
		a.refresh(session.text("refresh_token"), "token=x").wantOAuth("two names of one", 400, "invalid_request")
		a.refresh(session.text("refresh_token"), "token="+session.text("refresh_token")).want(200)
	}
}

// Covers R-142 for the token paths.
func TestOtherGrantsAreRefused(t *testing.T) {
	t.Parallel()
	a := start(t, embedded(t)).app("acme", "sandbox")
	for _, path := range tokenPaths {
		for _, kind := range []string{
			"password", "implicit", "token", "device_code", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
			"urn:ietf:params:oauth:grant-type:token-exchange", "AUTHORIZATION_CODE", "authorization_code ", "authorization_code refresh_token", "none",
		} {
			code := a.code()
			a.call("POST", path, "grant_type="+kind, "code="+code, "username=ana@acme.test", "password=x").wantOAuth(kind, 400, "unsupported_grant_type")
			a.redeem(path, code).want(200)
		}
		a.call("POST", path, "username=ana@acme.test").wantOAuth("no grant and no code", 400, "invalid_request")
		a.call("POST", path, "grant_type=client_credentials", "code="+a.code()).wantOAuth("a code for the wrong grant", 400, "invalid_request")
	}
}

// A client that asks for a new token may send the old one along.
func TestAnOldTokenIsNoHindrance(t *testing.T) {
	t.Parallel()
	a := start(t, embedded(t)).app("acme", "sandbox")
	for _, old := range []string{a.token, "expired", a.session().text("access_token")} {
		a.as(old).call("POST", "/oauth/token", "grant_type=client_credentials", "client_id="+a.key.ClientID,
			"client_secret="+a.key.ClientSecret.Reveal()).want(200)
	}
}
