package oidc

import (
	"context"

	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// discoveryOut is the metadata of OpenID Connect Discovery 3 and RFC 8414 2.
// It names what works and nothing else.
type discoveryOut struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint,omitempty"`
	Token         string `json:"token_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	Keys          string `json:"jwks_uri"`
	Revocation    string `json:"revocation_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	EndSession    string `json:"end_session_endpoint,omitempty"`

	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	ResponseModes []string `json:"response_modes_supported"`
	Grants        []string `json:"grant_types_supported"`
	Subjects      []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	RevokeAuth    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntroAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Prompts       []string `json:"prompt_values_supported"`
	ACRs          []string `json:"acr_values_supported"`
	Claims        []string `json:"claims_supported"`

	Backchannel        bool `json:"backchannel_logout_supported"`
	BackchannelSession bool `json:"backchannel_logout_session_supported"`
	IssInResponse      bool `json:"authorization_response_iss_parameter_supported"`
	// What is left out would count as supported (OpenID Connect Discovery 3).
	ClaimsParameter bool `json:"claims_parameter_supported"`
	Request         bool `json:"request_parameter_supported"`
	RequestURI      bool `json:"request_uri_parameter_supported"`
}

// discovery tells clients what there is and where.
func (a *API) discovery(context.Context, pipeline.Call, pipeline.Nothing) (discoveryOut, error) {
	secrets := []string{"client_secret_basic", "client_secret_post"}
	anyClient := append(secrets[:2:2], "none")
	return discoveryOut{
		Issuer: a.Issuer, Authorization: a.endpoint(pathAuthorize), Token: a.Issuer + pathToken, Userinfo: a.Issuer + pathUserinfo,
		Keys: a.Issuer + pathKeys, Revocation: a.Issuer + pathRevoke, Introspection: a.Issuer + pathIntrospect, EndSession: a.endpoint(pathEndSession),
		Scopes: ofUsers, ResponseTypes: []string{"code"}, ResponseModes: []string{"query", "fragment"},
		Grants: []string{"authorization_code", "refresh_token", "client_credentials"}, Subjects: []string{"public"},
		Algorithms: token.Algorithms(), TokenAuth: anyClient, RevokeAuth: anyClient, IntroAuth: secrets, Challenges: []string{"S256"},
		Prompts: []string{"none", "login", "select_account", "consent"}, ACRs: []string{grant.OneFactor, grant.TwoFactors},
		Claims: []string{
			"iss", "sub", "aud", "azp", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "c_hash", "email", "email_verified",
			"phone_number", "phone_number_verified", "name", "given_name", "family_name", "nickname", "preferred_username", "gender", "birthdate",
			"locale", "picture", "website", "zoneinfo", "updated_at",
		},
		Backchannel: true, BackchannelSession: true,
		IssInResponse: true,
	}, nil
}

// endpoint is the address of a path of another edge, empty where it has none.
func (a *API) endpoint(path string) string {
	if !a.Serves(path) {
		return ""
	}
	return a.Issuer + path
}
