package flow_test

import (
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// appIsRegistered looks for the demo app by what dev.env says of it.
func (d devPlace) appIsRegistered(t *testing.T, printed string) {
	t.Helper()
	id, callback := d.env(t, "COUNTERSIGN_APP_CLIENT_ID"), d.env(t, "COUNTERSIGN_APP_REDIRECT_URI")
	if !strings.Contains(printed, "client_id "+id+", every method, codes go to "+callback) || !strings.Contains(printed, "_APP_CLIENT_ID, _APP_REDIRECT_URI") {
		t.Errorf("dev does not name its app %q:\n%s", id, printed)
	}
	app := d.app(t)
	read := app.Call("GET", app.Path("apps/"+id)).Want(200)
	for name, want := range map[string][]any{
		"redirect_uris": {"http://localhost:3000/callback"}, "origins": {"http://localhost:3000"},
		"methods": {"email", "password", "recovery", "sms", "totp"},
	} {
		if got, _ := read.Body[name].([]any); !slices.Equal(got, want) {
			t.Errorf("the app has %s %v, want %v", name, got, want)
		}
	}
	if read.Body["client_type"] != "public" || callback != "http://localhost:3000/callback" {
		t.Errorf("%v", read.Body)
	}
}

// browserIsPlayed looks for the steps of a login in a browser, up to the
// second pair of tokens.
func (d devPlace) browserIsPlayed(t *testing.T, printed string) {
	t.Helper()
	for _, must := range []*regexp.Regexp{
		regexp.MustCompile(`(?m)^20\. .* Open this address in a browser:\n  ` + regexp.QuoteMeta(d.url) + `/authz-srv/authz\?\S+$`),
		regexp.MustCompile(`-> the browser goes to http://localhost:3000/callback\?code=\.\.\., with state s1 and iss ` + regexp.QuoteMeta(d.url) + `\n`),
		regexp.MustCompile(`(?m)^  \$ curl .*/token-srv/token" .*-d "client_id=\$COUNTERSIGN_APP_CLIENT_ID" .*-d 'code_verifier=[A-Z2-7]{52}'$`),
		regexp.MustCompile(`-> access_token, id_token, refresh_token; scope openid email profile offline_access, good for 600 seconds\n`),
		regexp.MustCompile(`(?m)^  \$ curl .*/users-srv/userinfo" -H "Authorization: Bearer \$ACCESS_TOKEN"$`),
		regexp.MustCompile(`-> sub ` + d.env(t, "COUNTERSIGN_USER_ID") + `, email ana@demo\.example, given_name Ana\n`),
		regexp.MustCompile(`-> another access_token, id_token and refresh_token\n`),
	} {
		if !must.MatchString(printed) {
			t.Errorf("dev did not say %s:\n%s", must, printed)
		}
	}
}

// ownPageIsPlayed looks for the steps of a login on a page of the app.
func (d devPlace) ownPageIsPlayed(t *testing.T, printed string) {
	t.Helper()
	const json = `" -H 'Content-Type: application/json' -d '\{"`
	for _, must := range []*regexp.Regexp{
		regexp.MustCompile(`(?m)^24\. .*\n  \$ curl .*/authz-srv/authrequest/authz/generate` + json + `client_id":"` + d.env(t, "COUNTERSIGN_APP_CLIENT_ID") + `"`),
		regexp.MustCompile(`/verification-srv/public/graph/user/setup` + json + `email":"ben@demo\.example","request_id":"[^"]+"\}'\n   -> TOTP, SMS, EMAIL, PASSWORD, BACKUPCODE: `),
		regexp.MustCompile(`/verification-srv/authentication/TOTP/initiation` + json + `email":"ben@demo\.example",`),
		regexp.MustCompile(`/verification-srv/authentication/TOTP/verification` + json + `exchange_id":"[^"]+","pass_code":"[0-9]{6}"\}'\n   -> success: true, mfa_required: false, `),
		regexp.MustCompile(`/login-srv/verification/login" -d 'requestId=[^']+' -d 'status_id=[^']+' -d 'verificationType=TOTP' -d 'sub=[^']+'\n   -> 302 to http://localhost:3000/callback#code=\.\.\., with state s1\n`),
		regexp.MustCompile(`/token-srv/token" .*\n   -> access_token, id_token, refresh_token of Ben; good for 600 seconds\n`),
	} {
		if !must.MatchString(printed) {
			t.Errorf("dev did not say %s:\n%s", must, printed)
		}
	}
}

var addressToOpen = regexp.MustCompile(`(?m)^Sign in with a browser, as ana@demo\.example .* Open:\n  (\S+)$`)

// addressOpens opens what dev says at its end, as a reader does.
func (d devPlace) addressOpens(t *testing.T, printed string) {
	t.Helper()
	match := addressToOpen.FindStringSubmatch(printed)
	if match == nil {
		t.Fatalf("dev names no address to sign in at:\n%s", printed)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, match[1], nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if at := res.Request.URL; res.StatusCode != http.StatusOK || at.Host != d.addr || at.Path != "/login" {
		t.Errorf("%s leads to %s, which answers %d", match[1], at.Redacted(), res.StatusCode)
	}
}
