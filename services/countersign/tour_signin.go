package countersign

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// demoSignIn is one login that the demo app asks for: the address that it sends
// the browser to, and the verifier that proves later that it was the one who
// asked (RFC 7636).
type demoSignIn struct{ address, verifier string }

func newSignIn(base, appID string) demoSignIn {
	verifier := rand.Text() + rand.Text() // at least 43 characters; one text has 26
	challenge := sha256.Sum256([]byte(verifier))
	return demoSignIn{verifier: verifier, address: base + "/authz-srv/authz?" + url.Values{
		"response_type": {"code"}, "client_id": {appID}, "redirect_uri": {demoCallback},
		"scope": {"openid email profile offline_access"}, "state": {"s1"}, "nonce": {"n1"},
		"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}.Encode()}
}

// steps are the lines that say how to sign in with a browser.
func (d demoSignIn) steps() string {
	return fmt.Sprintf(`
Sign in with a browser, as %s with the password %s and a code sent to her phone, which the inbox shows. Open:
  %s
The browser ends at %s?code=..., where nothing listens. The code is good for a minute:
  curl -s "$COUNTERSIGN_URL/token-srv/token" -d grant_type=authorization_code -d "client_id=$COUNTERSIGN_APP_CLIENT_ID" \
    -d "redirect_uri=$COUNTERSIGN_APP_REDIRECT_URI" -d code_verifier=%s -d code=...
`, demoEmail, demoPassword, d.address, demoCallback, d.verifier)
}

// signIns plays a browser and the demo app: a login on the page, and what the
// app does with its tokens.
func (t *tour) signIns(ctx context.Context) error {
	login := newSignIn(t.base, t.appID)
	t.say("\n20. The demo app sends Ana's browser to sign in (code with PKCE, the verifier is %s). Open this address in a browser:", login.verifier)
	t.say("  %s", login.address)
	code, err := t.inBrowser(ctx, login.address)
	if err != nil {
		return err
	}
	app := *t.client
	app.token, app.app = "", true

	t.say("\n21. The app proves with its verifier that it had asked, and gets tokens")
	tokens, err := app.tokens(ctx, "grant_type=authorization_code", "client_id="+t.appID,
		"redirect_uri="+demoCallback, "code="+code, "code_verifier="+login.verifier)
	if err != nil {
		return err
	}
	t.say("   -> access_token, id_token, refresh_token; scope %v, good for %v seconds", tokens["scope"], tokens["expires_in"])

	t.say("\n22. Whose are they? ACCESS_TOKEN is the access_token of that answer")
	app.token = tokens.text("access_token")
	who, err := app.call(ctx, http.MethodGet, "/users-srv/userinfo")
	if err != nil {
		return err
	}
	if who.text("sub") != t.user {
		return errors.New("the tokens are somebody else's")
	}
	t.say("   -> sub %v, email %v, given_name %v", who["sub"], who["email"], who["given_name"])

	t.say("\n23. Another pair of tokens, without Ana. A refresh token works once: the answer has the next one")
	app.token = ""
	next, err := app.tokens(ctx, "grant_type=refresh_token", "client_id="+t.appID, "refresh_token="+tokens.text("refresh_token"))
	if err != nil {
		return err
	}
	if next.text("refresh_token") == tokens.text("refresh_token") {
		return errors.New("the refresh token was not replaced")
	}
	t.say("   -> another access_token, id_token and refresh_token")
	return nil
}

// tokens calls the token endpoint.
func (c *client) tokens(ctx context.Context, params ...string) (answer, error) {
	got, err := c.call(ctx, http.MethodPost, "/token-srv/token", params...)
	if err != nil {
		return nil, err
	}
	if got.text("access_token") == "" || got.text("id_token") == "" || got.text("refresh_token") == "" {
		return nil, errors.New("the answer holds no tokens")
	}
	return got, nil
}

var flowID = regexp.MustCompile(`name="requestId" value="([^"]+)"`)

// signInPage is a browser at the pages of one login.
type signInPage struct {
	*tour
	browser *http.Client
	text    string // of the page that is shown
	left    *url.URL
}

// inBrowser signs Ana in, as she does it with her own browser: her password, a
// code on her phone. It returns the code for the app.
func (t *tour) inBrowser(ctx context.Context, address string) (code string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", fmt.Errorf("make browser: %w", err)
	}
	p := &signInPage{tour: t, browser: &http.Client{Jar: jar, Timeout: t.http.Timeout}}
	p.browser.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), t.base+"/") {
			return nil
		}
		p.left = next.URL // the app is not there
		return http.ErrUseLastResponse
	}
	if p.text, err = fetch(ctx, p.browser, http.MethodGet, address, nil); err != nil {
		return "", err
	}
	t.say("   On the page: %s and the password %s", demoEmail, demoPassword)
	if err := p.send(ctx, "/login", url.Values{"email": {demoEmail}, "password": {demoPassword}}); err != nil {
		return "", err
	}
	before, err := t.newest(ctx)
	if err != nil {
		return "", err
	}
	t.say("   Then the button that sends a code to her phone, and the code")
	if err := p.send(ctx, "/login/send", url.Values{}); err != nil {
		return "", err
	}
	typed, err := t.codeAfter(ctx, before)
	if err != nil {
		return "", err
	}
	if err := p.send(ctx, "/login/code", url.Values{"code": {typed}}); err != nil {
		return "", err
	}
	if p.left == nil || p.left.Query().Get("code") == "" {
		return "", errors.New("the sign-in page does not lead back to the app")
	}
	t.say("   -> the browser goes to %s?code=..., with state %s and iss %s", demoCallback, p.left.Query().Get("state"), p.left.Query().Get("iss"))
	return p.left.Query().Get("code"), nil
}

// send fills in a form of the page and presses its button.
func (p *signInPage) send(ctx context.Context, path string, form url.Values) (err error) {
	flow, token := flowID.FindStringSubmatch(p.text), pageToken.FindStringSubmatch(p.text)
	if flow == nil || token == nil || !strings.Contains(p.text, `action="`+path+`"`) {
		return fmt.Errorf("the sign-in page has no form for %s", path)
	}
	form.Set("requestId", flow[1])
	form.Set("page_token", token[1])
	p.text, err = fetch(ctx, p.browser, http.MethodPost, p.base+path, form)
	return err
}

// newest returns the newest message to the user's phone, and shows nothing.
func (t *tour) newest(ctx context.Context) (answer, error) {
	quiet := *t.client
	quiet.out = io.Discard
	got, err := quiet.call(ctx, http.MethodGet, "/api/v2/org/"+t.org+"/inbox", "per_page=1", "to="+demoPhone)
	if err != nil {
		return nil, err
	}
	items, _ := got["data"].([]any)
	if len(items) == 0 {
		return answer{}, nil
	}
	item, _ := items[0].(map[string]any)
	return item, nil
}

// codeAfter waits for a message after the one before, and returns its code.
func (t *tour) codeAfter(ctx context.Context, before answer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		got, err := t.newest(ctx)
		if err != nil {
			return "", err
		}
		if id := got.text("id"); id != "" && id != before.text("id") {
			t.say("   -> the inbox shows:\n%s", indent(got.text("text")))
			if match := sentCode.FindStringSubmatch(got.text("text")); match != nil {
				return match[1], nil
			}
			return "", errors.New("the message holds no code")
		}
		select {
		case <-ctx.Done():
			return "", errors.New("no message arrived in the inbox")
		case <-again.C:
		}
	}
}
