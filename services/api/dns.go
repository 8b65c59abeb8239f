package api

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"countersign.dev/pkg/conf"
	"countersign.dev/services/api/internal/tenant"
)

// lookups is how many questions the DNS is asked at once. Whoever may claim a
// domain could otherwise have us ask its servers as often as we are asked.
const lookups = 8

// dns asks the DNS for proofs of e-mail domains.
type dns struct {
	resolver *net.Resolver
	slots    chan struct{}
}

var _ tenant.Resolver = (*dns)(nil)

// newDNS asks the server, or those of the machine when that is empty.
func newDNS(server string) *dns {
	d := &dns{resolver: &net.Resolver{}, slots: make(chan struct{}, lookups)}
	if server != "" {
		d.resolver.PreferGo = true
		d.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}
	}
	return d
}

// LookupTXT implements tenant.Resolver.
func (d *dns) LookupTXT(ctx context.Context, name string) ([]string, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	texts, err := d.resolver.LookupTXT(ctx, name)
	if missing, ok := errors.AsType[*net.DNSError](err); ok && missing.IsNotFound {
		return nil, nil
	}
	return texts, err
}

func (c Config) validateDNS() error {
	if c.DNSServer == "" {
		return nil
	}
	if _, err := netip.ParseAddrPort(c.DNSServer); err != nil {
		return conf.Wrong("COUNTERSIGN_DNS_SERVER", "must be an address with its port, such as 10.0.0.53:53")
	}
	return nil
}
