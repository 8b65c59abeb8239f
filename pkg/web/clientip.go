package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP finds the client's address. It starts at the peer of the
// connection; while the address at hand belongs to a trusted proxy it moves on
// to the next hop of X-Forwarded-For, from the right, since each proxy adds
// its peer there and everything to the left may be invented. The first address
// that is not trusted is the client. A hop that is no address ends the walk at
// the proxy that reported it.
//
// X-Real-IP and Forwarded are not read: a proxy that sets the one lets the
// others through as the client sent them.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a unix socket
	}
	client := plainAddr(peer.Addr())
	if !contains(trusted, client) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop, ok := parseHop(strings.TrimSpace(text))
		if !ok {
			break
		}
		client = hop
		if !contains(trusted, client) {
			break
		}
	}
	return client
}

// parseHop reads an address, with or without the port that some proxies add.
func parseHop(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return plainAddr(addr), true
	}
	if pair, err := netip.ParseAddrPort(text); err == nil {
		return plainAddr(pair.Addr()), true
	}
	return netip.Addr{}, false
}

// plainAddr gives one form to one address: an IPv4 client of a dual socket is
// not a second client.
func plainAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
