package countersign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// ownPage plays the login page of an app that shows one itself: Ben signs in
// with his authenticator app, by calls of the verification flow and without a
// cookie.
func (t *tour) ownPage(ctx context.Context) error {
	t.say("\n24. An app may show a login page of its own (docs/verification.md). The page asks for a request id, and what may be proven")
	page := *t.client
	page.token, page.app = "", true
	asked, err := page.ask(ctx, "/authz-srv/authrequest/authz/generate", map[string]string{
		"client_id": t.appID, "redirect_uri": demoCallback, "scope": "openid email profile offline_access", "state": "s1",
	})
	if err != nil {
		return err
	}
	requestID := asked.text("requestId")
	listed, err := page.ask(ctx, "/verification-srv/public/graph/user/setup", map[string]string{"request_id": requestID, "email": benEmail})
	if err != nil {
		return err
	}
	t.say("   -> %s: the same for whoever is named, so that nobody learns who has an account", strings.Join(methods(listed), ", "))

	t.say("   It starts one, and sends the code of Ben's app with the exchange_id of that answer, which is used up by it")
	started, err := page.ask(ctx, "/verification-srv/authentication/TOTP/initiation",
		map[string]string{"request_id": requestID, "usage_type": "PASSWORDLESS_AUTHENTICATION", "email": benEmail})
	if err != nil {
		return err
	}
	code, err := t.ben.next()
	if err != nil {
		return err
	}
	exchange, _ := started["exchange_id"].(map[string]any)
	proven, err := page.ask(ctx, "/verification-srv/authentication/TOTP/verification",
		map[string]string{"exchange_id": answer(exchange).text("exchange_id"), "pass_code": code})
	if err != nil {
		return err
	}
	if proven["mfa_required"] != false {
		return errors.New("a code of the authenticator app did not end the login")
	}
	t.say("   -> success: true, mfa_required: %v, another exchange_id", proven["mfa_required"])
	return t.finishes(ctx, &page, requestID, started)
}

// finishes leaves the page by a form, and ends with tokens.
func (t *tour) finishes(ctx context.Context, page *client, requestID string, started answer) error {
	t.say("   Then it sends the browser to finish, and the browser comes back to the app:")
	form := []string{"requestId=" + requestID, "status_id=" + started.text("status_id"), "verificationType=TOTP", "sub=" + started.text("sub")}
	back, err := page.leave(ctx, "/login-srv/verification/login", form)
	if err != nil {
		return err
	}
	came, err := url.ParseQuery(back.Fragment)
	if err != nil || came.Get("code") == "" || !strings.HasPrefix(back.String(), demoCallback+"#") {
		return errors.New("the browser does not come back to the app with a code")
	}
	t.say("   -> 302 to %s#code=..., with state %s", demoCallback, came.Get("state"))
	tokens, err := page.tokens(ctx, "grant_type=authorization_code", "client_id="+t.appID, "redirect_uri="+demoCallback, "code="+came.Get("code"))
	if err != nil {
		return err
	}
	t.say("   -> access_token, id_token, refresh_token of Ben; good for %v seconds", tokens["expires_in"])
	return nil
}

// methods are the types in a list of methods.
func methods(listed answer) (types []string) {
	list, _ := listed["configured_list"].([]any)
	for _, each := range list {
		one, _ := each.(map[string]any)
		types = append(types, answer(one).text("type"))
	}
	return types
}

// ask sends JSON as the page of an app does, and returns the data of the
// answer.
func (c *client) ask(ctx context.Context, path string, body map[string]string) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", path, err)
	}
	if c.out != nil {
		fmt.Fprintf(c.out, "  $ curl -s \"$COUNTERSIGN_URL%s\" -H 'Content-Type: application/json' -d '%s'\n", path, text)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, strings.NewReader(string(text)))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	status, got, err := c.send(req)
	if err != nil {
		return nil, err
	}
	data, ok := got["data"].(map[string]any)
	if status != http.StatusOK || !ok {
		return nil, fmt.Errorf("%s: status %d: %v: %v", path, status, got["code"], got["error"])
	}
	return data, nil
}

// leave posts a form as a browser that leaves a page, and returns where it is
// sent.
func (c *client) leave(ctx context.Context, path string, params []string) (*url.URL, error) {
	c.show(http.MethodPost, path, params)
	form := url.Values{}
	for _, param := range params {
		name, value, _ := strings.Cut(param, "=")
		form.Set(name, value)
	}
	var sent *url.URL
	browser := http.Client{Timeout: c.http.Timeout, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		sent = next.URL
		return http.ErrUseLastResponse // the app is not there
	}}
	if _, err := fetch(ctx, &browser, http.MethodPost, c.base+path, form); err != nil {
		return nil, err
	}
	if sent == nil {
		return nil, fmt.Errorf("%s leads nowhere", path)
	}
	return sent, nil
}
