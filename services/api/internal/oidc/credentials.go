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
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// credentials issues an API key's token for the key's secret, in all variants
// that the contract's clients send.
func (a *API) credentials(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	if err := in.basic(c.Request); err != nil {
		return tokenOut{}, err
	}
	if in.ClientID == "" || in.ClientSecret.IsZero() {
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
		AccessToken: access.Reveal(), TokenType: "Bearer", ExpiresIn: int(token.Life.Seconds()), Scope: scopes{strings.Join(key.Scopes, " ")},
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
	if !ok || key.Revoked() || !in.named(key.AccountDomain) {
		return apikey.Key{}, errClient
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
