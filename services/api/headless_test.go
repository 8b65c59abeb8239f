package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign.dev/services/api"
)

// Every recorded way to ask for a token of an API key.
func TestTokensInAllVariants(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).as("")
	key := h.key("acme", "sandbox", api.AllScopes)
	id, value := key.ClientID, key.ClientSecret.Reveal()
	form := func(pairs ...string) string {
		v := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {value}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v.Encode()
	}
	object := func(domain string) string {
		return fmt.Sprintf(`{"grant_type":"client_credentials","client_id":%q,"client_secret":%q%s}`, id, value, domain)
	}
	const asForm, asJSON = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct{ path, contentType, body string }{
		"form with tenant_domain":     {"/api/v2/oauth/token", asForm, form("tenant_domain", "acme")},
		"JSON with domain":            {"/api/v2/oauth/token", asJSON, object(`,"domain":"acme"`)},
		"the short path, JSON":        {"/oauth/token", asJSON, object(`,"domain":"acme"`)},
		"JSON labelled as a form":     {"/oauth/token", asForm, object(`,"domain":"acme"`)},
		"the short path, audience":    {"/oauth/token", asForm, form("audience", "acme")},
		"no account's domain at all":  {"/api/v2/oauth/token", asForm, form()},
		"an unknown parameter beside": {"/api/v2/oauth/token", asForm, form("foo", "bar")},
	} {
		r := h.raw("POST", c.path, c.contentType, strings.NewReader(c.body))
		if r.status != 200 || r.body["token_type"] != "Bearer" || r.body["expires_in"] != 3600.0 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
			continue
		}
		checkToken(t, name, r.text("access_token"), id)
		h.as(r.text("access_token")).call("GET", "/api/v2/organizations").want(200)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"a wrong secret":         {"/oauth/token", form("client_secret", "wrong"), 401, "invalid_client"},
		"an unknown client":      {"/oauth/token", form("client_id", "7f3b0a44-0000-4000-8000-000000000000"), 401, "invalid_client"},
		"a client that is no id": {"/oauth/token", form("client_id", "x'--"), 401, "invalid_client"},
		"another account":        {"/oauth/token", form("tenant_domain", "rival"), 401, "invalid_client"},
		"the password grant":     {"/oauth/token", form("grant_type", "password"), 400, "unsupported_grant_type"},
		"no grant":               {"/oauth/token", form("grant_type", ""), 400, "invalid_request"},
		"no secret":              {"/oauth/token", form("client_secret", ""), 400, "invalid_request"},
		"the secret in a query":  {"/oauth/token?" + form(), "", 400, "invalid_request"},
		"a client named twice":   {"/oauth/token", form() + "&client_id=" + id, 400, "invalid_request"},
	} {
		r := h.raw("POST", c.path, asForm, strings.NewReader(c.body))
		if r.status != c.status || r.body["error"] != c.code || r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.raw, c.status, c.code)
		}
	}
}

// checkToken decodes a token as the contract's client does, which verifies
// the claims and not the signature.
func checkToken(t *testing.T, name, raw, clientID string) {
	t.Helper()
	segments := strings.Split(raw, ".")
	if len(segments) != 3 {
		t.Fatalf("%s: the token has %d segments", name, len(segments))
	}
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		part, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(part, into); err != nil {
			t.Fatal(err)
		}
	}
	const issuer = "http://127.0.0.1:8080/t/acme"
	if header["alg"] != "RS256" || header["typ"] != "JWT" || header["iss"] != issuer || header["kid"] == nil {
		t.Errorf("%s: header %v", name, header)
	}
	want := map[string]any{
		"type": "api_v2", "jtt": "api_key", "ver": 1.0, "dbs": "sandbox", "env": "sandbox", "org": "acme", "tnt": "acme",
		"cid": clientID, "sub": clientID, "iss": issuer,
	}
	for claim, value := range want {
		if claims[claim] != value {
			t.Errorf("%s: %s is %v, want %v", name, claim, claims[claim], value)
		}
	}
	now := float64(time.Now().Unix())
	if iat, _ := claims["iat"].(float64); iat >= now {
		t.Errorf("%s: iat %v is not strictly in the past", name, iat)
	}
	if exp, _ := claims["exp"].(float64); exp <= now {
		t.Errorf("%s: exp %v is not in the future", name, exp)
	}
}

