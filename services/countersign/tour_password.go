package countersign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// What the tour gives its user.
const (
	demoPassword = "2vK79^41aokzi6lc8"
	demoWeak     = "DemoCompany2026!"
	demoApp      = "http://localhost:3000/welcome"
)

// passwords plays the life of a password: a link by mail, a password by the
// link, a login with it, and the tokens of that login.
func (t *tour) passwords(ctx context.Context) error {
	t.say("\n13. Passwords: the app asks for a link for Ana, an event crosses NATS, the e-mail worker delivers")
	if _, err := t.call(ctx, http.MethodPost, "/api/v2/org/"+t.org+"/password-connection"); err != nil {
		return err
	}
	asked, err := t.call(ctx, http.MethodPost, "/api/v2/password-request", "user_email="+demoEmail, "org_domain="+t.org, "redirect_uri="+demoApp)
	if err != nil {
		return err
	}
	text, err := t.message(ctx, asked.text("request_id"))
	if err != nil {
		return err
	}
	link := sentLink.FindString(text)
	if link == "" {
		return errors.New("the mail holds no link")
	}

	t.say("\n14. Ana opens the link; only the button of its page uses it, and leads back to the app")
	back, err := t.click(ctx, link)
	if err != nil {
		return err
	}
	t.say("   -> %s?password_code=...", demoApp)

	t.say("\n15. The app sets the password: a weak one is refused with advice for Ana, and leaves the code good")
	if err := t.refused(ctx, back.Get("password_code")); err != nil {
		return err
	}
	t.say("   A good one is taken. Ana has a phone enrolled, so this alone is no login yet")
	set, err := t.call(ctx, http.MethodPost, "/api/v2/password", "plain_text="+demoPassword, "password_code="+back.Get("password_code"))
	if err != nil {
		return err
	}
	if set["code"] != nil {
		return errors.New("the second factor was not asked for")
	}
	t.say("   -> code: null, mfa_required: %v", set["mfa_required"])
	return t.logIn(ctx)
}

// refused tries a password that is long enough and little more than a name.
func (t *tour) refused(ctx context.Context, code string) error {
	status, got, err := t.try(ctx, http.MethodPost, "/api/v2/password", "plain_text="+demoWeak, "password_code="+code)
	if err != nil {
		return err
	}
	why, _ := got["error"].(map[string]any)
	advice, _ := why["advice"].([]any)
	if status != http.StatusUnprocessableEntity || len(advice) == 0 {
		return fmt.Errorf("a weak password was answered with %d", status)
	}
	t.say("   -> %d %v", status, why["type"])
	for _, sentence := range advice {
		t.say("      %v", sentence)
	}
	return nil
}

// logIn proves the password and then the phone, and gets the tokens.
func (t *tour) logIn(ctx context.Context) error {
	t.say("\n16. A login: the password first")
	proven, err := t.call(ctx, http.MethodPost, "/api/v2/password-challenge", "user_email="+demoEmail, "org_domain="+t.org, "plain_text="+demoPassword)
	if err != nil {
		return err
	}
	t.say("   -> valid?: %v, mfa_required: %v", proven["valid?"], proven["mfa_required"])

	t.say("\n17. Then the phone: the right code ends the login that waits")
	challenge := "/api/v2/org/" + t.org + "/totp-challenge/"
	sent, err := t.call(ctx, http.MethodPost, challenge+t.user)
	if err != nil {
		return err
	}
	code, err := t.receive(ctx, sent.text("request_id"))
	if err != nil {
		return err
	}
	ended, err := t.call(ctx, http.MethodPost, challenge+"validation/"+t.user, "code="+code, "request_id="+proven.text("request_id"))
	if err != nil {
		return err
	}
	t.say("   -> success: %v, authorization_code: ...", ended["success"])

	t.say("\n18. The app turns the authorization code into tokens, once")
	tokens, err := t.call(ctx, http.MethodPost, "/api/v2/oauth/token", "grant_type=authorization_code", "code="+ended.text("authorization_code"))
	if err != nil {
		return err
	}
	if tokens.text("access_token") == "" || tokens.text("id_token") == "" {
		return errors.New("the answer holds no tokens")
	}
	t.say("   -> access_token, id_token, refresh_token; good for %v seconds", tokens["expires_in"])
	return nil
}

var (
	sentLink  = regexp.MustCompile(`https?://\S+/magic-link/verify/\S+`)
	pageToken = regexp.MustCompile(`name="page_token" value="([^"]+)"`)
)

// click does what a person does with a link: opens it and presses the button.
// It returns the query of where the browser is sent.
func (t *tour) click(ctx context.Context, link string) (url.Values, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make browser: %w", err)
	}
	browser := http.Client{Jar: jar, Timeout: t.http.Timeout}
	page, err := fetch(ctx, &browser, http.MethodGet, link, nil)
	if err != nil {
		return nil, err
	}
	token := pageToken.FindStringSubmatch(page)
	if token == nil {
		return nil, errors.New("the page of the link has no button")
	}
	var sent *url.URL
	browser.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		sent = next.URL
		return http.ErrUseLastResponse // the app is not there
	}
	if _, err := fetch(ctx, &browser, http.MethodPost, t.base+"/link", url.Values{"page_token": {token[1]}}); err != nil {
		return nil, err
	}
	if sent == nil {
		return nil, errors.New("the button leads nowhere")
	}
	return sent.Query(), nil
}

func fetch(ctx context.Context, browser *http.Client, method, address string, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := browser.Do(req)
	if err != nil {
		return "", fmt.Errorf("open page: %w", err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read page: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("the page of the link answers %d", res.StatusCode)
	}
	return string(page), nil
}
