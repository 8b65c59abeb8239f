package oidc

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/pipeline"
)

// shown is the credential that a request brings for its client.
type shown struct {
	id     string
	secret secret.Text // empty: the client says who it is, and no more
}

// show takes the credential from the body or from the Authorization header,
// where both halves are form-encoded (RFC 6749 2.3.1): one of the two.
func show(r *http.Request, clientID string, clientSecret secret.Text) (shown, error) {
	user, password, ok := r.BasicAuth()
	if !ok {
		return shown{clientID, clientSecret}, nil
	}
	basicID, errID := url.QueryUnescape(user)
	value, errSecret := url.QueryUnescape(password)
	both := !clientSecret.IsZero() || clientID != "" && clientID != basicID
	if err := errors.Join(errID, errSecret); err != nil || both {
		return shown{id: cmp.Or(clientID, basicID)}, errRequest.Because(err)
	}
	return shown{basicID, secret.New(value)}, nil
}

// client authenticates an app, for every endpoint: a confidential one by its
// secret, a public one, which has none, by its id. Unknown, deactivated and
// wrong answer alike, and a secret costs the same count of tries whomever it is
// said to be of.
func (a *API) client(ctx context.Context, c pipeline.Call, by shown) (app.App, error) {
	var found app.App
	owner := "unknown"
	if app.IsID(by.id) {
		owner = by.id // counted like one that is there, or the pause would tell them apart
		known, err := a.Apps.AppByID(ctx, by.id)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return app.App{}, err
		}
		if err == nil {
			found = known
			c.ServeApp(found)
		}
	}
	if by.secret.IsZero() {
		if found.ID == "" || !found.Active || found.Confidential() {
			return app.App{}, errClient
		}
		return found, nil
	}
	ok, err := a.Guard.Secret(ctx, owner, c.Source, found.SecretDigest, app.Digest(by.secret))
	if err != nil {
		return app.App{}, err
	}
	if !ok || !found.Active || !found.Confidential() {
		return app.App{}, errClient
	}
	return found, nil
}

// refused reports whether an error says that the client is not who it should
// be, and not that we could not find out.
func refused(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Unauthorized || kind == fault.Malformed
}
