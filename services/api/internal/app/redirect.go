package app

import (
	"regexp"
	"slices"
	"strings"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/tenant"
)

// Redirects reports whether a code may be sent to a URI: whether the app lists
// it, character for character (RFC 9700 2.1). Two spellings of one address are
// two addresses. The one exception is RFC 8252 7.3: a native app listens on
// its user's machine on whatever port is free, so that the port of a plain
// HTTP URI to this machine is not compared.
func (a App) Redirects(uri string) bool {
	if slices.Contains(a.RedirectURIs, uri) {
		return true
	}
	asked, ok := tenant.ParseURL(uri)
	if !a.Native || !ok || !asked.Plain {
		return false
	}
	return slices.ContainsFunc(a.RedirectURIs, func(listed string) bool {
		u, ok := tenant.ParseURL(listed)
		return ok && u.Plain && u.Portless == asked.Portless
	})
}

// LeadsAfterLogout reports whether a browser may be sent to a URI after a
// logout: whether the app lists it, character for character.
func (a App) LeadsAfterLogout(uri string) bool { return slices.Contains(a.LogoutURIs, uri) }

// Serves reports whether pages of an origin may call the token paths for the
// app: whether it lists the origin, character for character. "null" is nobody's.
func (a App) Serves(origin string) bool { return slices.Contains(a.Origins, origin) }

// MayAsk returns what the app gets of the scopes that it asks for, each once
// and in the order asked. It is not ok when one of them is not the app's: to
// leave it out without a word would be found out by a failing call much later
// (RFC 6749 3.3, invalid_scope). Nothing asked is nothing granted.
func (a App) MayAsk(scopes []string) (granted []string, ok bool) {
	granted = []string{}
	for _, scope := range scopes {
		switch {
		case !slices.Contains(a.Scopes, scope):
			return nil, false
		case !slices.Contains(granted, scope):
			granted = append(granted, scope)
		}
	}
	return granted, true
}

// Longest and most of what an app lists.
const (
	maxURIs    = 50
	maxScopes  = 50
	maxScope   = 100
	maxPrivate = 500
)

// privatePattern is a redirect URI of a scheme that an app registers on the
// user's machine (RFC 8252 7.1): a name of the app's maker turned round, one
// slash, a path. Without a dot it could be a scheme that means something to
// the browser, such as javascript or data.
var privatePattern = regexp.MustCompile(`^[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+:/(?:[A-Za-z0-9._~-][A-Za-z0-9._~/-]*)?$`)

func isPrivate(uri string) bool {
	_, path, _ := strings.Cut(uri, ":")
	return len(uri) <= maxPrivate && privatePattern.MatchString(uri) && !tenant.HostilePath(path)
}

// checkURIs refuses what could be read as another address, and what would lead
// elsewhere than to a page or an app of the organization.
func (a App) checkURIs(field string, uris []string) error {
	if len(uris) > maxURIs {
		return fault.Newf(fault.Invalid, "invalid_parameter", "%s must be at most %d", field, maxURIs)
	}
	for _, uri := range uris {
		u, ok := tenant.ParseURL(uri)
		switch {
		case ok && (!u.Plain || a.onThisMachine()):
		case a.Native && isPrivate(uri):
		default:
			return fault.Newf(fault.Invalid, "invalid_parameter",
				"%s must be https URLs such as https://app.example.com/callback: no fragment, user, wildcard or dot segment, the host in lower case; http is for this machine, in the sandbox and for native apps alone, which may list com.example.app:/callback, too", field)
		}
	}
	return nil
}

// checkBackchannel takes where we send requests ourselves: over TLS, except to
// this machine while an app is made.
func (a App) checkBackchannel() error {
	if a.BackchannelURI == "" {
		return nil
	}
	if u, ok := tenant.ParseURL(a.BackchannelURI); !ok || u.Plain && a.Tenant.Env != tenant.Sandbox {
		return fault.New(fault.Invalid, "invalid_parameter",
			"backchannel_logout_uri must be an https URL such as https://app.example.com/logout: no fragment, user, wildcard or dot segment, the host in lower case; http is for this machine, in the sandbox alone")
	}
	return nil
}

// checkInitiate takes what a page of ours may link to: a page over TLS, except
// on this machine.
func (a App) checkInitiate() error {
	if a.InitiateURI == "" {
		return nil
	}
	if u, ok := tenant.ParseURL(a.InitiateURI); !ok || u.Plain && !a.onThisMachine() {
		return fault.New(fault.Invalid, "invalid_parameter",
			"initiate_login_uri must be an https URL such as https://app.example.com/login: no fragment, user, wildcard or dot segment, the host in lower case; http is for this machine, in the sandbox and for native apps alone")
	}
	return nil
}

// onThisMachine reports whether the app may list http to this machine: in the
// sandbox, where apps are made, and for what runs on its user's machine.
func (a App) onThisMachine() bool { return a.Native || a.Tenant.Env == tenant.Sandbox }

// checkOrigins takes what a browser would send as Origin (RFC 6454 6.2): in
// one spelling, and without the port that is the scheme's own.
func (a App) checkOrigins() error {
	if len(a.Origins) > maxURIs {
		return fault.Newf(fault.Invalid, "invalid_parameter", "origins must be at most %d", maxURIs)
	}
	for _, origin := range a.Origins {
		u, ok := tenant.ParseURL(origin)
		usual := u.Plain && u.Port == "80" || !u.Plain && u.Port == "443"
		if !ok || !u.Bare || usual || u.Plain && !a.onThisMachine() {
			return fault.New(fault.Invalid, "invalid_parameter",
				"origins must be as browsers send them, such as https://app.example.com or http://localhost:3000: scheme, host and a port that is not the usual one, nothing behind; http is for this machine, in the sandbox and for native apps alone")
		}
	}
	return nil
}

// scopePattern is scope-token of RFC 6749 3.3.
var scopePattern = regexp.MustCompile(`^[!#-\[\]-~]+$`)

func (a App) checkScopes() error {
	if len(a.Scopes) > maxScopes {
		return fault.Newf(fault.Invalid, "invalid_parameter", "scopes must be at most %d", maxScopes)
	}
	for _, scope := range a.Scopes {
		if len(scope) > maxScope || !scopePattern.MatchString(scope) {
			return fault.Newf(fault.Invalid, "invalid_parameter", "scopes must have at most %d visible ASCII characters each, without quotes and backslashes", maxScope)
		}
	}
	return nil
}
