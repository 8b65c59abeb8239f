package countersign

import (
	"context"
	"errors"
	"net/http"
)

// Where the demo app would answer; nothing listens there until somebody writes
// it.
const (
	demoOrigin   = "http://localhost:3000"
	demoCallback = demoOrigin + "/callback"
)

// browsers registers the demo app, through which people sign in with a browser.
func (t *tour) browsers(ctx context.Context) error {
	t.say("\n19. A page or a mobile app is an OAuth client of its own: public, since its users could read a secret")
	made, err := t.call(ctx, http.MethodPost, "/api/v2/org/"+t.org+"/apps",
		"name=Demo app", "redirect_uris[]="+demoCallback, "post_logout_redirect_uris[]="+demoOrigin+"/", "origins[]="+demoOrigin)
	if err != nil {
		return err
	}
	if t.appID = made.text("client_id"); t.appID == "" {
		return errors.New("the app has no client_id")
	}
	t.say("   -> client_id %s, every method, codes go to %s", t.appID, demoCallback)
	return nil
}
