package flow_test

import (
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
