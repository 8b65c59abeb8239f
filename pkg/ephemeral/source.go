package ephemeral

import (
	"context"
	"net/netip"
)

// Limits by source: who has one address of IPv6 has billions of them, so they
// count by network.

// Network is where a client comes from, as far as limits are concerned.
type Network struct {
	netip.Prefix
	// Times is how many times as much as one client this network may do.
	Times int
}

// wideTimes is what the wide network of IPv6 may do: it is often one customer,
// and seldom very many.
const wideTimes = 8

// Networks returns the networks by which a client is limited, the narrowest
// first: an IPv4 address by itself, an IPv6 address by its /64 and, with eight
// times as much, by its /48. All clients without an address (those of a unix
// socket) are one.
func Networks(client netip.Addr) []Network {
	client = client.Unmap().WithZone("")
	switch {
	case client.Is4():
		return []Network{{netip.PrefixFrom(client, 32), 1}}
	case client.Is6():
		narrow, wide := netip.PrefixFrom(client, 64), netip.PrefixFrom(client, 48)
		return []Network{{narrow.Masked(), 1}, {wide.Masked(), wideTimes}}
	}
	return []Network{{netip.Prefix{}, 1}}
}

// Limiter is the part of a Store that rates are taken from.
type Limiter interface {
	Allow(ctx context.Context, key string, rate Rate) (Allowance, error)
}

// AllowFrom takes one unit of what a client may do by its networks. The name
// says what it does, and keeps its limits apart from those of other things.
func AllowFrom(ctx context.Context, limits Limiter, name string, client netip.Addr, rate Rate) (Allowance, error) {
	for _, network := range Networks(client) {
		wider := Rate{Burst: rate.Burst * network.Times, Per: rate.Per}
		allowance, err := limits.Allow(ctx, fromKey(name, network), wider)
		if err != nil || !allowance.OK {
			return allowance, err
		}
	}
	return Allowance{OK: true}, nil
}

// Deleter is the part of a Store that limits are lifted with.
type Deleter interface {
	Delete(ctx context.Context, key string) (bool, error)
}

// ClearFrom gives a client back all that AllowFrom has taken under the name.
func ClearFrom(ctx context.Context, limits Deleter, name string, client netip.Addr) error {
	for _, network := range Networks(client) {
		if _, err := limits.Delete(ctx, fromKey(name, network)); err != nil {
			return err
		}
	}
	return nil
}

func fromKey(name string, network Network) string {
	return "from:{" + name + "|" + network.String() + "}"
}
