package ephemeral

import (
	"net/netip"
	"strings"
	"testing"

	"countersign.dev/pkg/secret"
)

// The URL of Redis is read or refused: what is not encrypted stays on this
// machine, and no error repeats a part of the URL, which may hold a password.
//
// Covers R-131 for the URL of Redis.
func FuzzRedisURL(f *testing.F) {
	for _, seed := range []string{
		"redis://127.0.0.1:6379", "rediss://user:p%40ss@redis.example.com/3", "rediss://a,b:1/?cluster=true",
		"rediss://s1,s2?master=main&sentinel_user=u&sentinel_password=p", "redis://localhost.example.com", "redis://:@:", "http://x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		options, err := RedisConfig{URL: secret.New(text)}.options()
		if err != nil {
			if rest := strings.TrimPrefix(strings.TrimPrefix(text, "rediss://"), "redis://"); len(rest) > 12 && strings.Contains(err.Error(), rest) {
				t.Fatalf("the error repeats %q: %v", rest, err)
			}
			return
		}
		if len(options.Addrs) == 0 || options.DB < 0 || options.Dialer == nil || options.MaxRetries != -1 {
			t.Fatalf("%q was read as %+v", text, options)
		}
		if !strings.HasPrefix(text, "rediss://") != (options.TLSConfig == nil) {
			t.Fatalf("%q has the TLS settings %+v", text, options.TLSConfig)
		}
		for _, address := range options.Addrs {
			if options.TLSConfig == nil && !isHere(address) {
				t.Fatalf("%q sends plain text to %q", text, address)
			}
		}
	})
}

// isHere decides again, by another way, what leaves this machine.
func isHere(address string) bool {
	if host, _, found := strings.Cut(address, ":"); found && host == "localhost" {
		return true
	}
	pair, err := netip.ParseAddrPort(address)
	return err == nil && pair.Addr().IsLoopback()
}
