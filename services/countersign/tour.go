package countersign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// demo names what the first start of dev makes.
const (
	demoAccount = "demo"
	demoOrg     = "Demo Company"
	demoEmail   = "ana@demo.example"
	demoPhone   = "+4915112345678"
	benEmail    = "ben@demo.example"
	cleoEmail   = "cleo@demo.example"
)

// tour plays an SMS challenge, an authenticator app, the life of a password, a
// login in a browser and one on a page of the app through, as apps would over
// HTTP, and prints each step with the curl line that does it.
type tour struct {
	*client
	key   demoKey
	org   string
	user  string
	ben   *authenticator // the app that the second user has enrolled last
	appID string         // client_id of the demo app
}

type demoKey struct{ id, secret string }

func (t *tour) say(format string, args ...any) {
	if t.out != nil {
		fmt.Fprintf(t.out, format+"\n", args...)
	}
}

// play makes the demo organization, its users and its app, and goes all steps. It
// fills org, user and appID.
func (t *tour) play(ctx context.Context) error {
	t.say("\n1. The app gets an access token for its API key")
	if err := t.signIn(ctx); err != nil {
		return err
	}
	t.say("   -> $TOKEN, good for an hour")

	t.say("\n2. It makes an organization, allows second factors there, and adds a user")
	if err := t.prepare(ctx); err != nil {
		return err
	}
	t.say("   -> organization %s, user %s", t.org, t.user)

	t.say("\n3. It enrols the user's phone: a code is sent, and proves the number")
	enrollment := "/api/v2/org/" + t.org + "/totp-enrollment/"
	started, err := t.call(ctx, http.MethodPost, enrollment+t.user, "method=sms")
	if err != nil {
		return err
	}
	code, err := t.receive(ctx, started.text("request_id"))
	if err != nil {
		return err
	}
	if err := t.prove(ctx, http.MethodPut, enrollment+"validation/"+t.user, code); err != nil {
		return err
	}

	t.say("\n4. The user logs in: the app asks for a code, an event crosses NATS, the SMS worker delivers")
	challenge := "/api/v2/org/" + t.org + "/totp-challenge/"
	if started, err = t.call(ctx, http.MethodPost, challenge+t.user); err != nil {
		return err
	}
	if code, err = t.receive(ctx, started.text("request_id")); err != nil {
		return err
	}

	t.say("\n5. The user types the code, and it works exactly once")
	if err := t.prove(ctx, http.MethodPost, challenge+"validation/"+t.user, code); err != nil {
		return err
	}
	if err := t.again(ctx, challenge+"validation/"+t.user, code, started.text("request_id")); err != nil {
		return err
	}
	if err := t.apps(ctx); err != nil {
		return err
	}
	if err := t.passwords(ctx); err != nil {
		return err
	}
	if err := t.browsers(ctx); err != nil {
		return err
	}
	if err := t.signIns(ctx); err != nil {
		return err
	}
	if err := t.ownPage(ctx); err != nil {
		return err
	}
	return t.newcomer(ctx)
}

func (t *tour) signIn(ctx context.Context) error {
	got, err := t.call(ctx, http.MethodPost, "/api/v2/oauth/token",
		"grant_type=client_credentials", "client_id="+t.key.id, "client_secret="+t.key.secret)
	if err != nil {
		return err
	}
	t.token = got.text("access_token")
	return nil
}

func (t *tour) prepare(ctx context.Context) error {
	org, err := t.call(ctx, http.MethodPost, "/api/v2/organizations", "name="+demoOrg)
	if err != nil {
		return err
	}
	t.org = org.text("domain")
	if _, err := t.call(ctx, http.MethodPut, "/api/v2/org/"+t.org+"/totp-connection", "active=true", "passwordless=true"); err != nil {
		return err
	}
	user, err := t.call(ctx, http.MethodPost, "/api/v2/org/"+t.org+"/users",
		"profile[email]="+demoEmail, "profile[given_name]=Ana", "phone_number="+demoPhone)
	if err != nil {
		return err
	}
	t.user = user.text("id")
	return nil
}

// inboxPatience bounds the wait for a message; it takes milliseconds.
const inboxPatience = 10 * time.Second

var sentCode = regexp.MustCompile(`#([0-9]{6})$`)

// receive returns the code in the message of a request.
func (t *tour) receive(ctx context.Context, requestID string) (string, error) {
	text, err := t.message(ctx, requestID)
	if err != nil {
		return "", err
	}
	match := sentCode.FindStringSubmatch(text)
	if match == nil {
		return "", errors.New("the message holds no code")
	}
	return match[1], nil
}

// message waits for the message of a request in the sandbox inbox and returns
// its text.
func (t *tour) message(ctx context.Context, requestID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, inboxPatience)
	defer cancel()
	quiet := *t.client
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		got, err := quiet.call(ctx, http.MethodGet, "/api/v2/org/"+t.org+"/inbox", "request_id="+requestID)
		if err != nil {
			return "", err
		}
		if text := firstText(got); text != "" {
			t.say("   -> the inbox shows:\n%s", indent(text))
			return text, nil
		}
		quiet.out = io.Discard // the line is shown once, not at every look
		select {
		case <-ctx.Done():
			return "", errors.New("no message arrived in the inbox")
		case <-again.C:
		}
	}
}

func (t *tour) prove(ctx context.Context, method, path, code string) error {
	got, err := t.call(ctx, method, path, "code="+code)
	if err != nil {
		return err
	}
	if got["success"] != true {
		return fmt.Errorf("the code was not taken: %v", got["error"])
	}
	t.say("   -> success: true")
	return nil
}

// again shows that the code is used up, and what became of the message.
func (t *tour) again(ctx context.Context, path, code, requestID string) error {
	got, err := t.call(ctx, http.MethodPost, path, "code="+code)
	if err != nil {
		return err
	}
	if got["success"] != false {
		return errors.New("a used code was taken again")
	}
	t.say("   -> success: false, error: %v", got["error"])
	t.say("\n6. What became of the message stays visible")
	deliveries, err := t.call(ctx, http.MethodGet, "/api/v2/org/"+t.org+"/deliveries", "request_id="+requestID)
	if err != nil {
		return err
	}
	items, _ := deliveries["data"].([]any)
	if len(items) != 1 {
		return fmt.Errorf("%d deliveries instead of one", len(items))
	}
	item, _ := items[0].(map[string]any)
	t.say("   -> %v to %v: %v", item["channel"], item["to"], item["state"])
	return nil
}

func firstText(list answer) string {
	items, _ := list["data"].([]any)
	if len(items) == 0 {
		return ""
	}
	item, _ := items[0].(map[string]any)
	text, _ := item["text"].(string)
	return text
}

func indent(text string) string { return margin("      | ", text) }

func margin(left, text string) string { return left + strings.ReplaceAll(text, "\n", "\n"+left) }
