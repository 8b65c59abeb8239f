package text

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

const (
	longestHost = 253 // octets, RFC 1035
	longestLink = 2048

	label = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
)

var (
	codeShape  = regexp.MustCompile(`^[0-9]{6,10}$`)
	hostShape  = regexp.MustCompile(`^` + label + `(?:\.` + label + `)*$`)
	colorShape = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)
	// urlShape has nothing that ends a line, an attribute or an address.
	urlShape = regexp.MustCompile(`^[A-Za-z0-9:/?#@!$&()*+,;=._~%\[\]-]+$`)
)

// goodLink reports whether a link may stand in a mail: https, or http to the
// same machine, as in development.
func goodLink(text string) bool {
	u, ok := address(text)
	return ok && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// goodLogo reports whether a page may load a picture from there.
func goodLogo(text string) bool {
	u, ok := address(text)
	return ok && u.Scheme == "https"
}

// address reads a whole URL that hides nothing.
func address(text string) (*url.URL, bool) {
	if len(text) > longestLink || !urlShape.MatchString(text) {
		return nil, false
	}
	u, err := url.Parse(text)
	return u, err == nil && u.User == nil && u.Opaque == "" && u.Hostname() != ""
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
