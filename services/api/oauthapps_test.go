package api_test

import (
	"slices"
	"strings"
	"testing"
)

// apps is the path of the house's apps.
func (h *house) apps(rest string) string { return "/api/v2/org/" + h.org + "/apps" + rest }

// An app is registered, read, listed, changed and deleted over the API, and its
// secret is shown when it is made and when it is replaced, and never else.
func TestAppsAreManaged(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		made := h.call("POST", h.apps(""), "name=Shop", "client_type=confidential", "redirect_uris[]=https://shop.test/cb", "origins[]=https://shop.test",
			"scopes=openid email cart:read", "methods[]=password", "methods[]=totp", "token_profile=gateway", "audience=https://api.test").want(201)
		id, first := made.text("client_id"), made.text("client_secret")
		if len(first) != 43 || !strings.HasPrefix(id, "app_") {
			t.Errorf("%v", made.body)
		}
		for name, want := range map[string]any{
			"__type__": "App", "__domain__": h.org, "__environment__": "sandbox", "name": "Shop", "client_type": "confidential", "application_type": "web",
			"first_party": true, "token_profile": "gateway", "audience": "https://api.test", "id_token_signed_response_alg": "RS256", "active": true,
		} {
			if made.body[name] != want {
				t.Errorf("%s is %v, want %v", name, made.body[name], want)
			}
		}
		read := h.call("GET", h.apps("/"+id)).want(200)
		listed := h.call("GET", h.apps("")).want(200)
		if read.body["client_secret"] != nil || strings.Contains(listed.raw, first) || listed.body["total"] != 1.0 {
			t.Errorf("%v, %v", read.body, listed.body)
		}
		if scopes := read.body["scopes"].([]any); !slices.Equal(scopes, []any{"openid", "email", "cart:read"}) {
			t.Errorf("scopes %v", scopes)
		}
		changed := h.call("PUT", h.apps("/"+id), "active=false", "token_profile=standard", "audience=", "redirect_uris[]=").want(200)
		if changed.body["active"] != false || changed.body["audience"] != nil || len(changed.body["redirect_uris"].([]any)) != 0 || changed.body["client_secret"] != nil {
			t.Errorf("%v", changed.body)
		}
		second := h.call("POST", h.apps("/"+id+"/secret")).want(201).text("client_secret")
		if second == first || len(second) != 43 {
			t.Errorf("the secret after the first is %q", second)
		}
		if gone := h.call("DELETE", h.apps("/"+id)).want(200); gone.body["deleted"] != true || strings.Contains(gone.raw, "client_secret") {
			t.Errorf("%v", gone.body)
		}
		for _, call := range [][2]string{{"GET", ""}, {"PUT", ""}, {"DELETE", ""}, {"POST", "/secret"}} {
			h.call(call[0], h.apps("/"+id+call[1])).want(404)
		}
	})
}

// A public app has no secret, now or later.
func TestAPublicAppHasNoSecret(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		made := h.call("POST", h.apps(""), "application_type=native", "redirect_uris[]=com.example.app:/cb").want(201)
		if made.body["client_secret"] != nil || made.text("client_type") != "public" || made.text("application_type") != "native" {
			t.Errorf("%v", made.body)
		}
		h.call("POST", h.apps("/"+made.text("client_id")+"/secret")).wantFault(409, "app_is_public")
		h.call("POST", h.apps(""), "application_type=service").wantFault(422, "invalid_parameter")
		h.call("POST", h.apps(""), "application_type=native", "client_type=confidential").wantFault(422, "invalid_parameter")
		h.call("PUT", h.apps("/"+made.text("client_id")), "client_type=confidential").wantFault(400, "unknown_parameter")
	})
}

// A key manages apps when it was made for it.
func TestWhoMakesAppsNeedsTheScope(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		h.call("POST", h.apps("")).want(201)
		plain := h.as(h.signIn(h.key("acme", "sandbox")))
		plain.org = h.org
		plain.call("GET", h.apps("")).want(200)
		plain.call("POST", h.apps("")).wantFault(403, "insufficient_scope")
	})
}
