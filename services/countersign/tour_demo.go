package countersign

import (
	"context"
	"errors"
	"io"
	"net/http"

	"countersign.dev/services/countersign/demoapp"
)

const cleoPassword = "9qT52%amber-kiosk7"

// newcomer makes a user who has a password and no second factor, so that
// signing in to the app at /demo enrols one.
func (t *tour) newcomer(ctx context.Context) error {
	t.say("\n25. Cleo is new: she has a password, set as Ana's, and enrols a second factor when she signs in to the app at %s", demoapp.Path)
	quiet := *t.client
	quiet.out = io.Discard
	aside := &tour{client: &quiet, key: t.key, org: t.org}
	if _, err := aside.call(ctx, http.MethodPost, "/api/v2/org/"+t.org+"/users", "profile[email]="+cleoEmail, "profile[given_name]=Cleo"); err != nil {
		return err
	}
	asked, err := aside.call(ctx, http.MethodPost, "/api/v2/password-request", "user_email="+cleoEmail, "org_domain="+t.org, "redirect_uri="+demoApp)
	if err != nil {
		return err
	}
	text, err := aside.message(ctx, asked.text("request_id"))
	if err != nil {
		return err
	}
	link := sentLink.FindString(text)
	if link == "" {
		return errors.New("the mail holds no link")
	}
	back, err := aside.click(ctx, link)
	if err != nil {
		return err
	}
	if _, err := aside.call(ctx, http.MethodPost, "/api/v2/password", "plain_text="+cleoPassword, "password_code="+back.Get("password_code")); err != nil {
		return err
	}
	t.say("   -> %s with the password %s", cleoEmail, cleoPassword)
	return nil
}

// Where dev.env says what the app at /demo is registered as, and who may sign in
// there. Folders of before there was a demo have no such person.
const (
	demoURLName      = "COUNTERSIGN_DEMO_URL"
	demoClientName   = "COUNTERSIGN_DEMO_CLIENT_ID"
	demoEmailName    = "COUNTERSIGN_DEMO_EMAIL"
	demoPasswordName = "COUNTERSIGN_DEMO_PASSWORD"
)

// demoSteps say how to sign in at the demo.
func demoSteps(env map[string]string) string {
	line := env[demoURLName] + " is an app to sign in to"
	if env[demoEmailName] != "" {
		line += ", as " + env[demoEmailName] + " with the password " + env[demoPasswordName]
	}
	return line
}

// settleDemo registers the app at /demo, or moves it along when the address has
// changed since the last start: where it is sent back to is compared character
// by character.
func (d *dev) settleDemo(ctx context.Context, base string, env map[string]string) error {
	org, address := env["COUNTERSIGN_ORG"], base+demoapp.Path
	if env[demoURLName] != address {
		t := &tour{client: newClient(base, io.Discard), key: demoKey{env["COUNTERSIGN_CLIENT_ID"], env["COUNTERSIGN_CLIENT_SECRET"]}}
		if err := t.signIn(ctx); err != nil {
			return err
		}
		uris := []string{"redirect_uris[]=" + base + demoapp.CallbackPath, "post_logout_redirect_uris[]=" + address}
		if err := t.register(ctx, "/api/v2/org/"+org+"/apps", uris, env); err != nil {
			return err
		}
		env[demoURLName] = address
	}
	d.demo.Settle(demoapp.Settings{
		Base: base, Issuer: "http://" + d.cfg.Addr, Account: env["COUNTERSIGN_ACCOUNT"], Org: org, ClientID: env[demoClientName],
		Email: env[demoEmailName], Password: env[demoPasswordName],
	})
	return nil
}

func (t *tour) register(ctx context.Context, apps string, uris []string, env map[string]string) error {
	if id := env[demoClientName]; id != "" {
		_, err := t.call(ctx, http.MethodPut, apps+"/"+id, uris...)
		return err
	}
	made, err := t.call(ctx, http.MethodPost, apps, append([]string{"name=Demo", "token_profile=gateway"}, uris...)...)
	if err != nil {
		return err
	}
	if env[demoClientName] = made.text("client_id"); env[demoClientName] == "" {
		return errors.New("the app has no client_id")
	}
	return nil
}
