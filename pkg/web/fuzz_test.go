package web_test

import (
	"net/http"
	"net/netip"
	"testing"

	"countersign.dev/pkg/web"
)

// Whatever forwarding headers say, the client has one address in one form,
// and somebody who is no proxy of ours changes it by no header.
//
// Covers R-131 for forwarded addresses.
func FuzzForwardedFor(f *testing.F) {
	f.Add("10.0.0.1:1234", "203.0.113.7", "10.0.0.2")
	f.Add("203.0.113.9:1", "10.0.0.1", "")
	f.Add("[fd00::1%eth0]:1", "::ffff:203.0.113.7, [2001:db8::1]:443", "junk")
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
		cfg := web.Config{TrustedProxies: proxies}
		addr := seenAs(t, cfg, peer, http.Header{"X-Forwarded-For": {first, second}})
		if addr.Zone() != "" || addr.Is4In6() {
			t.Fatalf("the client is %v", addr)
		}
		from, err := netip.ParseAddrPort(peer)
		if err != nil {
			if addr.IsValid() {
				t.Fatalf("a peer without address became %v", addr)
			}
			return
		}
		plain := from.Addr().Unmap().WithZone("")
		if !proxies[0].Contains(plain) && !proxies[1].Contains(plain) && addr != plain {
			t.Fatalf("%v became %v by a header", plain, addr)
		}
	})
}
