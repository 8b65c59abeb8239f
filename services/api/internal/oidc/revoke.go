package oidc

import (
	"context"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/pipeline"
)

// revokeOut is empty: RFC 7009 2.2 has the status say all.
type revokeOut struct{}

// revoke ends what a token came of, all tokens of it (RFC 7009). For what is
// unknown, ended or somebody else's it does nothing, and answers the same.
func (a *API) revoke(ctx context.Context, c pipeline.Call, in introspectIn) (revokeOut, error) {
	who, err := a.askerOf(ctx, c, in.ClientID, in.ClientSecret)
	if err != nil {
		return revokeOut{}, err
	}
	if in.Token.IsZero() {
		return revokeOut{}, errToken
	}
	_, err = a.end(ctx, who, in.Token)
	return revokeOut{}, err
}

// end ends the grant that a token of the client came of, and returns it, or a
// zero one when nothing ended. It returns errTypeless for a token that the app
// got for itself: nothing is kept of those.
func (a *API) end(ctx context.Context, who asker, raw secret.Text) (grant.Grant, error) {
	if grant.IsRefresh(raw) {
		if who.key.ID != "" {
			return a.Grants.RevokeRefresh(ctx, raw, who.key.ID)
		}
		return a.Grants.RevokeRefresh(ctx, raw, who.app.ID)
	}
	access, err := a.Tokens.ReadUser(ctx, raw)
	if fault.KindOf(err) == fault.Unauthorized {
		return grant.Grant{}, a.endApp(ctx, who, raw)
	}
	if err != nil || !who.is(access.ClientID) {
		return grant.Grant{}, err
	}
	of, err := a.Grants.Live(ctx, access.GrantID)
	if fault.KindOf(err) == fault.Malformed {
		return grant.Grant{}, nil // it has ended before
	}
	if err != nil || !who.is(of.ClientID) {
		return grant.Grant{}, err
	}
	return of.Grant, a.Grants.Revoke(ctx, of.Tenant, of.Grant.ID)
}

func (a *API) endApp(ctx context.Context, who asker, raw secret.Text) error {
	access, err := a.Tokens.ReadApp(ctx, raw)
	if fault.KindOf(err) == fault.Unauthorized {
		return nil
	}
	if err == nil && who.is(access.ClientID) {
		return errTypeless
	}
	return err
}
