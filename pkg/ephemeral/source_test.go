package ephemeral_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/rig"
	"countersign.dev/pkg/secret"
)

func TestNetworksOfAClient(t *testing.T) {
	t.Parallel()
	for client, want := range map[string][]string{
		"203.0.113.7":          {"203.0.113.7/32 1"},
		"::ffff:203.0.113.7":   {"203.0.113.7/32 1"},
		"2001:db8:1:2:3::4":    {"2001:db8:1:2::/64 1", "2001:db8:1::/48 8"},
		"2001:db8:1:2:ffff::1": {"2001:db8:1:2::/64 1", "2001:db8:1::/48 8"},
		"fe80::1%eth0":         {"fe80::/64 1", "fe80::/48 8"},
		"":                     {"invalid Prefix 1"},
	} {
		addr, _ := netip.ParseAddr(client)
		var got []string
		for _, n := range ephemeral.Networks(addr) {
			got = append(got, fmt.Sprint(n.Prefix, " ", n.Times))
		}
		if !slices.Equal(got, want) {
			t.Errorf("Networks(%q) = %q, want %q", client, got, want)
		}
	}
}

// fromNetwork is the i-th address of the n-th /64 of a /48.
func fromNetwork(n, i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::%x", n, i+1))
}

//
func TestAddressesOfOneNetworkShareItsLimit(t *testing.T) {
	t.Parallel()
	stores := map[string]func(t *testing.T) ephemeral.Store{
		"memory": func(t *testing.T) ephemeral.Store {
			still := time.Now() // nothing flows back
			return ephemeral.NewMemory(func() time.Time { return still })
		},
		"redis": func(t *testing.T) ephemeral.Store {
			store, err := ephemeral.NewRedis(ephemeral.RedisConfig{URL: secret.New(rig.Redis(t).URL)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			return store
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			rate := ephemeral.Rate{Burst: 60, Per: 24 * time.Hour} // next to nothing flows back while the test runs
			allowed := func(what string, clients int, client func(i int) netip.Addr) int {
				t.Helper()
				n := 0
				for i := range clients {
					allowance, err := ephemeral.AllowFrom(t.Context(), store, what, client(i), rate)
					if err != nil {
						t.Fatal(err)
					}
					if allowance.OK {
						n++
					} else if allowance.RetryAfter <= 0 {
						t.Fatalf("%s: refused without a time to come back", what)
					}
				}
				return n
			}
			if n := allowed("one /64", 10_000, func(i int) netip.Addr { return fromNetwork(7, i) }); n != 60 {
				t.Errorf("10,000 addresses of one /64 got %d units of 60", n)
			}
			// Each of the 256 networks asks for no more than its own share.
			if n := allowed("one /48", 256*60, func(i int) netip.Addr { return fromNetwork(i%256, i/256) }); n != 8*60 {
				t.Errorf("256 networks of one /48 got %d units, want 8 times 60", n)
			}
			if n := allowed("IPv4", 256, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }); n != 256 {
				t.Errorf("%d of 256 addresses of IPv4 got their first unit", n)
			}
			if err := ephemeral.ClearFrom(t.Context(), store, "one /48", fromNetwork(0, 0)); err != nil {
				t.Fatal(err)
			}
			if n := allowed("one /48", 2*60, func(i int) netip.Addr { return fromNetwork(0, i) }); n != 60 {
				t.Errorf("a network that was cleared got %d units, want 60 again", n)
			}
		})
	}
}
