package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/seal"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/sqlstore"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// town is a pipeline over a real store, with one route that is named by its
// input.
type town struct {
	t       *testing.T
	store   *sqlstore.Store
	tenants *tenant.Service
	keys    *apikey.Service
	tokens  *token.Service
	base    string
}

type namedIn struct {
	Org   string `in:"org_domain"`
	Email string `in:"user_email"`
	Other string `in:"other"`
}

type namedOut struct {
	Account, Org, Env, Domain string
}

func newTown(t *testing.T) *town {
	t.Helper()
	keys, err := seal.Parse("keys", seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), sqlstore.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &town{
		t: t, store: store, tenants: &tenant.Service{Store: store, Now: time.Now}, keys: &apikey.Service{Store: store, Now: time.Now},
		tokens: &token.Service{Store: store, Keys: keys, Issuer: "http://127.0.0.1:8080", Now: time.Now},
	}
	if err := w.tokens.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	short := ephemeral.NewMemory(time.Now)
	log := slog.New(slog.DiscardHandler)
	p := &pipeline.Pipeline{
		Tokens: w.tokens, Keys: store, Organizations: w.tenants, Limits: short, Answers: short, Sealer: keys, Log: log, BaseURL: "http://127.0.0.1:8080",
	}
	mux := chi.NewRouter()
	p.Mount(mux, []pipeline.Route{{
		Method: "POST", Path: "/named", Summary: "x", Credential: pipeline.APIKey, Scope: apikey.UsersRead, Reach: pipeline.Named, Rate: pipeline.RateAPI,
		Handler: pipeline.Handle(func(_ context.Context, c pipeline.Call, _ namedIn) (namedOut, error) {
			if c.Org.ID != c.Tenant.Org {
				t.Errorf("the call is in %s and knows %s", c.Tenant.Org, c.Org.ID)
			}
			return namedOut{c.Tenant.Account, c.Tenant.Org, c.Tenant.Env, c.Org.Domain}, nil
		}),
	}})
	server := httptest.NewServer(web.House(web.Config{Log: log})(mux))
	t.Cleanup(server.Close)
	w.base = server.URL
	return w
}

