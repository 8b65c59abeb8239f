package oidc

import (
	"context"
	"net/netip"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/token"
)

// credentials issues an API key's token for the key's secret, in all variants
// that the contract's clients send.
func (a *API) credentials(ctx context.Context, c pipeline.Call, in tokenIn) (tokenOut, error) {
	by, err := show(c.Request, in.ClientID, in.ClientSecret)
	if err != nil {
		return tokenOut{}, err
	}
	if by.id == "" || by.secret.IsZero() {
		return tokenOut{}, errRequest
	}
	key, err := a.authenticate(ctx, c.Source, by, in)
	if err != nil {
		return tokenOut{}, err
	}
	access, err := a.Tokens.Issue(ctx, key)
	if err != nil {
		return tokenOut{}, err
	}
	return tokenOut{
		AccessToken: access.Reveal(), TokenType: bearer, ExpiresIn: int(token.Life.Seconds()), Scope: scopes{strings.Join(key.Scopes, " ")},
	}, nil
}

// authenticate finds the key and has the guard compare the secret. Unknown,
// revoked and wrong answer alike, at the same count of tries.
func (a *API) authenticate(ctx context.Context, source netip.Addr, by shown, in tokenIn) (apikey.Key, error) {
	var key apikey.Key
	owner := "unknown"
	if id.IsUUID(by.id) {
		owner = by.id // counted like one that is there, or the pause would tell them apart
		found, err := a.Keys.KeyByID(ctx, by.id)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return apikey.Key{}, err
		}
		key = found
	}
	ok, err := a.Guard.Secret(ctx, owner, source, key.SecretDigest, apikey.Digest(by.secret))
	if err != nil {
		return apikey.Key{}, err
	}
	if !ok || key.Revoked() || !in.named(key.AccountDomain) {
		return apikey.Key{}, errClient
	}
	return key, nil
}
