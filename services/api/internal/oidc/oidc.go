// Package oidc owns every token path and what verifies tokens: access tokens
// for API keys by client credentials, end users' tokens by codes and refresh
// tokens, and the public keys.
//
// A code is exchanged by the API key that asked for it, which shows its own
// access token: the same key, and so the same account and environment.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// Keys finds API keys.
type Keys interface {
	KeyByID(ctx context.Context, keyID string) (apikey.Key, error)
}

// Issuers knows in whose names tokens are issued.
type Issuers interface {
	IssuerExists(ctx context.Context, domain string) (bool, error)
}

// API holds what the handlers call.
type API struct {
	Keys    Keys
	Guard   *guard.Guard
	Tokens  *token.Service
	Grants  *grant.Service
	Issuers Issuers
}

// Routes is the table of the token paths.
func (a *API) Routes() []pipeline.Route {
	var routes []pipeline.Route
	for _, path := range []string{"/api/v2/oauth/token", "/oauth/token"} {
		routes = append(routes, pipeline.Route{
			Method: http.MethodPost, Path: path, Summary: "Get an access token for an API key, or an end user's tokens for a code or a refresh token",
			Credential: pipeline.Optional, Reach: pipeline.Nobody, Rate: pipeline.RateTokens, Within: pipeline.WithinCheck, BodyOnly: true,
			Faults:     []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable},
			WriteFault: writeFault, Handler: pipeline.Handle(a.token),
		})
	}
	for _, path := range []string{"/t/{issuer}/.well-known", "/t/{issuer}/.well-known/jwks", "/.well-known/jwks.json"} {
		routes = append(routes, pipeline.Route{
			Method: http.MethodGet, Path: path, Summary: "Read the public keys that verify tokens",
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, CacheFor: token.PublicLife,
			Faults: []int{http.StatusNotFound}, Handler: pipeline.Handle(a.keys),
		})
	}
	return routes
}

type tokenIn struct {
	GrantType    string      `in:"grant_type" doc:"client_credentials, authorization_code or refresh_token; with a code it may be left out."`
	ClientID     string      `in:"client_id" doc:"The API key; may be sent with the secret as Basic authentication instead."`
	ClientSecret secret.Text `in:"client_secret" doc:"The API key's secret, for client_credentials alone."`
	Code         secret.Text `in:"code" doc:"An authorization code, with the Bearer token of the API key that asked for it. It lives for 60 seconds and is used up by any try."`
	RedirectURI  string      `in:"redirect_uri" doc:"Where the code was sent; compared where it is sent."`
	Verifier     secret.Text `in:"code_verifier" doc:"Of PKCE, for a code that was made for a challenge."`
	Refresh      secret.Text `in:"refresh_token|token" doc:"A refresh token, with the Bearer token of the API key that it was given to. It is replaced by each use; one that was replaced ends the login."`
	// The account's domain, under each of its names; it may be left out.
	TenantDomain string `in:"tenant_domain" doc:"The account's domain; compared where it is sent."`
	Domain       string `in:"domain" doc:"As tenant_domain."`
	Audience     string `in:"audience" doc:"As tenant_domain."`
}

// grant is the kind of grant that is asked for.
func (in tokenIn) grant() string {
	if in.GrantType == "" && !in.Code.IsZero() {
		return "authorization_code"
	}
	return in.GrantType
}

// named reports whether every domain that was sent is the account's.
func (in tokenIn) named(account string) bool {
	for _, domain := range []string{in.TenantDomain, in.Domain, in.Audience} {
		if domain != "" && domain != account {
			return false
		}
	}
	return true
}

type tokenOut struct {
	AccessToken  string  `json:"access_token"`
	IDToken      *string `json:"id_token,omitempty" doc:"With a user's tokens."`
	RefreshToken *string `json:"refresh_token,omitempty" doc:"With a user's tokens: the organization's domain, a dot, and the rest."`
	TokenType    string  `json:"token_type"`
	ExpiresIn    int     `json:"expires_in"`
	Scope        scopes  `json:"scope" doc:"One text for an API key, a list for a user."`
}

// scopes are a text or a list: the contract has both on one path.
type scopes struct{ any }

