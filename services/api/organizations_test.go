package api_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/seal"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
)

func (h *house) verify(org, domain string) *reply {
	h.t.Helper()
	return h.call("POST", "/api/v2/organizations/"+org+"/email-domains/"+domain+"/verification")
}

// wantDomain checks an answer about the proof of a domain and returns the
// record that it asks for.
func (r *reply) wantDomain(domain string, verified bool, reason any) (name, value string) {
	r.t.Helper()
	r.want(200)
	record, _ := r.body["record"].(map[string]any)
	name, _ = record["name"].(string)
	value, _ = record["value"].(string)
	if r.body["__type__"] != "EmailDomain" || r.body["domain"] != domain || r.body["verified"] != verified || r.body["reason"] != reason ||
		record["type"] != "TXT" || name != "_countersign."+domain || !strings.HasPrefix(value, "countersign-domain=") || len(value) < 40 {
		r.t.Errorf("%s: %s, want %s verified: %v, reason %v", r.what, r.raw, domain, verified, reason)
	}
	return name, value
}

// An organization says what it looks like, where its links lead and whose
// addresses are its people's; both environments read the same.
func TestOrganizationsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		made := h.call("POST", "/api/v2/organizations", "name=Blue Ltd", "allowed_email_domains[]=blue.test", "color=#0055AA", "locale=de-AT",
			"icon_logo_url=https://cdn.blue.test/logo.png", "redirect_uris[]=https://app.blue.test/cb", "unknown=ignored").want(201)
		const path = "/api/v2/organizations/blue-ltd"
		is := func(r *reply, want map[string]any) {
			t.Helper()
			for name, value := range want {
				if fmt.Sprint(r.body[name]) != fmt.Sprint(value) {
					t.Errorf("%s: %s is %v, want %v: %s", r.what, name, r.body[name], value, r.raw)
				}
			}
		}
		all := map[string]any{
			"domain": "blue-ltd", "name": "Blue Ltd", "allowed_email_domains": "[blue.test]", "color": "#0055AA", "locale": "de-AT",
			"icon_logo_url": "https://cdn.blue.test/logo.png", "inline_logo_url": nil, "redirect_uris": "[https://app.blue.test/cb]", "timezone": nil,
		}
		is(made, all)
		for _, step := range []struct{ param, name, want string }{
			{"name=Blue & Söhne", "name", "Blue & Söhne"},
			{"color=#ffffff", "color", "#ffffff"},
			{"color=", "color", "<nil>"},
			{"locale=fr", "locale", "fr"},
			{"icon_logo_url=https://cdn.blue.test/2.png", "icon_logo_url", "https://cdn.blue.test/2.png"},
			{"icon_logo_url=", "icon_logo_url", "<nil>"},
			{"redirect_uris[]=https://b.test/1", "redirect_uris", "[https://b.test/1]"},
			{"redirect_uris[]=", "redirect_uris", "[]"},
			{"email_domains[]=c.test", "allowed_email_domains", "[c.test]"},
			{"allowed_email_domains[]=", "allowed_email_domains", "[]"},
		} {
			all[step.name] = step.want
			is(h.call("PUT", path, step.param).want(200), all)
		}
		live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
		is(live.call("GET", path).want(200), all)

		for _, bad := range []string{
			"color=red", "color=#fff", "color=#00000g", "color=336699", "locale=x", "name=", "name=a\u202eb", "icon_logo_url=http://cdn.blue.test/logo.png",
			"icon_logo_url=data:image/png;base64,AAAA", "icon_logo_url=https://u:p@cdn.blue.test/l.png", "icon_logo_url=//cdn.blue.test/l.png", "icon_logo_url=javascript:alert(1)",
			"redirect_uris[]=https://*.blue.test/cb", "redirect_uris[]=app://cb", "redirect_uris[]=https://a.test/cb#x", "redirect_uris[]=http://a.test/cb",
		} {
			h.call("PUT", path, bad).wantStatus(422)
			if !strings.HasPrefix(bad, "name=") {
				h.call("POST", "/api/v2/organizations", "name=Bad", bad).wantStatus(422)
			}
		}
		h.call("PUT", path, "domain=other").wantFault(400, "unknown_parameter")
		h.call("PUT", path, "timezone=UTC").wantFault(400, "unknown_parameter")
		h.as(h.signIn(h.key("acme", "sandbox", "organizations:read"))).call("PUT", path, "color=#000000").wantFault(403, "insufficient_scope")
		is(h.call("GET", path).want(200), all)

		// What people who log in see is no matter of the sandbox.
		live.call("POST", "/api/v2/org/blue-ltd/users", "email=real@acme.test").want(201)
		h.call("PUT", path, "redirect_uris[]=https://evil.test/cb").wantFault(409, "production_not_empty")
		all["color"] = "#123456"
		is(live.call("PUT", path, "color=#123456").want(200), all)
	})
}

