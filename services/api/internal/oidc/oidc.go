// Package oidc owns every token path and what verifies tokens: access tokens
// for API keys and apps by client credentials, end users' tokens by codes and
// refresh tokens, what they are worth, their end, and the public keys.
//
// A code is exchanged by the client that it was made for, and by nobody else.
// For an API key, which shows its own access token, that is the same key, and
// so the same account and environment. For an app it is the same app, proven
// as its type asks (clients.go); the form of the client's id tells the two
// apart. What an app is answered depends on the profile of its tokens.
package oidc

import (
	"context"
	"net/http"
	"time"

	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/token"
)

// Keys finds API keys.
type Keys interface {
	KeyByID(ctx context.Context, keyID string) (apikey.Key, error)
}

// Apps finds apps, inactive ones too.
type Apps interface {
	AppByID(ctx context.Context, clientID string) (app.App, error)
}

// Issuers knows in whose names tokens are issued.
type Issuers interface {
	IssuerExists(ctx context.Context, domain string) (bool, error)
}

// API holds what the handlers call.
type API struct {
	Keys    Keys
	Apps    Apps
	Guard   *guard.Guard
	Tokens  *token.Service
	Grants  *grant.Service
	Logouts *session.Logouts
	Issuers Issuers
	// Issuer is the base URL, which is the issuer of standard tokens.
	Issuer string
	// Serves reports whether some edge has a route of the path: the metadata
	// names what is there.
	Serves func(path string) bool
	Now    func() time.Time
}

// Where the standard's endpoints are published.
const (
	pathAuthorize  = "/authz-srv/authz"
	pathToken      = "/token-srv/token"
	pathUserinfo   = "/users-srv/userinfo"
	pathIntrospect = "/token-srv/introspect"
	pathRevoke     = "/token-srv/revoke"
	pathEndSession = "/session/end_session"
	pathKeys       = "/.well-known/jwks.json"
)

// Introspection is for servers, which ask at every call of theirs; the gateway's
// paths are counted by themselves. Guesses of secrets the guard counts.
var (
	rateWorth   = pipeline.Rate{Class: "introspection", Rate: pipeline.RateAPI.Rate, Essential: true}
	rateGateway = pipeline.Rate{Class: "gateway_tokens", Rate: pipeline.RateTokens.Rate, Essential: true}
)

// Routes is the table of the token paths. All of them may be called by pages
// of the apps' origins.
func (a *API) Routes() []pipeline.Route {
	routes := a.tokenRoutes()
	for _, path := range []string{pathIntrospect, pathRevoke} {
		summary, handler := "Ask what a token is worth", pipeline.Handle(a.introspect)
		if path == pathRevoke {
			summary, handler = "End what a token came of", pipeline.Handle(a.revoke)
		}
		route := tokenRoute(path, summary, handler)
		route.Rate = rateWorth
		routes = append(routes, route)
	}
	for _, path := range []string{"/oauth/revoke", "/api/v1/tenants/{organization}/{client}/oauth/token/revoke"} {
		route := tokenRoute(path, "End what a token of the gateway came of", pipeline.Handle(a.revokeAtGateway))
		route.Rate = rateGateway
		routes = append(routes, route)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		routes = append(routes, pipeline.Route{
			Method: method, Path: pathUserinfo, Summary: "Read what an access token lets its client know of the user",
			Credential: pipeline.UserToken, Scope: grant.OpenID, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, CORS: true,
			Faults:     []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests},
			WriteFault: writeFault, Handler: pipeline.Handle(a.userinfo),
		})
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		routes = append(routes, pipeline.Route{
			Method: http.MethodGet, Path: path, Summary: "Read what the provider can do, and where",
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, CacheFor: token.PublicLife, CORS: true,
			Faults: []int{http.StatusTooManyRequests}, Handler: pipeline.Handle(a.discovery),
		})
	}
	for _, path := range []string{"/t/{issuer}/.well-known", "/t/{issuer}/.well-known/jwks", pathKeys} {
		routes = append(routes, pipeline.Route{
			Method: http.MethodGet, Path: path, Summary: "Read the public keys that verify tokens",
			Credential: pipeline.None, Reach: pipeline.Nobody, Rate: pipeline.RateAPI, CacheFor: token.PublicLife, CORS: true,
			Faults: []int{http.StatusNotFound}, Handler: pipeline.Handle(a.keys),
		})
	}
	return routes
}

func (a *API) tokenRoutes() (routes []pipeline.Route) {
	for _, path := range []string{"/api/v2/oauth/token", "/oauth/token", pathToken} {
		routes = append(routes, tokenRoute(path, "Get an access token for an API key or an app, or an end user's tokens for a code or a refresh token",
			pipeline.Handle(a.token)))
	}
	for _, path := range []string{"/org/{organization}/oauth2/token", "/api/v1/tenants/{organization}/{client}/{state}/oauth/client/token"} {
		route := tokenRoute(path, "Get an end user's tokens for an app of the gateway", pipeline.Handle(a.tokenAtGateway))
		route.Rate = rateGateway
		routes = append(routes, route)
	}
	return routes
}

// tokenRoute is what all paths have that take a client's credential.
func tokenRoute(path, summary string, handler pipeline.Handler) pipeline.Route {
	return pipeline.Route{
		Method: http.MethodPost, Path: path, Summary: summary,
		Credential: pipeline.Optional, Reach: pipeline.Nobody, Rate: pipeline.RateTokens, Within: pipeline.WithinCheck, BodyOnly: true, CORS: true,
		Faults:     []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		WriteFault: writeFault, Handler: handler,
	}
}