func TestBasicAuthenticationOfKeys(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).as("")
	key := h.key("acme", "sandbox")
	ask := func(user, password, body string) *reply {
		req, err := http.NewRequestWithContext(t.Context(), "POST", h.base+"/oauth/token", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(user, password)
		return h.send(req)
	}
	ask(key.ClientID, key.ClientSecret.Reveal(), "grant_type=client_credentials").want(200)
	ask(key.ClientID, "wrong", "grant_type=client_credentials").want(401)
	ask(key.ClientID, key.ClientSecret.Reveal(), "grant_type=client_credentials&client_secret=x").want(400)
}

// A form, a multipart form, JSON and a query mean the same.
func TestInputHasOneMeaning(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	users := "/api/v2/org/" + h.org + "/users"
	const asForm, asJSON = "application/x-www-form-urlencoded", "application/json"
	part, boundary := multipartOf(t, "profile[email]", `"m@acme.test"`, "profile[given_name]", "Ana Ü", "phone_number", "+4915112345678")
	for name, c := range map[string]struct{ query, contentType, body string }{
		"form, raw brackets":        {"", asForm, "profile[email]=f@acme.test&profile[given_name]=Ana+%C3%9C&phone_number=%2B4915112345678"},
		"form, escaped brackets":    {"", asForm, "profile%5Bemail%5D=g@acme.test&profile%5Bgiven_name%5D=Ana+%C3%9C&phone_number=%2B4915112345678"},
		"top level e-mail":          {"", asForm, "email=t@acme.test&profile[given_name]=Ana+%C3%9C&phone_number=%2B49 151 12345678"},
		"multipart, quoted e-mail":  {"", boundary, part},
		"JSON":                      {"", asJSON, `{"email":"j@acme.test","profile":{"given_name":"Ana Ü"},"phone_number":"+4915112345678"}`},
		"JSON, everything echoed":   {"", asJSON, `{"__type__":"User","id":"x","email_verified":true,"phone_number_verified":true,"org_id":"y","meta_data":[],"email":"k@acme.test","profile":{"given_name":"Ana Ü","nickname":null},"phone_number":"+4915112345678"}`},
		"query":                     {"?email=q@acme.test&profile[given_name]=Ana%20%C3%9C&phone_number=%2B4915112345678", "", ""},
		"JSON in a form's clothing": {"", asForm, ` {"email":"c@acme.test","profile":{"given_name":"Ana Ü"},"phone_number":"+4915112345678"}`},
	} {
		r := h.raw("POST", users+c.query, c.contentType, strings.NewReader(c.body))
		if r.status != 201 {
			t.Errorf("%s: %d %s", name, r.status, r.raw)
			continue
		}
		profile, _ := r.body["profile"].(map[string]any)
		if profile["given_name"] != "Ana Ü" || r.body["phone_number"] != "+4915112345678" || r.body["email_verified"] != false || r.body["phone_number_verified"] != false {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
	connection := "/api/v2/org/" + h.org + "/totp-connection"
	for name, c := range map[string]struct{ contentType, body string }{
		"brackets":       {asForm, "countries[]=DE&countries[]=FR&active=true"},
		"JSON list":      {asJSON, `{"countries":["FR","DE"],"active":true}`},
		"quoted by curl": {asForm, "countries[]='DE'&countries[]=\"FR\"&active='true'"},
		"active as text": {asJSON, `{"countries":["DE","FR"],"active":"true"}`},
	} {
		r := h.raw("PUT", connection, c.contentType, strings.NewReader(c.body)).want(200)
		if fmt.Sprint(r.body["countries"]) != "[DE FR]" || r.body["active"] != true {
			t.Errorf("%s: %s", name, r.raw)
		}
	}
}

// Covers R-009 for the opt-in.
func TestSigningInByACodeAloneIsOffUntilSomebodySaysSo(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		path := "/api/v2/org/" + h.org + "/totp-connection"
		for i, step := range []struct {
			params []string
			want   bool
		}{
			{nil, false}, {[]string{"active=true"}, false}, {[]string{"passwordless=true"}, true}, {[]string{"digits=8"}, true}, {[]string{"passwordless=false"}, false},
		} {
			changed := h.call("PUT", path, step.params...).want(200)
			if read := h.call("GET", path).want(200); changed.body["passwordless"] != step.want || read.raw != changed.raw {
				t.Errorf("step %d: %s, read as %s", i, changed.raw, read.raw)
			}
		}
		h.call("PUT", path, "passwordless=true").want(200)
		h.call("PUT", path, "passwordless=maybe").want(422)
		live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
		if other := live.call("GET", path).want(200); other.body["passwordless"] != false {
			t.Errorf("the other environment: %s", other.raw)
		}
	})
}

