package conf

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// InsecureDevKey is the switch that allows connections in plain text to this
// same machine.
const InsecureDevKey = Prefix + "INSECURE_DEV"

// PlainText returns a mistake about the variable name when rawURL leads to a
// connection that is not encrypted with a verified certificate. It knows the
// URLs of NATS (a list is separated by commas), Redis and Postgres, the
// settings form of Postgres, and what stays on the machine: unix sockets and
// files. With insecureDev plain text is allowed, but to loopback hosts only.
// The mistake never repeats the URL, which may hold a password.
func PlainText(name, rawURL string, insecureDev bool) error {
	safe, hosts, instead, ok := inspect(rawURL)
	switch {
	case !ok:
		return Wrong(name, "is not a connection that can be checked: it starts with tls://, rediss:// or postgres:// (or is a list of settings for Postgres)")
	case safe:
		return nil
	case !insecureDev:
		return Wrong(name, "the connection is not encrypted, or the certificate not verified: use %s. For development on one machine set %s=true and a loopback host (127.0.0.1, [::1], localhost)", instead, InsecureDevKey)
	}
	for _, host := range hosts {
		if !Loopback(host) {
			return Wrong(name, "%s allows plain text to this machine only (127.0.0.1, [::1], localhost): use %s for any other host", InsecureDevKey, instead)
		}
	}
	if len(hosts) == 0 {
		return Wrong(name, "names no host: name one")
	}
	return nil
}

// Loopback reports whether a host, or a host with a port, can only be reached
// from this machine. An empty host means every interface and is not loopback;
// of names only localhost counts.
func Loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// inspect says whether a connection is safe as it is, which hosts it may lead
// to, and what to use instead. It errs on the unsafe side.
func inspect(raw string) (safe bool, hosts []string, instead string, ok bool) {
	scheme, rest, isURL := strings.Cut(raw, "://")
	switch scheme = strings.ToLower(scheme); {
	case strings.HasPrefix(raw, "file:"), strings.HasPrefix(raw, "sqlite:"), isURL && scheme == "unix":
		return true, nil, "", true
	case !isURL && strings.Contains(raw, "="):
		settings, ok := postgresSettings(raw)
		safe, hosts := postgres(settings, "")
		return safe, hosts, "sslmode=verify-full", ok
	case !isURL:
		return false, nil, "", false
	}
	authority, query := split(rest)
	switch scheme {
	case "postgres", "postgresql":
		safe, hosts := postgres(query, authority)
		return safe, hosts, "sslmode=verify-full", true
	case "redis", "rediss":
		hosts := []string{authority}
		for _, addr := range query["addr"] {
			hosts = append(hosts, strings.Split(addr, ",")...)
		}
		return scheme == "rediss" && !query.Has("skip_verify"), hosts, "rediss:// without skip_verify", true
	case "nats", "tls", "ws", "wss":
		safe, hosts := natsServers(raw)
		return safe, hosts, "tls://", true
	}
	return false, nil, "", false
}

// natsServers reads a list of servers, as the client library does: one that
// leaves out its scheme is plain text.
func natsServers(list string) (safe bool, hosts []string) {
	safe = true
	for server := range strings.SplitSeq(list, ",") {
		scheme, rest, isURL := strings.Cut(strings.TrimSpace(server), "://")
		if !isURL {
			scheme, rest = "nats", scheme
		}
		scheme = strings.ToLower(scheme)
		safe = safe && (scheme == "tls" || scheme == "wss")
		host, _ := split(rest)
		hosts = append(hosts, host)
	}
	return safe, hosts
}

// split takes the host (or hosts) and the query out of what follows "://".
// It is not url.Parse, which refuses Postgres' lists of hosts; like the
// drivers it passes over pairs of the query that are malformed.
func split(rest string) (authority string, query url.Values) {
	rest, _, _ = strings.Cut(rest, "#")
	rest, rawQuery, _ := strings.Cut(rest, "?")
	authority, _, _ = strings.Cut(rest, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	query, _ = url.ParseQuery(rawQuery)
	return authority, query
}

// postgres reads the settings of a connection. A setting that is given twice
// may be read either way by the driver, so that both have to be safe.
func postgres(settings url.Values, authority string) (safe bool, hosts []string) {
	for _, list := range slices.Concat([]string{authority}, settings["host"], settings["hostaddr"]) {
		for host := range strings.SplitSeq(list, ",") {
			if host != "" {
				hosts = append(hosts, host)
			}
		}
	}
	sockets := len(hosts) > 0
	for _, host := range hosts {
		sockets = sockets && strings.HasPrefix(host, "/")
	}
	if sockets {
		return true, hosts
	}
	modes := settings["sslmode"]
	safe = len(modes) > 0
	for _, mode := range modes {
		safe = safe && (mode == "verify-full" || mode == "verify-ca")
	}
	hosts = slices.DeleteFunc(hosts, func(host string) bool { return strings.HasPrefix(host, "/") })
	return safe && !settings.Has("ssl"), hosts
}

// postgresSettings reads the form "host=db sslmode='verify-full'".
func postgresSettings(text string) (url.Values, bool) {
	out := url.Values{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		name, rest = strings.TrimSpace(name), strings.TrimLeft(rest, " \t\r\n")
		if !ok || name == "" || strings.ContainsAny(name, " \t\r\n'") {
			return nil, false
		}
		var value string
		if value, text, ok = postgresValue(rest); !ok {
			return nil, false
		}
		out.Add(name, value)
	}
	return out, true
}

// postgresValue reads one value, in quotes or up to the next blank, with
// backslashes before what stands for itself.
func postgresValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case quoted && c == '\'':
			return out.String(), text[i+1:], true
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return out.String(), text[i:], true
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), "", !quoted
}
