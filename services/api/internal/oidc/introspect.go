package oidc

import (
	"context"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

type introspectIn struct {
	Token secret.Text `in:"token" doc:"An access token or a refresh token."`
	// The form of a token tells its kind, whatever the hint says.
	Hint         string      `in:"token_type_hint" doc:"access_token or refresh_token; it is not needed."`
	ClientID     string      `in:"client_id" doc:"A confidential app; an API key sends its Bearer token instead."`
	ClientSecret secret.Text `in:"client_secret" doc:"The app's secret; may be sent as Basic authentication instead."`
}

// introspectOut is the answer of RFC 7662 2.2. A token that is not good, or not
// for the caller to know of, is inactive and nothing else.
type introspectOut struct {
	Active   bool     `json:"active"`
	Scope    string   `json:"scope,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Type     string   `json:"token_type,omitempty" doc:"Bearer, of an access token."`
	Expiry   int64    `json:"exp,omitempty"`
	IssuedAt int64    `json:"iat,omitempty"`
	Subject  string   `json:"sub,omitempty"`
	Audience string   `json:"aud,omitempty"`
	Issuer   string   `json:"iss,omitempty"`
	ID       string   `json:"jti,omitempty"`
	Session  string   `json:"sid,omitempty"`
	Org      string   `json:"org,omitempty"`
	Env      string   `json:"env,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	ACR      string   `json:"acr,omitempty"`
}

// asker is who asks about a token, or ends it: an app, or an API key.
type asker struct {
	app app.App
	key apikey.Key
}

// is reports whether the asker is the client of that id.
func (w asker) is(clientID string) bool {
	return clientID != "" && (clientID == w.app.ID || clientID == w.key.ID)
}

// reaches reports whether what belongs to an organization's environment is for
// the asker to know of: an app knows its own, a key those that it reaches.
func (w asker) reaches(t tenant.ID) bool {
	if w.key.ID != "" {
		return t.Account == w.key.AccountID && t.Env == w.key.Env && w.key.Reaches(t.Org)
	}
	return t == w.app.Tenant
}

// askerOf is the caller of a request: the app that it names, proven, or else
// the API key whose token it brings.
func (a *API) askerOf(ctx context.Context, c pipeline.Call, clientID string, clientSecret secret.Text) (asker, error) {
	by, err := show(c.Request, clientID, clientSecret)
	if err != nil {
		return asker{}, errToken.Because(err)
	}
	if by.id == "" && by.secret.IsZero() && c.Key.ID != "" {
		return asker{key: c.Key}, nil
	}
	client, err := a.client(ctx, c, by)
	return asker{app: client}, err
}

// introspect tells what a token is worth at this moment (RFC 7662).
func (a *API) introspect(ctx context.Context, c pipeline.Call, in introspectIn) (introspectOut, error) {
	who, err := a.askerOf(ctx, c, in.ClientID, in.ClientSecret)
	if err != nil {
		return introspectOut{}, err
	}
	if who.app.ID != "" && !who.app.Confidential() {
		return introspectOut{}, errClient
	}
	if in.Token.IsZero() {
		return introspectOut{}, errToken
	}
	out, err := a.known(ctx, who, in.Token)
	if kind := fault.KindOf(err); kind == fault.Malformed || kind == fault.Unauthorized || kind == fault.NotFound {
		return introspectOut{}, nil // not good, for whatever reason
	}
	return out, err
}

// known says what the asker may know of a token. An error that is a refusal
// says the same as an inactive answer.
func (a *API) known(ctx context.Context, who asker, raw secret.Text) (introspectOut, error) {
	if grant.IsRefresh(raw) {
		return a.knownRefresh(ctx, who, raw)
	}
	access, err := a.Tokens.ReadUser(ctx, raw)
	if fault.KindOf(err) == fault.Unauthorized {
		return a.knownApp(ctx, who, raw)
	}
	if err != nil {
		return introspectOut{}, err
	}
	of, err := a.Grants.Live(ctx, access.GrantID)
	if err != nil || !who.reaches(of.Tenant) || !access.Of(of) {
		return introspectOut{}, err
	}
	return introspectOut{
		Active: true, Scope: strings.Join(access.Scope, " "), ClientID: access.ClientID, Type: bearer, Expiry: access.Expiry.Unix(),
		IssuedAt: access.IssuedAt.Unix(), Subject: token.Subject(of), Audience: access.Audience, Issuer: a.Tokens.IssuerOf(of), ID: access.ID,
		Session: access.SessionID, Org: access.Org, Env: access.Env, AuthTime: access.AuthTime.Unix(), AMR: access.AMR, ACR: access.ACR,
	}, nil
}

// knownRefresh tells of a refresh token, to the client that has it alone.
func (a *API) knownRefresh(ctx context.Context, who asker, raw secret.Text) (introspectOut, error) {
	held, err := a.Grants.Holder(ctx, raw)
	if err != nil || !who.is(held.ClientID) {
		return introspectOut{}, err
	}
	return introspectOut{
		Active: true, Scope: strings.Join(held.Scope, " "), ClientID: held.ClientID, Expiry: earlier(held.ExpiresAt, held.Grant.ExpiresAt).Unix(),
		IssuedAt: held.CreatedAt.Unix(), Subject: token.Subject(held.Session), Issuer: a.Tokens.IssuerOf(held.Session),
		Session: held.SessionID, Org: held.Org, Env: held.Tenant.Env,
	}, nil
}

// knownApp tells of an app's own token, for as long as the app is good.
func (a *API) knownApp(ctx context.Context, who asker, raw secret.Text) (introspectOut, error) {
	access, err := a.Tokens.ReadApp(ctx, raw)
	if err != nil {
		return introspectOut{}, err
	}
	of, err := a.Apps.AppByID(ctx, access.ClientID)
	if err != nil || !of.Active || !who.reaches(of.Tenant) {
		return introspectOut{}, err
	}
	return introspectOut{
		Active: true, Scope: strings.Join(access.Scope, " "), ClientID: access.ClientID, Type: bearer, Expiry: access.Expiry.Unix(),
		IssuedAt: access.IssuedAt.Unix(), Subject: access.ClientID, Audience: a.Issuer, Issuer: a.Issuer, ID: access.ID,
		Org: access.Org, Env: access.Env,
	}, nil
}

func earlier(one, other time.Time) time.Time {
	if one.Before(other) {
		return one
	}
	return other
}
