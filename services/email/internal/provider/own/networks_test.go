package own

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"countersign.dev/services/email/internal/provider/smtp"
)

// Covers R-133 for mail servers of organizations.
func TestOnlyPublicAddressesAreReached(t *testing.T) {
	t.Parallel()
	none, err := ParseNetworks(nil)
	if err != nil {
		t.Fatal(err)
	}
	some, err := ParseNetworks([]string{"10.1.2.0/24", "127.0.0.1/32", "fd00::/64"})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		address       string
		always, given bool // by nobody's leave, and by that of some
	}{
		"public":                       {"93.184.216.34:587", true, true},
		"public, version 6":            {"[2606:2800:220:1::1]:465", true, true},
		"public, another port":         {"93.184.216.34:5432", false, false},
		"this machine":                 {"127.0.0.1:587", false, true},
		"this machine, another port":   {"127.0.0.1:31025", false, true},
		"this machine, another":        {"127.8.9.1:587", false, false},
		"this machine, version 6":      {"[::1]:587", false, false},
		"nothing":                      {"0.0.0.0:25", false, false},
		"nothing, version 6":           {"[::]:25", false, false},
		"private, class A":             {"10.0.0.1:25", false, false},
		"private, allowed":             {"10.1.2.3:2526", false, true},
		"private, class B":             {"172.31.255.1:25", false, false},
		"private, class C":             {"192.168.1.1:25", false, false},
		"carrier's own":                {"100.64.0.1:25", false, false},
		"metadata":                     {"169.254.169.254:25", false, false},
		"link-local, version 6":        {"[fe80::1]:25", false, false},
		"link-local with a zone":       {"[fe80::1%eth0]:25", false, false},
		"private, version 6":           {"[fc00::1]:25", false, false},
		"private, version 6, allowed":  {"[fd00::1]:25", false, true},
		"version 4 in version 6":       {"[::ffff:10.0.0.1]:25", false, false},
		"version 4 in version 6, good": {"[::ffff:93.184.216.34]:25", true, true},
		"version 4 by NAT64":           {"[64:ff9b::a00:1]:25", false, false},
		"version 4 by 6to4":            {"[2002:a00:1::1]:25", false, false},
		"version 4 by Teredo":          {"[2001:0:a00:1::1]:25", false, false},
		"documentation":                {"203.0.113.5:25", false, false},
		"many":                         {"224.0.0.1:25", false, false},
		"all":                          {"255.255.255.255:25", false, false},
		"no address":                   {"mail.example.com:25", false, false},
	}
	for name, c := range cases {
		for n, want := range map[*Networks]bool{&none: c.always, &some: c.given} {
			err := n.Control("tcp", c.address, nil)
			if (err == nil) != want || err != nil && !errors.Is(err, smtp.ErrForbidden) {
				t.Errorf("%s: %s with %v allowed: %v", name, c.address, n.allowed, err)
			}
		}
	}
	if _, err := ParseNetworks([]string{"10.1.2.3"}); err == nil {
		t.Error("an address was read as a network")
	}
}

// What a name leads to is looked at when the connection is made, so that a name
// that leads elsewhere a moment later gets nobody further.
func TestANameThatLeadsInsideGetsNoConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan struct{})
	go func() {
		defer close(reached)
		if conn, err := listener.Accept(); err == nil {
			_ = conn.Close()
			t.Error("somebody connected")
		}
	}()
	var none Networks
	dialer := net.Dialer{Control: none.Control}
	port := netip.MustParseAddrPort(listener.Addr().String()).Port()
	for _, host := range []string{"localhost", "127.0.0.1", "127.1", "0x7f000001", "0"} {
		conn, err := dialer.DialContext(context.Background(), "tcp", net.JoinHostPort(host, netip.AddrPortFrom(netip.IPv4Unspecified(), port).String()[len("0.0.0.0:"):]))
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s was reached", host)
		}
	}
	_ = listener.Close()
	<-reached
}