func (w *town) account(domain string) tenant.Account {
	w.t.Helper()
	a, err := w.tenants.CreateAccount(w.t.Context(), domain, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *town) organization(a tenant.Account, name string, domains ...string) tenant.Organization {
	w.t.Helper()
	o, err := w.tenants.CreateOrganization(w.t.Context(), a.ID, tenant.NewOrganization{Name: name, EmailDomains: domains})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// prove does what the DNS would show.
func (w *town) prove(o tenant.Organization, domain string) {
	w.t.Helper()
	claim, err := w.store.DomainClaim(w.t.Context(), o.AccountID, o.ID, domain, "token")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.ProveDomain(w.t.Context(), claim, nil, time.Now()); err != nil {
		w.t.Fatal(err)
	}
}

// caller is a token of a new key.
func (w *town) caller(a tenant.Account, env string, orgs ...string) string {
	w.t.Helper()
	key, _, err := w.keys.Create(w.t.Context(), a, env, apikey.New{Organizations: orgs})
	if err != nil {
		w.t.Fatal(err)
	}
	issued, err := w.tokens.Issue(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return issued.Reveal()
}

// sendings are the ways in which parameters arrive.
var sendings = map[string]func(form url.Values) (query, mediaType, body string){
	"form": func(form url.Values) (query, mediaType, body string) {
		return "", "application/x-www-form-urlencoded", form.Encode()
	},
	"query": func(form url.Values) (query, mediaType, body string) { return form.Encode(), "", "" },
	"JSON": func(form url.Values) (query, mediaType, body string) {
		tree := map[string]string{}
		for name := range form {
			tree[name] = form.Get(name)
		}
		raw, _ := json.Marshal(tree)
		return "", "application/json", string(raw)
	},
	"multipart": func(form url.Values) (query, mediaType, body string) {
		var out bytes.Buffer
		w := multipart.NewWriter(&out)
		for name := range form {
			_ = w.WriteField(name, `"`+form.Get(name)+`"`) // as curl's users quote
		}
		_ = w.Close()
		return "", w.FormDataContentType(), out.String()
	},
	"half and half": func(form url.Values) (query, mediaType, body string) {
		other := url.Values{}
		if form.Has("user_email") {
			other.Set("user_email", form.Get("user_email"))
			form.Del("user_email")
		}
		return other.Encode(), "application/x-www-form-urlencoded", form.Encode()
	},
}

func (w *town) send(token, query, mediaType, body string) (status int, answer map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.base+"/named?"+query, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// Covers R-119 for organizations named by parameters of the input.
// Covers R-123 for an address that several organizations claim.
// Covers R-039 for the organization of an e-mail domain.
func TestAnInputNamesAnOrganization(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ours, theirs := w.account("ours"), w.account("theirs")
	one := w.organization(ours, "One", "one.test", "shared.test", "claimed.test", "Bücher.example")
	w.organization(ours, "Two", "two.test", "shared.test", "said.test", "bare")
	foreign := w.organization(theirs, "Foreign", "foreign.test", "claimed.test")
	gone := w.organization(ours, "Gone", "gone.test")
	w.prove(one, "one.test")
	w.prove(foreign, "foreign.test")
	w.prove(foreign, "claimed.test")
	w.prove(gone, "gone.test")
	if _, err := w.tenants.DeleteOrganization(t.Context(), tenant.ID{Account: ours.ID, Org: gone.ID, Env: tenant.Default}); err != nil {
		t.Fatal(err)
	}
	callers := map[string]string{
		"sandbox": w.caller(ours, tenant.Sandbox), "default": w.caller(ours, tenant.Default),
		"narrow": w.caller(ours, tenant.Sandbox, one.ID), "theirs": w.caller(theirs, tenant.Default),
	}
	const nowhere, missing, unclear = "", "not_found", "organization_required"
	for name, c := range map[string]struct {
		org, email string
		want       map[string]string // by caller: the domain that it is in, or the fault
	}{
		"nothing":                     {"", "", map[string]string{"sandbox": nowhere, "default": nowhere, "narrow": nowhere, "theirs": nowhere}},
		"an organization":             {"one", "", map[string]string{"sandbox": "one", "default": "one", "narrow": "one", "theirs": missing}},
		"another one":                 {"two", "", map[string]string{"sandbox": "two", "default": "two", "narrow": missing, "theirs": missing}},
		"one of another account":      {"foreign", "", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": "foreign"}},
		"a deleted one":               {"gone", "", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"one that never was":          {"never", "", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"what is no domain":           {"One", "", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"an address":                  {"", "Ana@ONE.test", map[string]string{"sandbox": "one", "default": "one", "narrow": "one", "theirs": missing}},
		"an address in another form":  {"", "ana@xn--bcher-kva.example", map[string]string{"sandbox": "one", "default": missing, "narrow": "one", "theirs": missing}},
		"of two":                      {"", "ana@two.test", map[string]string{"sandbox": "two", "default": missing, "narrow": missing, "theirs": missing}},
		"of both":                     {"", "ana@shared.test", map[string]string{"sandbox": unclear, "default": missing, "narrow": "one", "theirs": missing}},
		"of another account":          {"", "ana@foreign.test", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": "foreign"}},
		"claimed here, proven there":  {"", "ana@claimed.test", map[string]string{"sandbox": "one", "default": missing, "narrow": "one", "theirs": "foreign"}},
		"only said":                   {"", "ana@said.test", map[string]string{"sandbox": "two", "default": missing, "narrow": missing, "theirs": missing}},
		"of a deleted one":            {"", "ana@gone.test", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"of nobody":                   {"", "ana@nobody.test", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"a bare name":                 {"", "ana@bare", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"a part of a domain":          {"", "ana@sub.one.test", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"no address":                  {"", "one.test@", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": missing}},
		"two signs":                   {"", "ana@one.test@two.test", map[string]string{"sandbox": "two", "default": missing, "narrow": missing, "theirs": missing}},
		"both, and the one decides":   {"one", "ana@two.test", map[string]string{"sandbox": "one", "default": "one", "narrow": "one", "theirs": missing}},
		"both, where one is foreign":  {"foreign", "ana@one.test", map[string]string{"sandbox": missing, "default": missing, "narrow": missing, "theirs": "foreign"}},
		"both, the address of nobody": {"one", "ana@nobody.test", map[string]string{"sandbox": "one", "default": "one", "narrow": "one", "theirs": missing}},
	} {
		for who, want := range c.want {
			for how, encode := range sendings {
				form := url.Values{"other": {"x"}}
				if c.org != "" {
					form.Set("org_domain", c.org)
				}
				if c.email != "" {
					form.Set("user_email", c.email)
				}
				query, mediaType, body := encode(form)
				status, answer := w.send(callers[who], query, mediaType, body)
				w.check(name+" for "+who+" as "+how, want, status, answer)
			}
		}
	}
}

func (w *town) check(what, want string, status int, answer map[string]any) {
	w.t.Helper()
	fault, _ := answer["error"].(map[string]any)
	switch want {
	case "not_found":
		if status != http.StatusNotFound || fault["type"] != want || fault["message"] != "not_found" {
			w.t.Errorf("%s: %d %v, want 404", what, status, answer)
		}
	case "organization_required":
		message, _ := fault["message"].(string)
		if status != http.StatusUnprocessableEntity || fault["type"] != want || strings.Contains(strings.ToLower(message), "one,") || strings.Contains(message, "two") {
			w.t.Errorf("%s: %d %v, want 422 that names nobody", what, status, answer)
		}
	default:
		if status != http.StatusOK || answer["Domain"] != want || (answer["Org"] == "") != (want == "") || answer["Account"] == "" || answer["Env"] == "" {
			w.t.Errorf("%s: %d %v, want 200 in %q", what, status, answer, want)
		}
	}
}

// What names an organization has one meaning, too.
func TestANameIsOneText(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ours := w.account("ours")
	w.organization(ours, "One", "one.test")
	token := w.caller(ours, tenant.Sandbox)
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		query, mediaType, body string
		status                 int
	}{
		"twice in the body":      {"", form, "org_domain=one&org_domain=two", 400},
		"in body and query":      {"org_domain=one", form, "org_domain=one", 400},
		"twice in JSON":          {"", asJSON, `{"org_domain":"one","org_domain":"two"}`, 400},
		"a list":                 {"", form, "org_domain[]=one", 422},
		"a map":                  {"", form, "org_domain[x]=one", 422},
		"a number":               {"", asJSON, `{"org_domain":1}`, 422},
		"an address in a list":   {"", asJSON, `{"user_email":["ana@one.test"]}`, 422},
		"null, so not given":     {"", asJSON, `{"org_domain":null,"user_email":"ana@one.test"}`, 200},
		"empty, so not given":    {"", form, "org_domain=&user_email=ana@one.test", 200},
		"both empty":             {"", form, "org_domain=&user_email=", 200},
		"broken UTF-8":           {"", form, "org_domain=%ff", 422},
		"in a header only":       {"", form, "other=x", 200},
		"in another's parameter": {"", form, "other=one", 200},
	} {
		if status, answer := w.send(token, c.query, c.mediaType, c.body); status != c.status {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.status)
		}
	}
}

// Whoever may not call at all learns nothing about what the input names.
func TestTheCallerIsCheckedBeforeItsInput(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	ours := w.account("ours")
	w.organization(ours, "One", "one.test")
	key, _, err := w.keys.Create(t.Context(), ours, tenant.Sandbox, apikey.New{Scopes: []string{apikey.KeysRead}})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.tokens.Issue(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"org_domain=one", "org_domain=never", "user_email=ana@one.test", ""} {
		if status, answer := w.send(issued.Reveal(), "", "application/x-www-form-urlencoded", body); status != http.StatusForbidden {
			t.Errorf("%q without the scope: %d %v, want 403", body, status, answer)
		}
		if status, answer := w.send("none", "", "application/x-www-form-urlencoded", body); status != http.StatusUnauthorized {
			t.Errorf("%q without a token: %d %v, want 401", body, status, answer)
		}
	}
}
