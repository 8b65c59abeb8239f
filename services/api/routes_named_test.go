package api_test

import (
	"database/sql"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign.dev/services/api/internal/pipeline"
)

// naming is one way to say which organization is meant.
type naming struct {
	what  string
	place func(s *shot) url.Values // where the parameters that name it go
}

// namings are the ways in which a request to a route can carry names.
func namings(route pipeline.Route) []naming {
	all := []naming{
		{"a form", func(s *shot) url.Values { return s.form }},
		{"JSON", func(s *shot) url.Values { s.json = true; return s.form }},
	}
	if !route.BodyOnly {
		all = append(all, naming{"the query", func(s *shot) url.Values { s.query = url.Values{}; return s.query }})
	}
	return all
}

// named is a good request to a route before anything in it names an
// organization.
type named struct {
	situation
	shot *shot
}

func (s situation) named(route pipeline.Route) named { return named{s, s.own.shot(route)} }

// by sends the request with an organization named by its domain, by an address,
// or by both.
func (n named) by(way naming, org, email string) *reply {
	sent := *n.shot
	sent.form = maps.Clone(sent.form)
	for _, name := range []string{"org_domain", "user_email", sent.route.TellsOrg} {
		sent.form.Del(name)
	}
	into := way.place(&sent)
	if org != "" {
		into.Set("org_domain", org)
	}
	if email != "" {
		into.Set("user_email", email)
	}
	return n.own.fire(&sent)
}

// On every route whose input names the organization: another account's, another
// organization's of a narrowed key and a deleted one answer like one that never
// was, named by their domain or by an address of their people, in the body or
// in the query. Who is among the people of an organization is not told by it
// either. Nothing changes.
// Covers R-119 for organizations named by the input of the routes that take one.
func TestNamedOrganizationsAnswerLikeNone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		p.inbox = true
		dns := newNameserver(t)
		h := open(t, dns.asks(p))
		db := p.openSQL(t)
		all, realms := situations(h)
		for _, r := range realms {
			r.prove(dns)
		}
		for _, route := range h.service.Routes() {
			if route.Reach != pipeline.Named {
				continue
			}
			requests := make([]named, len(all))
			for i, s := range all {
				requests[i] = s.named(route) // makes what it needs
			}
			settle(t, db)
			before := dump(t, db, p)
			for _, n := range requests {
				for _, way := range namings(route) {
					n.compare(t, way)
				}
			}
			wantUnchanged(t, title(route), before, dump(t, db, p))
		}
	})
}

// settle waits until everything that was to be sent has been sent, and changes
// no rows any more.
func settle(t *testing.T, db *sql.DB) {
	t.Helper()
	until(t, func() bool {
		waiting := 0
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM outbox`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
}

func (n named) compare(t *testing.T, way naming) {
	t.Helper()
	what := title(n.shot.route) + " with " + way.what + " of " + n.name
	none := n.by(way, never(t, "org"), "")
	nobody := n.by(way, "", never(t, "email"))
	for how, r := range map[string]*reply{"an organization": none, "an address": nobody} {
		if r.status != http.StatusNotFound {
			t.Errorf("%s: %s that never existed answers %d, want 404: %s", what, how, r.status, r.raw)
		}
	}
	if n.other["org"] == n.own.ids["org"] {
		return // the other environment of the same organization
	}
	same := func(how string, got, want *reply) {
		t.Helper()
		if got, want := got.print(), want.print(); got != want {
			t.Errorf("%s: %s answers\n%s\nand one that never existed\n%s", what, how, got, want)
		}
	}
	same("the organization", n.by(way, n.other["org"], ""), none)
	same("the organization, with one's own address", n.by(way, n.other["org"], n.own.ids["email"]), none)
	same("the organization, with its own address", n.by(way, n.other["org"], n.other["email"]), none)
	if _, domain, _ := strings.Cut(n.other["email"], "@"); domain != n.own.ids["domain"] {
		same("an address of its people", n.by(way, "", n.other["email"]), nobody)
		same("an address at its domain", n.by(way, "", marker+"@"+domain), nobody)
	}
}

// Named by the address alone, a route does what it does named by the domain:
// in production for a domain that is proven, and not before.
// Covers R-039 for the routes that take an address without an organization.
// Covers R-123 for routes that take an address without an organization.
func TestAnAddressNamesTheOrganization(t *testing.T) {
	t.Parallel()
	dns := newNameserver(t)
	p := dns.asks(embedded(t))
	h, l := open(t, p), newLedger()
	for _, route := range h.service.Routes() {
		if route.Reach != pipeline.Named {
			continue
		}
		for _, way := range namings(route) {
			byAddress(t, h.realm(l, "acme", "sandbox", ""), route, way)
			live := h.realm(l, "acme", "default", "")
			request := situation{own: live}.named(route)
			request.by(way, "", live.id("email")).wantFault(http.StatusNotFound, "not_found")
			live.prove(dns)
			request.wantIn(t, request.by(way, "", live.id("email")))
		}
	}
}

// byAddress names an organization of the sandbox, then one of two.
func byAddress(t *testing.T, r *realm, route pipeline.Route, way naming) {
	t.Helper()
	request := situation{own: r}.named(route)
	request.wantIn(t, request.by(way, "", r.id("email")))
	twin := r.realm(r.ledger, r.account, r.env, "")
	twin.call("PUT", "/api/v2/organizations/"+twin.org, "email_domains[]="+r.ids["domain"]).want(200)
	unclear := request.by(way, "", r.id("email")).wantFault(http.StatusUnprocessableEntity, "organization_required")
	if strings.Contains(unclear.raw, r.org) || strings.Contains(unclear.raw, twin.org) {
		t.Errorf("%s: what is asked back names one: %s", title(route), unclear.raw)
	}
	narrow := request
	narrow.own = r.narrowed()
	sent := *request.shot
	sent.token = narrow.own.token
	narrow.shot = &sent
	if answer := narrow.by(way, "", r.id("email")); strings.Contains(answer.raw, "organization_required") {
		t.Errorf("%s: a key that reaches one of them alone has to say which: %s", title(route), answer.raw)
	}
}

// wantIn checks that the organization was found. Without what would have told
// it the route may refuse for a reason of its own.
func (n named) wantIn(t *testing.T, answer *reply) {
	t.Helper()
	if route := n.shot.route; answer.status != success(route) && (route.TellsOrg == "" || answer.status == http.StatusNotFound) {
		t.Errorf("%s with an address: %d: %s", title(route), answer.status, answer.raw)
	}
}

// prove proves the e-mail domain of the realm's organization.
func (r *realm) prove(dns *nameserver) {
	r.t.Helper()
	record, _ := r.verify(r.org, r.ids["domain"]).want(200).body["record"].(map[string]any)
	name, _ := record["name"].(string)
	value, _ := record["value"].(string)
	dns.set(name, value)
	r.verify(r.org, r.ids["domain"]).wantDomain(r.ids["domain"], true, nil)
}
