package web_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"

	"countersign.dev/pkg/web"
)

// seenAs is the client's address as a handler sees it.
func seenAs(t *testing.T, cfg web.Config, peer string, header http.Header) netip.Addr {
	t.Helper()
	r := get(t, "/")
	r.RemoteAddr, r.Header = peer, header
	var addr netip.Addr
	call(cfg, r, func(_ http.ResponseWriter, r *http.Request) { addr = web.ClientIP(r.Context()) })
	return addr
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	xff := func(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }
	cases := map[string]struct {
		peer   string
		header http.Header
		want   string
	}{
		"no proxy, no header":                   {"203.0.113.7:999", nil, "203.0.113.7"},
		"no proxy: its header is not believed":  {"203.0.113.7:999", xff("198.51.100.1"), "203.0.113.7"},
		"a proxy without the header":            {"10.0.0.1:999", nil, "10.0.0.1"},
		"a proxy":                               {"10.0.0.1:999", xff("198.51.100.1"), "198.51.100.1"},
		"what the client invented is passed by": {"10.0.0.1:999", xff("1.1.1.1, 198.51.100.1"), "198.51.100.1"},
		"two proxies":                           {"10.0.0.1:999", xff("1.1.1.1, 198.51.100.1, 10.0.0.2"), "198.51.100.1"},
		"two headers count as one list":         {"10.0.0.1:999", xff("1.1.1.1", "198.51.100.1,10.0.0.2"), "198.51.100.1"},
		"a client inside the trusted network":   {"10.0.0.1:999", xff("10.0.0.9"), "10.0.0.9"},
		"a proxy that lies further left":        {"10.0.0.1:999", xff("10.0.0.9, 198.51.100.1"), "198.51.100.1"},
		"a hop that is no address":              {"10.0.0.1:999", xff("198.51.100.1, unknown"), "10.0.0.1"},
		"an empty hop":                          {"10.0.0.1:999", xff("198.51.100.1, "), "10.0.0.1"},
		"a hop with a port":                     {"10.0.0.1:999", xff("198.51.100.1:4711"), "198.51.100.1"},
		"IPv6 with a port":                      {"10.0.0.1:999", xff("[2001:db8::1]:4711"), "2001:db8::1"},
		"IPv6 from an IPv6 proxy":               {"[fd00::1]:999", xff("2001:db8::1"), "2001:db8::1"},
		"IPv4 in IPv6 is IPv4":                  {"[::ffff:203.0.113.7]:999", nil, "203.0.113.7"},
		"a proxy as IPv4 in IPv6":               {"[::ffff:10.0.0.1]:999", xff("::ffff:198.51.100.1"), "198.51.100.1"},
		"a zone is dropped":                     {"[fe80::1%eth0]:999", nil, "fe80::1"},
		"other headers are not read":            {"10.0.0.1:999", http.Header{"X-Real-Ip": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1"}, "True-Client-Ip": {"1.1.1.1"}}, "10.0.0.1"},
		"a unix socket":                         {"@", xff("198.51.100.1"), "invalid IP"},
	}
	log, _ := newLog()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := seenAs(t, web.Config{Log: log, TrustedProxies: proxies}, c.peer, c.header); got.String() != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

//
func TestNobodyChangesTheirAddressWithAHeader(t *testing.T) {
	t.Parallel()
	random := func() string {
		return netip.AddrFrom4([4]byte{byte(rand.Uint32()), byte(rand.Uint32()), 3, 4}).String()
	}
	proxies := map[string][]netip.Prefix{"by default": nil, "with a proxy elsewhere": {netip.MustParsePrefix("10.0.0.0/8")}}
	for name, trusted := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, lines := newLog()
			buckets := map[netip.Addr]int{}
			for range 1000 {
				buckets[seenAs(t, web.Config{Log: log, TrustedProxies: trusted}, "203.0.113.7:999", http.Header{
					"X-Forwarded-For": {random() + ", " + random()},
					"X-Real-Ip":       {random()},
					"Forwarded":       {fmt.Sprintf("for=%s;proto=https", random())},
				})]++
				if line := lines.access(t); line["client_ip"] != "203.0.113.7" {
					t.Fatalf("the log shows %v", line["client_ip"])
				}
			}
			if len(buckets) != 1 || buckets[netip.MustParseAddr("203.0.113.7")] != 1000 {
				t.Errorf("1,000 requests of one client fall into %d buckets: %v", len(buckets), buckets)
			}
		})
	}
}