// wantStatus is want that lets the test go on.
func (r *reply) wantStatus(status int) {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("%s: status %d, want %d: %s", r.what, r.status, status, r.raw)
	}
}

// A key lists redirect URIs beside those of its organizations; this machine is
// for the sandbox.
func TestKeysListRedirects(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	made := h.call("POST", "/api/v2/api-keys", "name=app", "redirect_uris[]=https://app.test/cb", "redirect_uris[]=http://localhost:3000/cb?x=y").want(201)
	const list = "[https://app.test/cb http://localhost:3000/cb?x=y]"
	listed := h.call("GET", "/api/v2/api-keys").want(200).body["data"].([]any)[0].(map[string]any)
	if fmt.Sprint(made.body["redirect_uris"]) != list || fmt.Sprint(listed["redirect_uris"]) != list || listed["client_id"] != made.body["client_id"] {
		t.Errorf("made %s, listed %v", made.raw, listed)
	}
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.call("POST", "/api/v2/api-keys", "redirect_uris[]=http://localhost:3000/cb").wantFault(422, "invalid_parameter")
	if plain := live.call("POST", "/api/v2/api-keys").want(201); fmt.Sprint(plain.body["redirect_uris"]) != "[]" {
		t.Errorf("a key without redirects: %s", plain.raw)
	}
}

// An e-mail domain counts in production when the DNS shows the organization's
// own token, and then for one organization alone.
// Covers R-039 for the domains of organizations.
func TestEmailDomainsAreProvenByDNS(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		dns := newNameserver(t)
		h := open(t, dns.asks(p))
		ours, theirs := h.as(h.signIn(h.key("acme", "default", api.AllScopes))), h.as(h.signIn(h.key("rival", "default", api.AllScopes)))
		ours.call("POST", "/api/v2/organizations", "name=Ours", "allowed_email_domains[]=Acme.test", "allowed_email_domains[]=bare").want(201)
		theirs.call("POST", "/api/v2/organizations", "name=Theirs", "allowed_email_domains[]=acme.test").want(201)

		name, value := ours.verify("ours", "acme.test").wantDomain("acme.test", false, "record_not_found")
		if asked := dns.questions(); !slices.Equal(asked, []string{"_countersign.acme.test."}) {
			t.Errorf("the DNS was asked %q", asked)
		}
		if again, same := ours.verify("ours", "ACME.TEST").wantDomain("acme.test", false, "record_not_found"); again != name || same != value {
			t.Errorf("asked twice it wants %s %s and %s %s", name, value, again, same)
		}
		_, other := theirs.verify("theirs", "acme.test").wantDomain("acme.test", false, "record_not_found")
		if other == value {
			t.Fatal("two organizations have one token")
		}
		for what, texts := range map[string][]string{
			"another's":         {other},
			"a longer one":      {value + "x"},
			"a shorter one":     {value[:len(value)-1]},
			"the token alone":   {strings.TrimPrefix(value, "countersign-domain=")},
			"in another case":   {strings.ToLower(value)},
			"in the middle":     {"v=spf1 " + value},
			"nothing of ours":   {"v=spf1 -all", "google-site-verification=x"},
			"an empty text":     {""},
			"a key of its kind": {"countersign-domain=", "countersign-domain"},
		} {
			dns.set(name, texts...)
			if r := ours.verify("ours", "acme.test"); r.body["verified"] != false || r.body["reason"] != "record_not_found" {
				t.Errorf("%s: %s", what, r.raw)
			}
		}
		dns.set("acme.test", value) // beside the place
		ours.verify("ours", "acme.test").wantDomain("acme.test", false, "record_not_found")
		dns.set(name, value)
		for _, mood := range []string{"refuses", "babbles", "is silent"} {
			dns.feel(mood)
			begun := time.Now()
			ours.verify("ours", "acme.test").wantDomain("acme.test", false, "lookup_failed")
			t.Logf("the server %s: %v", mood, time.Since(begun))
		}
		dns.feel("")
		dns.set(name, "v=spf1 -all", " "+value+" ", other)
		ours.verify("ours", "acme.test").wantDomain("acme.test", true, nil)
		theirs.verify("theirs", "acme.test").wantDomain("acme.test", false, "domain_taken")

		// The proof stays while the record is gone and the list is changed.
		dns.set(name)
		ours.call("PUT", "/api/v2/organizations/ours", "allowed_email_domains[]=acme.test", "allowed_email_domains[]=b.test").want(200)
		dns.questions()
		ours.verify("ours", "acme.test").wantDomain("acme.test", true, nil)
		if asked := dns.questions(); len(asked) != 0 {
			t.Errorf("for a domain that is proven the DNS was asked %q", asked)
		}
		// Who rules the domain decides: the record of the other alone.
		dns.set(name, other)
		theirs.verify("theirs", "acme.test").wantDomain("acme.test", true, nil)
		ours.verify("ours", "acme.test").wantDomain("acme.test", false, "record_not_found")
		// Deleting an organization gives its domains back.
		theirs.call("DELETE", "/api/v2/organizations/theirs").want(200)
		dns.set(name, value, other)
		ours.verify("ours", "acme.test").wantDomain("acme.test", true, nil)

		for _, domain := range []string{"nobody.test", "bare", "c.test", "x", "%20", "acme.test%00", "_countersign.acme.test", "a%2fb.test", strings.Repeat("a", 300)} {
			ours.verify("ours", domain).wantFault(404, "not_found")
		}
		theirs.verify("ours", "acme.test").wantFault(404, "not_found")
		h.as(h.signIn(h.key("acme", "default", "organizations:read"))).verify("ours", "acme.test").wantFault(403, "insufficient_scope")
		ours.call("POST", "/api/v2/organizations/ours/email-domains/acme.test/verification", "token=x").wantFault(400, "unknown_parameter")
	})
}

