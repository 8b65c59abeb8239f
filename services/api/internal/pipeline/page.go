package pipeline

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
)

// TokenParameter is the field of a form that holds its page's token.
const TokenParameter = "page_token"

// RatePages is for people and for the mail scanners that come before them,
// many of whom share an address.
var RatePages = Rate{Class: "pages", Rate: ephemeral.Rate{Burst: 600, Per: time.Minute}}

// Forms makes the tokens of forms and knows them again; the guard does it.
type Forms interface {
	// Token is what the form of a page holds that is about this cookie.
	Token(cookie secret.Text) secret.Text
	// Made reports whether Token made the token for the cookie.
	Made(cookie, token secret.Text) bool
}

var (
	errHost = fault.New(fault.Misdirected, "wrong_host", "this service has another name; open the address that you were given as it is")
	errSite = fault.New(fault.Forbidden, "cross_site", "the form was sent from another site; open the page here and send it from there")
	errForm = fault.New(fault.Forbidden, "page_expired", "the form does not belong to what this browser opened last; open the page again")
)

// visit checks what only pages are asked for: the host under which they were
// opened, and where a form comes from.
func (p *Pipeline) visit(r *http.Request, route Route, call *Call) error {
	if route.Page && !p.ours(r) {
		return errHost
	}
	if route.Form {
		if err := new(http.CrossOriginProtection).Check(r); err != nil {
			return errSite.Because(err)
		}
	}
	if route.Cookie == "" {
		return nil
	}
	// Two of one name cannot both be ours: another port of this machine, or
	// a neighbour under the same domain, has set one.
	if given := r.CookiesNamed(route.Cookie); len(given) == 1 && given[0].Value != "" {
		call.Cookie = secret.New(given[0].Value)
		call.PageToken = p.Forms.Token(call.Cookie)
	}
	return nil
}

// checkForm compares the token of a form with the cookie that came with it. A
// page of one link never sends another that was opened meanwhile, and a form
// without a cookie is not taken at all.
func (p *Pipeline) checkForm(route Route, call Call) error {
	if !route.Form {
		return nil
	}
	given := secret.New(call.Form()[TokenParameter])
	if call.Cookie.IsZero() || !p.Forms.Made(call.Cookie, given) {
		return errForm
	}
	return nil
}

// hostsOf returns the forms in which a browser names the host of a URL.
func hostsOf(base string) map[string]bool {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil
	}
	host := strings.ToLower(u.Host)
	hosts := map[string]bool{host: true}
	port := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if u.Port() == "" {
		hosts[host+":"+port] = true
	} else if u.Port() == port {
		hosts[strings.TrimSuffix(host, ":"+port)] = true
	}
	return hosts
}

// ours reports whether a page was opened under the base URL's host. On this
// machine itself it may be opened under any name of this machine.
func (p *Pipeline) ours(r *http.Request) bool {
	if p.hosts[strings.ToLower(r.Host)] {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(local.String())
	return err == nil && here.Addr().Unmap().IsLoopback() && loopback(r.Host)
}

func loopback(host string) bool {
	name := host
	if plain, _, err := net.SplitHostPort(host); err == nil {
		name = plain
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}
