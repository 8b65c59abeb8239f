package oidc

import (
	"cmp"
	"context"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
)

// gatewayIn is what the contract's gateway clients send. Their request_id and
// client_state say nothing that a code does not.
type gatewayIn struct {
	GrantType    string      `in:"grant_type" doc:"authorization_code or refresh_token."`
	ClientID     string      `in:"client_id" doc:"The app; where the path names it, it may be left out."`
	ClientSecret secret.Text `in:"client_secret" doc:"The secret of a confidential app."`
	Code         secret.Text `in:"code" doc:"An authorization code. It lives for 60 seconds and is used up by any try."`
	Grant        string      `in:"authorization_id" doc:"What came with the code; compared where it is sent."`
	RedirectURI  string      `in:"redirect_uri" doc:"Where the code was sent; compared where it is sent."`
	Verifier     secret.Text `in:"code_verifier" doc:"Of PKCE."`
	Refresh      secret.Text `in:"refresh_token|token" doc:"A refresh token. It is replaced by each use; one that was replaced ends the login."`
	Scope        string      `in:"scope" doc:"With a refresh token: less than was granted."`
	Nonce        string      `in:"nonce" doc:"Comes back in the answer and in the ID token."`
}

// tokenAtGateway is token for the gateway's paths, which name the organization
// and, some of them, the app.
func (a *API) tokenAtGateway(ctx context.Context, c pipeline.Call, in gatewayIn) (tokenOut, error) {
	clientID, err := pathClient(c, in.ClientID)
	if err != nil && !in.Code.IsZero() {
		return tokenOut{}, a.spoil(ctx, in.Code, err)
	}
	if err != nil {
		return tokenOut{}, err
	}
	return a.forApp(ctx, c, tokenIn{
		GrantType: in.GrantType, ClientID: clientID, ClientSecret: in.ClientSecret, Code: in.Code, RedirectURI: in.RedirectURI,
		Verifier: in.Verifier, Refresh: in.Refresh, Scope: in.Scope, Nonce: in.Nonce, grantID: in.Grant,
	}, gateway(c))
}

// pathClient is the client that path and body name between them.
func pathClient(c pipeline.Call, named string) (string, error) {
	path := c.Path("client")
	if path != "" && named != "" && named != path {
		return "", errClient
	}
	return cmp.Or(path, named), nil
}

// gateway is what the gateway's paths ask of an app: its profile, and that it
// is the path's organization's.
func gateway(c pipeline.Call) place {
	return func(client app.App) error {
		if org := c.Path("organization"); org != "" && org != client.Org {
			return errClient
		}
		if client.Profile != app.Gateway {
			return errProfile
		}
		return nil
	}
}

type gatewayRevokeIn struct {
	Token        secret.Text `in:"token" doc:"An access token or a refresh token."`
	Hint         string      `in:"token_type_hint" doc:"access_token or refresh_token; comes back in the answer."`
	ClientID     string      `in:"client_id" doc:"The app; where the path names it, it may be left out."`
	ClientSecret secret.Text `in:"client_secret" doc:"The secret of a confidential app."`
}

type gatewayRevokeOut struct {
	RevokedAt string  `json:"revoked_at"`
	Hint      string  `json:"token_type_hint"`
	Logout    *string `json:"slo_code" doc:"With it the browser may end its session too, within five minutes and once; null when there is none."`
}

// revokeAtGateway ends what a token came of, and offers the browser to end its
// session, which only the browser's cookie can. For what is not the app's own
// nothing happens.
func (a *API) revokeAtGateway(ctx context.Context, c pipeline.Call, in gatewayRevokeIn) (gatewayRevokeOut, error) {
	clientID, err := pathClient(c, in.ClientID)
	if err != nil {
		return gatewayRevokeOut{}, err
	}
	client, err := a.appAt(ctx, c, tokenIn{ClientID: clientID, ClientSecret: in.ClientSecret}, gateway(c))
	if err != nil {
		return gatewayRevokeOut{}, err
	}
	if in.Token.IsZero() {
		return gatewayRevokeOut{}, errToken
	}
	ended, err := a.end(ctx, asker{app: client}, in.Token)
	if err != nil {
		return gatewayRevokeOut{}, err
	}
	out := gatewayRevokeOut{RevokedAt: at(a.Now()), Hint: in.Hint}
	out.Logout, err = a.offer(ctx, ended)
	return out, err
}

// offer makes the code with which the browser may finish the logout.
func (a *API) offer(ctx context.Context, ended grant.Grant) (*string, error) {
	if ended.SessionID == "" {
		return nil, nil //nolint:nilnil // there is none, and nothing is wrong
	}
	code, err := a.Logouts.Offer(ctx, session.Logout{Tenant: ended.Tenant, SessionID: ended.SessionID, ClientID: ended.ClientID})
	if err != nil {
		return nil, err
	}
	raw := code.Reveal()
	return &raw, nil
}
