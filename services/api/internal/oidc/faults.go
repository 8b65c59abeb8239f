package oidc

import (
	"errors"
	"net/http"
	"slices"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/grant"
)

// The faults of RFC 6749 5.2 and RFC 7009 2.2.1, by their names there.
var (
	errRequest  = fault.New(fault.Malformed, "invalid_request", "send grant_type with what it needs, once each: client_id and client_secret, or code, or refresh_token; and one kind of authentication")
	errGrant    = fault.New(fault.Malformed, "unsupported_grant_type", "grant_type must be client_credentials, authorization_code or refresh_token")
	errClient   = fault.New(fault.Unauthorized, "invalid_client", "the client's credential is wrong: client_id, client_secret or the account's domain; for codes and refresh tokens of an API key its Bearer token; or the client is gone or deactivated")
	errProfile  = fault.New(fault.Malformed, "unauthorized_client", "this client may not do that here: client_credentials are for confidential apps, and the gateway's paths for apps of its profile")
	errToken    = fault.New(fault.Malformed, "invalid_request", "send token, once and in the body, with one kind of authentication")
	errTypeless = fault.New(fault.Malformed, "unsupported_token_type", "an access token that an app got for itself cannot be revoked; it ends by itself, or with its app")
)

// named are the codes that RFC 6749 5.2, 6750 3.1 and 7009 2.2.1 have names
// for. Whatever else is wrong is a request that is not as it should be.
var named = []string{
	errRequest.Code, errGrant.Code, errClient.Code, errProfile.Code, errTypeless.Code, grant.ErrInvalid.Code, grant.ErrScope.Code,
	"invalid_token", "insufficient_scope",
}

// writeFault renders faults as RFC 6749 5.2 wants them.
func writeFault(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal || f.Kind == fault.Unavailable || f.Kind == fault.Limited {
		web.WriteFault(w, r, err)
		return
	}
	code, status := f.Code, web.Status(f.Kind)
	if !slices.Contains(named, code) {
		code = errRequest.Code
	}
	if f.Kind == fault.Invalid {
		status = http.StatusBadRequest // all that is wrong with parameters is
	}
	web.Note(r.Context(), err)
	if challenge := challengeFor(r, f); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	web.FaultHeaders(w.Header(), f)
	web.WriteOAuthError(w, r, status, code, f.Message)
}

// challengeFor is the challenge that answers a credential of this kind, empty
// where the usual one does. A client that has tried Basic is told of Basic
// (RFC 6749 5.2).
func challengeFor(r *http.Request, f *fault.Error) string {
	if _, _, basic := r.BasicAuth(); basic && f.Code == errClient.Code {
		return `Basic realm="token", charset="UTF-8"`
	}
	if f.Code == "insufficient_scope" {
		return `Bearer error="insufficient_scope", scope="` + grant.OpenID + `"`
	}
	return ""
}
