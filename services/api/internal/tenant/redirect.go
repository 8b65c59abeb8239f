package tenant

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"countersign.dev/pkg/fault"
)

// ErrRedirect answers for every redirect URI that is not to be followed,
// whatever is wrong with it.
var ErrRedirect = fault.New(fault.Invalid, "redirect_uri_not_registered",
	"redirect_uri must be, character for character, one of those of the API key or of the organization; in the sandbox http://localhost, http://127.0.0.1 and http://[::1] work on any port and path, too")

// Bounds of URLs that an organization or a key lists.
const (
	maxURL       = 2000
	maxRedirects = 50
)

// CheckRedirect returns nil for a URI to which a browser may be sent with what
// a link has become, else ErrRedirect. It is compared as a text with what is
// listed: two spellings of one address are two addresses. In the sandbox this
// machine is allowed on any port and path; plain HTTP goes nowhere else.
func CheckRedirect(env string, listed []string, uri string) error {
	u, ok := ParseURL(uri)
	if !ok || u.Plain && env != Sandbox {
		return ErrRedirect
	}
	if u.Plain && !u.Query || slices.Contains(listed, uri) {
		return nil
	}
	return ErrRedirect
}

// CleanRedirects returns a list of redirect URIs without empty and repeated
// entries. It refuses what CheckRedirect would never take: with sandbox unset
// plain HTTP to this machine, too. It returns a fault of kind Invalid.
func CleanRedirects(list []string, sandbox bool) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, uri := range list {
		if uri == "" || slices.Contains(out, uri) {
			continue // redirect_uris[]= clears the list
		}
		if u, ok := ParseURL(uri); !ok || u.Plain && !sandbox {
			return nil, fault.Newf(fault.Invalid, "invalid_parameter",
				"redirect_uris must be https URLs of at most %d characters such as https://app.example.com/callback: no fragment, user, wildcard or dot segment, the host in lower case; http is for localhost in the sandbox alone", maxURL)
		}
		out = append(out, uri)
	}
	if len(out) > maxRedirects {
		return nil, fault.Newf(fault.Invalid, "invalid_parameter", "redirect_uris must be at most %d", maxRedirects)
	}
	return out, nil
}

// URL is what a rule has to know about a URL that browsers are sent to.
type URL struct {
	Plain bool // http, which only goes to this machine
	Query bool
	Bare  bool // scheme, host and perhaps a port, and nothing behind them
	Port  string
	// Portless is the URL without its port: with http the same place of this
	// machine, whichever port is free there (RFC 8252 7.3).
	Portless string
}

// urlPattern is the part of RFC 3986 about which all who read URLs agree. What
// stands outside of it has been read as one host by a check and as another by
// a browser: backslashes, users, blanks, missing slashes, fragments. There are
// no wildcards either: who writes one believes that it means something.
var urlPattern = regexp.MustCompile(`^(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(?::([1-9][0-9]{0,4}))?(?:(/(?:[A-Za-z0-9._~!$&'()+,;=:@/-]|%[0-9A-Fa-f]{2})*)(\?(?:[A-Za-z0-9._~!$&'()+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)?$`)

// ParseURL reads an absolute URL of at most 2000 characters: https, or http to
// this machine. It takes no spelling that two readers could read differently.
func ParseURL(text string) (URL, bool) {
	if len(text) > maxURL {
		return URL{}, false
	}
	parts := urlPattern.FindStringSubmatch(text)
	if parts == nil {
		return URL{}, false
	}
	scheme, host, port, path, query := parts[1], parts[2], parts[3], parts[4], parts[5]
	if !validHost(host) || !validPort(port) || HostilePath(path+query) {
		return URL{}, false
	}
	u := URL{
		Plain: scheme == "http", Query: query != "", Bare: path == "", Port: port,
		Portless: scheme + "://" + host + path + query,
	}
	return u, !u.Plain || slices.Contains([]string{"localhost", "127.0.0.1", "[::1]"}, host)
}

// HostilePath reports whether somebody on the way may read a path, or a path
// with its query, as another one.
func HostilePath(path string) bool {
	path, query, _ := strings.Cut(path, "?")
	return hostileEscape.MatchString(path) || hostileEscape.MatchString(query) || hasDots(path)
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}

var (
	labelPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	// numberPattern finds what browsers read as a number, and the host with it
	// as an IPv4 address, however it is written: 127.1, 0x7f000001.
	numberPattern = regexp.MustCompile(`^(?:[0-9]+|0x[0-9a-f]*)$`)
)

// validHost takes names and the one usual form of an address.
func validHost(host string) bool {
	bare, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		bare = strings.TrimSuffix(bare, "]")
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		return addr.Is6() == bracketed && addr.String() == bare
	}
	labels := strings.Split(host, ".")
	if bracketed || len(host) > maxDomainLength || numberPattern.MatchString(labels[len(labels)-1]) {
		return false
	}
	return !slices.ContainsFunc(labels, func(label string) bool { return !labelPattern.MatchString(label) })
}

// hostileEscape finds escapes of control characters and of the backslash,
// which somebody on the way may unescape and then obey.
var hostileEscape = regexp.MustCompile(`%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])`)

// hasDots reports whether a path holds a segment that means another place.
func hasDots(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return true
		}
	}
	return false
}
