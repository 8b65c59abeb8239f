package oidc

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// place is what a path asks of the app that calls it.
type place func(app.App) error

func anywhere(app.App) error { return nil }

// forApp answers an app. A code that comes with anything wrong is dead after
// it, whoever has brought it.
func (a *API) forApp(ctx context.Context, c pipeline.Call, in tokenIn, here place) (tokenOut, error) {
	client, err := a.appAt(ctx, c, in, here)
	switch in.GrantType {
	case "authorization_code":
		return a.redeemFor(ctx, client, in, err)
	case "refresh_token":
		return a.refreshFor(ctx, client, in, err)
	case "client_credentials":
		return a.accessFor(ctx, client, in, err)
	case "":
		return tokenOut{}, errRequest
	}
	return tokenOut{}, errGrant
}

// appAt is the app that calls, proven, where it may.
func (a *API) appAt(ctx context.Context, c pipeline.Call, in tokenIn, here place) (app.App, error) {
	by, err := show(c.Request, in.ClientID, in.ClientSecret)
	if err != nil {
		return app.App{}, err
	}
	client, err := a.client(ctx, c, by)
	if err != nil {
		return app.App{}, err
	}
	return client, here(client)
}

func (a *API) redeemFor(ctx context.Context, client app.App, in tokenIn, err error) (tokenOut, error) {
	switch {
	case in.Code.IsZero():
		return tokenOut{}, cmp.Or(err, error(errRequest))
	case err != nil && refused(err):
		return tokenOut{}, a.spoil(ctx, in.Code, err)
	case err != nil:
		return tokenOut{}, err
	}
	session, err := a.Grants.Redeem(ctx, in.Code, grant.Binding{
		ClientID: client.ID, RedirectURI: in.RedirectURI, MayOmitURI: client.Profile == app.Gateway, Verifier: in.Verifier, GrantID: in.grantID,
		// A browser never begins without a challenge (package flow).
		IdleVerifier: client.Profile == app.Standard,
	})
	if err != nil {
		return tokenOut{}, err
	}
	return a.tokensFor(ctx, session, in)
}

func (a *API) refreshFor(ctx context.Context, client app.App, in tokenIn, err error) (tokenOut, error) {
	if err != nil {
		return tokenOut{}, err
	}
	if in.Refresh.IsZero() {
		return tokenOut{}, errRequest
	}
	asked, ok := client.MayAsk(strings.Fields(in.Scope))
	if !ok {
		return tokenOut{}, grant.ErrScope
	}
	session, err := a.Grants.Refresh(ctx, in.Refresh, client.ID, asked...)
	if err != nil {
		return tokenOut{}, err
	}
	in.Code = secret.Text{} // none was exchanged, whatever was sent along
	return a.tokensFor(ctx, session, in)
}

// tokensFor makes the answer for an app's session. The contract's gateway
// clients say their nonce here, and not when they ask for the login; what was
// said there is the one that counts.
func (a *API) tokensFor(ctx context.Context, session grant.Session, in tokenIn) (tokenOut, error) {
	if session.Profile == app.Gateway {
		session.Nonce = cmp.Or(session.Nonce, in.Nonce)
	}
	return a.tokens(ctx, session, in.Code, in.Nonce)
}

// ofUsers are the scopes that say something about a user: an app has none.
var ofUsers = []string{grant.OpenID, grant.Email, grant.Profile, grant.Phone, grant.Offline}

// accessFor makes an access token for an app itself (RFC 6749 4.4), for the
// scopes of its own that it asks for, or all of them.
func (a *API) accessFor(ctx context.Context, client app.App, in tokenIn, err error) (tokenOut, error) {
	if err != nil {
		return tokenOut{}, err
	}
	if !client.Confidential() {
		return tokenOut{}, errProfile
	}
	ofUser := func(scope string) bool { return slices.Contains(ofUsers, scope) }
	scope, ok := client.MayAsk(strings.Fields(in.Scope))
	if !ok || slices.ContainsFunc(scope, ofUser) {
		return tokenOut{}, grant.ErrScope
	}
	if len(scope) == 0 {
		scope = slices.DeleteFunc(slices.Clone(client.Scopes), ofUser)
	}
	access, err := a.Tokens.IssueApp(ctx, client, scope)
	if err != nil {
		return tokenOut{}, err
	}
	return tokenOut{
		AccessToken: access.Reveal(), TokenType: bearer, ExpiresIn: int(token.UserLife.Seconds()), Scope: scopes{strings.Join(scope, " ")},
	}, nil
}

// at writes a time as the contract's gateway does.
func at(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
