package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// Covers R-138 for the metadata: issuer and every address begin with the
// configured one, whatever the request calls the host.
// Covers R-142 for the metadata: it names endpoints that are there, and nothing
// that does not work.
func TestDiscoveryNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	served := map[string][]string{}
	for _, route := range h.service.Routes() {
		served[route.Path] = append(served[route.Path], route.Method)
	}
	want := map[string]string{
		"authorization_endpoint": "GET", "token_endpoint": "POST", "userinfo_endpoint": "GET", "jwks_uri": "GET", "revocation_endpoint": "POST",
		"introspection_endpoint": "POST", "end_session_endpoint": "GET",
	}
	first := ""
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		for _, host := range []string{"", "evil.test", "127.0.0.1:1", "evil.test\tx"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if req.Host = host; strings.Contains(host, "\t") {
				req.Host = ""
				req.Header.Set("X-Forwarded-Host", "evil.test")
				req.Header.Set("Forwarded", "host=evil.test")
			}
			answer := h.as("").send(req).want(200)
			if first == "" {
				first = answer.raw
			}
			if answer.raw != first || answer.body["issuer"] != h.public || !strings.HasPrefix(answer.header.Get("Content-Type"), "application/json") {
				t.Errorf("%s as %q: %s", path, host, answer.raw)
			}
			for name, value := range answer.body {
				if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" {
					continue
				}
				at, ours := strings.CutPrefix(fmt.Sprint(value), h.public)
				if !ours || !strings.Contains(strings.Join(served[at], " "), want[name]) || want[name] == "" {
					t.Errorf("%s is %v, which takes %v", name, value, served[at])
				}
			}
		}
	}
	answer := h.as("").call("GET", "/.well-known/openid-configuration").want(200)
	for name, value := range map[string]string{
		"response_types_supported": "[code]", "grant_types_supported": "[authorization_code refresh_token client_credentials]",
		"code_challenge_methods_supported": "[S256]", "response_modes_supported": "[query fragment]", "subject_types_supported": "[public]",
		"authorization_response_iss_parameter_supported": "true", "request_parameter_supported": "false", "request_uri_parameter_supported": "false",
		"id_token_signing_alg_values_supported": "[ES256 RS256]", "token_endpoint_auth_methods_supported": "[client_secret_basic client_secret_post none]",
		"introspection_endpoint_auth_methods_supported": "[client_secret_basic client_secret_post]",
		"acr_values_supported":                          "[aal1 aal2]", "prompt_values_supported": "[none login select_account consent]",
	} {
		if got := fmt.Sprint(answer.body[name]); got != value {
			t.Errorf("%s is %s, want %s", name, got, value)
		}
	}
	c := h.publicApp()
	for _, name := range answer.body["grant_types_supported"].([]any) {
		if got := c.post(tokenPath, with(c.proof(), "grant_type", name.(string))); got.body["error"] == "unsupported_grant_type" {
			t.Errorf("%v is listed and not supported", name)
		}
	}
}

// Every path that an app calls from a page is open to the pages of apps.
func TestAppsMayCallFromTheirPages(t *testing.T) {
	t.Parallel()
	h := open(t, embedded(t))
	for _, route := range h.service.Routes() {
		of := strings.HasPrefix(route.Path, "/token-srv/") || strings.HasPrefix(route.Path, "/users-srv/") || strings.Contains(route.Path, "oauth") ||
			strings.HasPrefix(route.Path, "/.well-known/") || strings.Contains(route.Path, "{issuer}")
		if of && !route.CORS && !route.Page && route.Credential != pipeline.APIKey {
			t.Errorf("%s cannot be called by a page of an app", title(route))
		}
	}
}