// Without a name server that answers, nothing is proven.
func TestNoDNSNothingProven(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	p.cfg = func(c *api.Config) { c.DNSServer = "127.0.0.1:1" }
	h := start(t, p)
	h.call("PUT", "/api/v2/organizations/"+h.org, "email_domains=acme.test").want(200)
	h.verify(h.org, "acme.test").wantDomain("acme.test", false, "lookup_failed")
}

// asked is a resolver that remembers what it was asked.
type asked struct{ names []string }

func (a *asked) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a.names = append(a.names, name)
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("asked without a deadline")
	}
	return nil, nil
}

// A resolver looks for names without a dot at their end below the machine's
// own domain as well: a proof there would be somebody else's.
func TestTheDNSIsAskedForFullNames(t *testing.T) {
	t.Parallel()
	p := embedded(t)
	h := start(t, p)
	h.call("PUT", "/api/v2/organizations/"+h.org, "email_domains=acme.test").want(200)
	keys, err := seal.Parse("keys", p.seal)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: p.database, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	account, err := store.AccountByDomain(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	resolver := &asked{}
	tenants := &tenant.Service{Store: store, Resolver: resolver, Now: time.Now}
	org, err := tenants.Organization(t.Context(), account.ID, h.org)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tenants.VerifyEmailDomain(t.Context(), org, "acme.test")
	if err != nil || v.Reason != tenant.RecordNotFound || !slices.Equal(resolver.names, []string{"_countersign.acme.test."}) {
		t.Errorf("%+v, %v, asked for %q", v, err, resolver.names)
	}
	tenants.Resolver = nil
	if v, err = tenants.VerifyEmailDomain(t.Context(), org, "acme.test"); err != nil || v.Reason != tenant.LookupFailed {
		t.Errorf("without a resolver: %+v, %v", v, err)
	}
}

// A password code belongs to an organization: an address beside it may be at
// any domain, and one at another organization's does not move it.
func TestACodeTellsTheOrganization(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	h.call("POST", "/api/v2/organizations", "name=Other", "email_domains=acme.test").want(201)
	code := h.codeFor("ana@acme.test")
	h.call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+code, "user_email=ana@acme.test", "org_domain=never").wantFault(404, "not_found")
	h.call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+code, "user_email=ana@acme.test", "org_domain=other").wantFault(422, "password_code_not_valid")
	if set := h.call("POST", "/api/v2/password", "plain_text="+plain, "password_code="+code, "user_email=ana@acme.test").want(200); set.body["__domain__"] != h.org {
		t.Errorf("the password was set in %v", set.body["__domain__"])
	}
}
