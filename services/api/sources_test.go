package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api"
)

// from sends a form as a client that says of itself what the headers say.
func (h *house) from(header http.Header, method, path, form string) *reply {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, strings.NewReader(form))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.send(req)
}

func forwarded(hops string) http.Header { return http.Header{"X-Forwarded-For": {hops}} }

func randomIPv4() string {
	return fmt.Sprintf("%d.%d.%d.%d", 1+rand.IntN(220), rand.IntN(256), rand.IntN(256), rand.IntN(256))
}

// Nobody who talks to the service itself gets another limit by a header.
// Covers R-011 for the whole way of a request.
func TestADirectClientIsWhoItIs(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	p := embedded(t)
	p.log = &log
	h := start(t, p)
	limited, begun := 0, time.Now()
	for range 1000 {
		header := http.Header{
			"X-Forwarded-For": {randomIPv4() + ", " + randomIPv4()}, "X-Real-Ip": {randomIPv4()},
			"Forwarded": {"for=" + randomIPv4() + ";proto=https"}, "True-Client-Ip": {randomIPv4()},
		}
		if r := h.as("").from(header, "POST", "/oauth/token", "grant_type=password"); r.status == http.StatusTooManyRequests {
			r.wantFault(429, "rate_limited")
			limited++
		}
	}
	// One bucket of 600, to which ten flow back in a second.
	if back := int(10*time.Since(begun).Seconds()) + 1; limited > 400 || limited < 400-back {
		t.Errorf("%d of 1,000 requests of one client were limited, want the 400 above 600, less %d", limited, back)
	}
	text := log.String()
	if requests, ours := strings.Count(text, "client_ip="), strings.Count(text, "client_ip=127.0.0.1"); requests < 1000 || requests != ours {
		t.Errorf("%d of %d lines name the address of the socket", ours, requests)
	}
}

// Behind a proxy that is configured the client is the last hop that is none.
// Covers R-010 for limits of the API.
// Covers R-011 for a service behind a proxy.
func TestClientsBehindAProxyCountByNetwork(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	p := embedded(t)
	p.log = &log
	p.cfg = func(c *api.Config) { c.TrustedProxies = []string{"127.0.0.0/8", "10.0.0.0/8"} }
	h := start(t, p)
	path := h.challenge("validation/" + h.user)
	// check sends malformed codes and counts those that met no limit: so many
	// a minute, of which some flow back while the test runs.
	check := func(what string, limit, requests int, hops func(i int) string) {
		t.Helper()
		passed, begun := 0, time.Now()
		for i := range requests {
			switch r := h.from(forwarded(hops(i)), "POST", path, "code=x"); r.status {
			case http.StatusBadRequest:
				passed++
			case http.StatusTooManyRequests:
				r.wantFault(429, "too_many_malformed")
			default:
				t.Fatalf("%s: %d %s", r.what, r.status, r.raw)
			}
		}
		if most := limit + int(float64(limit)*time.Since(begun).Minutes()) + 1; passed < limit || passed > most {
			t.Errorf("%s: %d of %d passed, want %d to %d", what, passed, requests, limit, most)
		}
	}
	check("what a client invents is no client", 60, 100, func(int) string { return randomIPv4() + ", 203.0.113.7, 10.0.0.1" })
	check("100 clients", 100, 100, func(i int) string { return fmt.Sprintf("198.51.100.%d", i) })
	check("200 addresses of one /64", 60, 200, func(i int) string { return fmt.Sprintf("2001:db8:1:1::%x", i+1) })
	check("256 networks of one /48", 8*60, 3*256, func(i int) string { return fmt.Sprintf("2001:db8:2:%x::1", i%256) })
	if text := log.String(); !strings.Contains(text, "client_ip=203.0.113.7") || !strings.Contains(text, "client_ip=2001:db8:2:ff::1") {
		t.Error("the log does not name the clients")
	}
}
