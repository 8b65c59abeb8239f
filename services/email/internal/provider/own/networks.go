package own

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"countersign.dev/services/email/internal/provider/smtp"
)

// Networks decides to which addresses the worker connects for an organization.
// A name may lead anywhere, so that what is asked is the address that the
// connection is about to be made to, and not the name.
type Networks struct {
	allowed []netip.Prefix
}

// ports are where mail is handed in (RFC 6409, RFC 8314), and the two that are
// as widely used for it. Others would let an organization knock at any service
// of the internet in our name.
var ports = []uint16{25, 465, 587, 2525}

// public6 is all that has been given out of IPv6.
var public6 = netip.MustParsePrefix("2000::/3")

// special are the networks that are not public, or lead to some that are not
// (IANA IPv4 and IPv6 special-purpose address registries).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // the metadata of clouds too
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),   // Teredo among others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("3fff::/20"),
}

// ParseNetworks reads the networks that are allowed although they are not
// public.
func ParseNetworks(allow []string) (Networks, error) {
	var n Networks
	for _, text := range allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return Networks{}, fmt.Errorf("%q is not a network such as 10.1.2.0/24", text)
		}
		n.allowed = append(n.allowed, prefix.Masked())
	}
	return n, nil
}

// Control refuses a connection; see net.Dialer.
func (n Networks) Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !n.allows(at) {
		return smtp.ErrForbidden
	}
	return nil
}

func (n Networks) allows(at netip.AddrPort) bool {
	addr := at.Addr().Unmap()
	holds := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case addr.Zone() != "":
		return false
	case slices.ContainsFunc(n.allowed, holds):
		return true
	case addr.Is6() && !public6.Contains(addr), slices.ContainsFunc(special, holds):
		return false
	}
	return slices.Contains(ports, at.Port())
}
