package backchannel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"countersign.dev/pkg/secret"
)

// Within bounds one try, from the name to the answer.
const Within = 5 * time.Second

var errForbidden = errors.New("the address is in no public network")

// Client posts logout tokens. Where it connects to is decided by the address
// that the connection is about to be made to, since a name may lead anywhere and
// elsewhere the next time; so there is no proxy that would hide it.
type Client struct{ far, near *http.Client }

// NewClient makes the client. It connects to nobody yet.
func NewClient() *Client { return &Client{far: client(public), near: client(nearby)} }

func client(allows func(netip.Addr) bool) *http.Client {
	dialer := &net.Dialer{Timeout: Within, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || at.Addr().Zone() != "" || !allows(at.Addr().Unmap()) {
			return errForbidden
		}
		return nil
	}}
	return &http.Client{
		Timeout: Within,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: Within, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Post implements Poster (OpenID Connect Back-Channel Logout 2.5). An app has
// heard when it answers with 200 or 204; nothing else of its answer is read.
func (c *Client) Post(ctx context.Context, to Target, logoutToken secret.Text) error {
	form := url.Values{"logout_token": {logoutToken.Reveal()}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URI, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("the address is none")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "countersign")
	by := c.far
	if to.Near {
		by = c.near
	}
	res, err := by.Do(req)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("answered with status %d", res.StatusCode)
	}
	return nil
}

// bare is an error without the URL, whose query may be a secret of the app's.
func bare(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		return at.Err
	}
	return err
}

// public6 is all that has been given out of IPv6.
var public6 = netip.MustParsePrefix("2000::/3")

// special are the networks that are not public, or lead to some that are not
// (IANA IPv4 and IPv6 special-purpose address registries).
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3", "2001::/23",
	"2001:db8::/32", "2002::/16", "3fff::/20")

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func public(addr netip.Addr) bool {
	if addr.Is6() && !public6.Contains(addr) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// metadata are where clouds tell their machines secrets, as far as that is in
// what is else a private network; the rest is link-local or shared.
var metadata = prefixes("fd00:ec2::254/128", "fd20:ce::254/128")

// nearby is public and what an app under development listens on: this machine
// and private networks, but never a cloud's metadata.
func nearby(addr netip.Addr) bool {
	if slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return false
	}
	return addr.IsLoopback() || addr.IsPrivate() || public(addr)
}
