package rig

import (
	"net/http"
	"strings"
)

// maxCookie is what browsers keep of one cookie, in bytes (RFC 6265 6.1).
const maxCookie = 4096

// LooseCookie says what keeps a Set-Cookie header from being bound to the host
// and the transport that it came over; empty when nothing does. Over
// plain http, which a server in development alone speaks, there is neither
// Secure nor the prefix __Host-, which browsers refuse without it.
func LooseCookie(header string, https bool) string {
	c, err := http.ParseSetCookie(header)
	switch {
	case err != nil:
		return "is none: " + err.Error()
	case len(header) > maxCookie:
		return "is longer than browsers keep"
	case c.Secure != https:
		return "does not say Secure as its transport is"
	case strings.HasPrefix(c.Name, "__Host-") != https:
		return "is not bound to its host by the name"
	case !c.HttpOnly:
		return "can be read by scripts"
	case c.SameSite != http.SameSiteLaxMode:
		return "comes with what other sites send"
	case c.Path != "/" || c.Domain != "" || len(c.Unparsed) > 0:
		return "is for another path or domain, or says what nobody knows"
	}
	return ""
}
