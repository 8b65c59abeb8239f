package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
)

const bearer = "Bearer" // the type of every token

type tokenIn struct {
	GrantType    string      `in:"grant_type" doc:"client_credentials, authorization_code or refresh_token; for an API key it may be left out with a code."`
	ClientID     string      `in:"client_id" doc:"The app or the API key; may be sent with the secret as Basic authentication instead."`
	ClientSecret secret.Text `in:"client_secret" doc:"The secret of a confidential app; an API key's for client_credentials alone."`
	Code         secret.Text `in:"code" doc:"An authorization code. An API key sends its Bearer token with it. It lives for 60 seconds and is used up by any try."`
	RedirectURI  string      `in:"redirect_uri" doc:"Where the code was sent. API keys and apps of the gateway profile may leave it out; where it is sent, it is compared."`
	Verifier     secret.Text `in:"code_verifier" doc:"Of PKCE, for a code that was made for a challenge: every code that a browser has brought. An app of the standard profile may send it with the others, too."`
	Refresh      secret.Text `in:"refresh_token|token" doc:"A refresh token; an API key sends its Bearer token with it. It is replaced by each use; one that was replaced ends the login."`
	Scope        string      `in:"scope" doc:"For an app: less than was granted, with a refresh token, or what the app's own token is for. Names with blanks between them."`
	Nonce        string      `in:"nonce" doc:"For an app of the gateway profile: comes back in the answer and in the ID token."`
	// The account's domain, under each of its names; it may be left out.
	TenantDomain string `in:"tenant_domain" doc:"For an API key, the account's domain; compared where it is sent."`
	Domain       string `in:"domain" doc:"As tenant_domain."`
	Audience     string `in:"audience" doc:"As tenant_domain."`

	grantID string // what a gateway's client believes its code to stand for
}

// grant is the kind of grant that an API key asks for.
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
	Scope        scopes  `json:"scope" doc:"A list for a user of an API key, and one text for everybody else."`
	Subject      string  `json:"sub,omitempty" doc:"With a user's tokens for an app of the standard profile: the user's id."`
	// For apps of the gateway profile.
	Nonce   *string `json:"nonce,omitempty" doc:"For an app of the gateway profile: the request's."`
	Leeway  int     `json:"refresh_leeway,omitempty" doc:"For an app of the gateway profile: seconds before its end in which the access token should be replaced."`
	Retry   int     `json:"refresh_retry,omitempty" doc:"For an app of the gateway profile: how often to try."`
	Refresh string  `json:"refresh_expiration_date,omitempty" doc:"For an app of the gateway profile: when the refresh token ends, if it is not used."`
}

// scopes are a text or a list: the contract has both on one path.
type scopes struct{ any }

// MarshalJSON writes what is in it.
func (s scopes) MarshalJSON() ([]byte, error) { return json.Marshal(s.any) }

// Either names both shapes for the document.
func (scopes) Either() []any { return []any{"", []string{}} }

// token answers apps and API keys; the form of the client's id tells which of
// the two calls.
func (a *API) token(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if ofApp(c.Request, in.ClientID) {
		return a.forApp(ctx, c, in, anywhere)
	}
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

// ofApp reports whether a request names an app as its client, in the body or
// in the header.
func ofApp(r *http.Request, clientID string) bool {
	user, _, basic := r.BasicAuth()
	if basic {
		if plain, err := url.QueryUnescape(user); err == nil && app.IsID(plain) {
			return true
		}
	}
	return app.IsID(clientID)
}

// redeem exchanges a code of an API key. One that comes with a wrong credential
// is dead after it: who shows it may have stolen it.
func (a *API) redeem(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if in.Code.IsZero() {
		return tokenOut{}, errRequest
	}
	if refused := caller(c, in); refused != nil {
		return tokenOut{}, a.spoil(ctx, in.Code, refused)
	}
	session, err := a.Grants.Redeem(ctx, in.Code, grant.Binding{
		ClientID: c.Key.ID, RedirectURI: in.RedirectURI, MayOmitURI: true, Verifier: in.Verifier,
	})
	if err != nil {
		return tokenOut{}, err
	}
	return a.tokens(ctx, session, in.Code, "")
}

// spoil makes a code useless and returns why, or what has kept it from that.
func (a *API) spoil(ctx context.Context, code secret.Text, because error) error {
	if err := a.Grants.Spoil(ctx, code); !errors.Is(err, grant.ErrInvalid) {
		return err
	}
	return because
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
	return a.tokens(ctx, session, secret.Text{}, "")
}

// caller checks the credential of an API key's call for a user's tokens: a good
// Bearer token, nothing beside it, and nobody else's name.
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

// What the contract's gateway clients are told about refreshing.
const (
	refreshLeeway = 60 // seconds
	refreshRetry  = 5
)

// tokens makes the answer for a session, in the shape that its client reads.
func (a *API) tokens(ctx context.Context, session grant.Session, code secret.Text, nonce string) (tokenOut, error) {
	made, err := a.Tokens.IssueUser(ctx, session, code)
	if err != nil {
		return tokenOut{}, err
	}
	refresh := session.Refresh.Reveal()
	out := tokenOut{
		AccessToken: made.Access.Reveal(), RefreshToken: &refresh, TokenType: bearer, ExpiresIn: made.ExpiresIn,
		Scope: scopes{session.Scope},
	}
	if !made.ID.IsZero() {
		raw := made.ID.Reveal()
		out.IDToken = &raw
	}
	switch session.Profile {
	case app.Standard:
		out.Scope, out.Subject = scopes{strings.Join(session.Scope, " ")}, session.User.ID
	case app.Gateway:
		out.Scope, out.Nonce = scopes{strings.Join(session.Scope, " ")}, &nonce
		out.Leeway, out.Retry, out.Refresh = refreshLeeway, refreshRetry, at(session.RefreshExpiresAt)
	}
	return out, nil
}