func multipartOf(t *testing.T, pairs ...string) (body, contentType string) {
	t.Helper()
	var buffer bytes.Buffer
	form := multipart.NewWriter(&buffer)
	for i := 0; i < len(pairs); i += 2 {
		if err := form.WriteField(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String(), form.FormDataContentType()
}

func TestOrganizations(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		made := h.call("POST", "/api/v2/organizations", "name=Communitiz App", "email_domains[]=communitiz-app").want(201)
		if made.text("domain") != "communitiz-app" || fmt.Sprint(made.body["allowed_email_domains"]) != "[communitiz-app]" || made.body["__type__"] != "Organization" {
			t.Errorf("created: %s", made.raw)
		}
		if read := h.call("GET", "/api/v2/organizations/communitiz-app").want(200); read.raw != made.raw {
			t.Errorf("read %s, created %s", read.raw, made.raw)
		}
		listed := h.call("GET", "/api/v2/organizations", "current_page=1", "per_page=1").want(200)
		paging, _ := listed.body["pagination"].(map[string]any)
		if listed.body["total"] != 2.0 || paging["total_pages"] != 2.0 || paging["next_page"] != 2.0 || paging["prev_page"] != nil || paging["per_page"] != 1.0 {
			t.Errorf("listed: %s", listed.raw)
		}
		gone := h.call("DELETE", "/api/v2/organizations/communitiz-app").want(200)
		if gone.body["deleted"] != true {
			t.Errorf("deleted: %s", gone.raw)
		}
		if read := h.call("GET", "/api/v2/organizations/communitiz-app").want(200); read.body["deleted"] != true {
			t.Errorf("read after deletion: %s", read.raw)
		}
		h.call("GET", "/api/v2/org/communitiz-app/users").wantFault(404, "not_found")
		// The name is free again, and nothing of the old one is left.
		h.call("POST", "/api/v2/organizations", "name=Communitiz App").want(201)
		if users := h.call("GET", "/api/v2/org/communitiz-app/users").want(200); users.body["total"] != 0.0 {
			t.Errorf("the new organization has users: %s", users.raw)
		}
		// A sandbox key does not delete people who log in.
		live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
		live.call("POST", "/api/v2/org/communitiz-app/users", "email=real@acme.test").want(201)
		h.call("DELETE", "/api/v2/organizations/communitiz-app").wantFault(409, "production_not_empty")
		live.call("DELETE", "/api/v2/organizations/communitiz-app").want(200)
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		users := "/api/v2/org/" + h.org + "/users"
		made := h.call("POST", users, "profile[email]=Bob@acme.test", "profile[given_name]=Bob", "address[country]=DE").want(201)
		for name, want := range map[string]any{
			"__type__": "User", "__domain__": h.org, "__environment__": "sandbox", "email": "Bob@acme.test", "active": true, "email_verified": false, "phone_number": nil,
		} {
			if made.body[name] != want {
				t.Errorf("%s is %v, want %v", name, made.body[name], want)
			}
		}
		if _, isList := made.body["meta_data"].([]any); !isList {
			t.Errorf("meta_data must be a list: %s", made.raw)
		}
		if len(made.text("inserted_at")) != len("2030-01-02T03:04:05") {
			t.Errorf("inserted_at has another shape: %s", made.raw)
		}
		id := made.text("id")
		for _, key := range []string{id, "bob@acme.test", "BOB%40ACME.TEST"} {
			if read := h.call("GET", users+"/"+key).want(200); read.raw != made.raw {
				t.Errorf("read by %s: %s, created %s", key, read.raw, made.raw)
			}
		}
		changed := h.call("PUT", users+"/"+id, "profile[family_name]=Builder", "phone_number=+4915199999999").want(200)
		profile, _ := changed.body["profile"].(map[string]any)
		if profile["given_name"] != "Bob" || profile["family_name"] != "Builder" || changed.body["phone_number"] != "+4915199999999" {
			t.Errorf("changed: %s", changed.raw)
		}
		h.call("PUT", users+"/"+id, "email=ana@acme.test").wantFault(422, "unprocessable_entity")
		for _, paging := range []string{"page", "current_page"} {
			listed := h.call("GET", users, paging+"=2", "per_page=1").want(200)
			data, _ := listed.body["data"].([]any)
			if len(data) != 1 || data[0].(map[string]any)["id"] != h.user { // newest first: ana is the second
				t.Errorf("%s=2: %s", paging, listed.raw)
			}
		}
		if gone := h.call("DELETE", users+"/"+id).want(200); gone.body["deleted"] != true {
			t.Errorf("deleted: %s", gone.raw)
		}
		h.call("GET", users+"/"+id).wantFault(404, "not_found")
		h.call("DELETE", users+"/"+id).wantFault(404, "not_found")
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.call("POST", "/api/v2/organizations", "name=Other").want(201)
	made := h.call("POST", "/api/v2/api-keys", "name=backend", "scopes[]=users:read", "scopes[]=keys:write", "organizations[]="+h.org).want(201)
	clientID, value := made.text("client_id"), made.text("client_secret")
	narrow := h.as(h.as("").call("POST", "/oauth/token", "grant_type=client_credentials", "client_id="+clientID, "client_secret="+value).want(200).text("access_token"))
	narrow.call("GET", "/api/v2/org/"+h.org+"/users").want(200)
	narrow.call("GET", "/api/v2/org/other/users").wantFault(404, "not_found") // out of its reach
	narrow.call("GET", "/api/v2/api-keys").wantFault(403, "insufficient_scope")
	narrow.call("POST", "/api/v2/api-keys", "scopes=codes:read").wantFault(403, "insufficient_scope")
	narrow.call("POST", "/api/v2/api-keys", "scopes=users:read", "organizations[]=other").wantFault(422, "invalid_parameter")
	// What it makes is as narrow as itself.
	child := narrow.call("POST", "/api/v2/api-keys", "scopes=users:read").want(201)
	if fmt.Sprint(child.body["organizations"]) != "["+h.org+"]" {
		t.Errorf("the child of a narrow key reaches %v", child.body["organizations"])
	}
	listed := h.call("GET", "/api/v2/api-keys").want(200)
	if strings.Contains(listed.raw, value) || strings.Contains(listed.raw, "client_secret") {
		t.Errorf("the list shows secrets: %s", listed.raw)
	}
	h.call("DELETE", "/api/v2/api-keys/"+clientID).want(200)
	narrow.call("GET", "/api/v2/org/"+h.org+"/users").wantFault(401, "unauthorized")
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.call("DELETE", "/api/v2/api-keys/"+clientID).wantFault(404, "not_found") // the other environment's
}