// MarshalJSON writes what is in it.
func (s scopes) MarshalJSON() ([]byte, error) { return json.Marshal(s.any) }

// Either names both shapes for the document.
func (scopes) Either() []any { return []any{"", []string{}} }

// The faults of RFC 6749 5.2, by their names there.
var (
	errRequest = fault.New(fault.Malformed, "invalid_request", "send grant_type with what it needs, once each: client_id and client_secret, or code, or refresh_token; and one kind of authentication")
	errGrant   = fault.New(fault.Malformed, "unsupported_grant_type", "grant_type must be client_credentials, authorization_code or refresh_token")
	errClient  = fault.New(fault.Unauthorized, "invalid_client", "the client's credential is wrong: client_id, client_secret or the account's domain; for codes and refresh tokens the API key's Bearer token; or the key was revoked")
)

func (a *API) token(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	switch in.grant() {
	case "":
		return tokenOut{}, errRequest
	case "client_credentials":
		return a.credentials(ctx, c, in)
	case "authorization_code":
		return a.redeem(ctx, c, in)
	case "refresh_token":
		return a.refresh(ctx, c, in)
	}
	return tokenOut{}, errGrant
}

// redeem exchanges a code. One that comes with a wrong credential is dead
// after it: who shows it may have stolen it.
func (a *API) redeem(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if in.Code.IsZero() {
		return tokenOut{}, errRequest
	}
	if refused := caller(c, in); refused != nil {
		if err := a.Grants.Spoil(ctx, in.Code); !errors.Is(err, grant.ErrInvalid) {
			return tokenOut{}, err
		}
		return tokenOut{}, refused
	}
	session, err := a.Grants.Redeem(ctx, in.Code, grant.Binding{
		ClientID: c.Key.ID, RedirectURI: in.RedirectURI, MayOmitURI: true, Verifier: in.Verifier,
	})
	if err != nil {
		return tokenOut{}, err
	}
	return a.tokens(ctx, session, in.Code)
}

func (a *API) refresh(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if in.Refresh.IsZero() {
		return tokenOut{}, errRequest
	}
	if err := caller(c, in); err != nil {
		return tokenOut{}, err
	}
	session, err := a.Grants.Refresh(ctx, in.Refresh, c.Key.ID)
	if err != nil {
		return tokenOut{}, err
	}
	return a.tokens(ctx, session, secret.Text{})
}

// caller checks the credential of a call for a user's tokens: a good Bearer
// token, nothing beside it, and nobody else's name.
func caller(c pipeline.Call, in tokenIn) error {
	switch {
	case c.Key.ID == "":
		return errClient
	case !in.ClientSecret.IsZero():
		return errRequest // one way of authenticating at a time
	case in.ClientID != "" && in.ClientID != c.Key.ID, !in.named(c.Key.AccountDomain):
		return errClient
	}
	return nil
}

func (a *API) tokens(ctx context.Context, session grant.Session, code secret.Text) (tokenOut, error) {
	made, err := a.Tokens.IssueUser(ctx, session, code)
	if err != nil {
		return tokenOut{}, err
	}
	refresh := session.Refresh.Reveal()
	out := tokenOut{
		AccessToken: made.Access.Reveal(), RefreshToken: &refresh, TokenType: "Bearer", ExpiresIn: made.ExpiresIn,
		Scope: scopes{session.Scope},
	}
	if !made.ID.IsZero() {
		raw := made.ID.Reveal()
		out.IDToken = &raw
	}
	return out, nil
}

// rfc6749 are the codes of its part 5.2 that are used here.
var rfc6749 = []string{errRequest.Code, errGrant.Code, errClient.Code, grant.ErrInvalid.Code}

// writeFault renders faults as RFC 6749 5.2 wants them.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal || f.Kind == fault.Unavailable || f.Kind == fault.Limited {
		web.WriteFault(w, r, err)
		return
	}
	code, status := f.Code, web.Status(f.Kind)
	if !slices.Contains(rfc6749, code) {
		code = errRequest.Code
	}
	if f.Kind == fault.Invalid {
		status = http.StatusBadRequest // all that is wrong with parameters is
	}
	web.Note(r.Context(), err)
	web.FaultHeaders(w.Header(), f)
	web.WriteOAuthError(w, r, status, code, f.Message)
}
