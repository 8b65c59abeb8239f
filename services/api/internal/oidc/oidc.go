// Package oidc owns every token path. So far: access tokens for API keys, by
// client credentials, in all variants that the contract's clients send.
package oidc

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// Keys finds API keys.
type Keys interface {
	KeyByID(ctx context.Context, keyID string) (apikey.Key, error)
}

// API holds what the handlers call.
type API struct {
	Keys   Keys
	Guard  *guard.Guard
	Tokens *token.Service
}

// Routes is the table of the token paths.
func (a *API) Routes() []pipeline.Route {
	var routes []pipeline.Route
	for _, path := range []string{"/api/v2/oauth/token", "/oauth/token"} {
		routes = append(routes, pipeline.Route{
			Method: http.MethodPost, Path: path, Summary: "Get an access token for an API key",
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateTokens, Within: pipeline.WithinCheck, BodyOnly: true,
			Faults:     []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable},
			WriteFault: writeFault, Handler: pipeline.Handle(a.token),
		})
	}
	return routes
}

type tokenIn struct {
	GrantType    string      `in:"grant_type" required:"true" doc:"client_credentials"`
	ClientID     string      `in:"client_id" doc:"The API key; may be sent with the secret as Basic authentication instead."`
	ClientSecret secret.Text `in:"client_secret" doc:"The API key's secret."`
	// The account's domain, under each of its names; it may be left out.
	TenantDomain string `in:"tenant_domain" doc:"The account's domain; compared where it is sent."`
	Domain       string `in:"domain" doc:"As tenant_domain."`
	Audience     string `in:"audience" doc:"As tenant_domain."`
}

type tokenOut struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string `json:"scope"`
}

// The faults of RFC 6749 5.2, by their names there.
var (
	errRequest = fault.New(fault.Malformed, "invalid_request", "grant_type, client_id and client_secret must be given once each")
	errGrant   = fault.New(fault.Malformed, "unsupported_grant_type", "grant_type must be client_credentials")
	errClient  = fault.New(fault.Unauthorized, "invalid_client", "client_id, client_secret or the account's domain is wrong, or the key was revoked")
)

func (a *API) token(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if err := in.basic(c.Request); err != nil {
		return tokenOut{}, err
	}
	switch {
	case in.GrantType == "":
		return tokenOut{}, errRequest
	case in.GrantType != "client_credentials":
		return tokenOut{}, errGrant
	case in.ClientID == "" || in.ClientSecret.IsZero():
		return tokenOut{}, errRequest
	}
	key, err := a.authenticate(ctx, c.Source, in)
	if err != nil {
		return tokenOut{}, err
	}
	access, err := a.Tokens.Issue(ctx, key)
	if err != nil {
		return tokenOut{}, err
	}
	return tokenOut{
		AccessToken: access.Reveal(), TokenType: "Bearer", ExpiresIn: int(token.Life.Seconds()), Scope: strings.Join(key.Scopes, " "),
	}, nil
}

// authenticate finds the key and has the guard compare the secret. Unknown,
// revoked and wrong answer alike, at the same count of tries.
func (a *API) authenticate(ctx context.Context, source netip.Addr, in tokenIn) (apikey.Key, error) {
	var key apikey.Key
	if id.IsUUID(in.ClientID) {
		found, err := a.Keys.KeyByID(ctx, in.ClientID)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return apikey.Key{}, err
		}
		key = found
	}
	ok, err := a.Guard.Secret(ctx, cmp.Or(key.ID, "unknown"), source, key.SecretDigest, apikey.Digest(in.ClientSecret))
	if err != nil {
		return apikey.Key{}, err
	}
	if !ok || key.Revoked() {
		return apikey.Key{}, errClient
	}
	for _, domain := range []string{in.TenantDomain, in.Domain, in.Audience} {
		if domain != "" && domain != key.AccountDomain {
			return apikey.Key{}, errClient
		}
	}
	return key, nil
}

// basic takes the client's credentials from the Authorization header, where
// both halves are form-encoded (RFC 6749 2.3.1), unless the body has them.
func (in *tokenIn) basic(r *http.Request) error {
	user, password, ok := r.BasicAuth()
	if !ok {
		return nil
	}
	if !in.ClientSecret.IsZero() {
		return errRequest // one way of authenticating at a time
	}
	clientID, errID := url.QueryUnescape(user)
	value, errSecret := url.QueryUnescape(password)
	if err := errors.Join(errID, errSecret); err != nil || in.ClientID != "" && in.ClientID != clientID {
		return errRequest.Because(err)
	}
	in.ClientID, in.ClientSecret = clientID, secret.New(value)
	return nil
}

// writeFault renders faults as RFC 6749 5.2 wants them.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal || f.Kind == fault.Unavailable || f.Kind == fault.Limited {
		web.WriteFault(w, r, err)
		return
	}
	code := "invalid_request"
	if errors.Is(f, errGrant) || errors.Is(f, errClient) {
		code = f.Code
	}
	web.Note(r.Context(), err)
	web.FaultHeaders(w.Header(), f)
	web.WriteOAuthError(w, r, web.Status(f.Kind), code, f.Message)
}
