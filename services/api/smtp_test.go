package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/event"
	"countersign.dev/services/api"
	"countersign.dev/services/api/internal/apikey"
)

func (h *house) smtp(method string, params ...string) *reply {
	h.t.Helper()
	return h.call(method, "/api/v2/org/"+h.org+"/smtp-connection", params...)
}

// An organization says through which server its mails go, and is told what the
// DNS must show. No answer has a secret.
func TestAnOrganizationSetsItsMailServer(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		h.smtp("GET").want(404)
		h.smtp("DELETE").want(404)
		const canary = "correct horse canary"
		clean := func(r *reply) *reply {
			t.Helper()
			if strings.Contains(r.raw, "canary") || strings.Contains(r.raw, "PRIVATE") {
				t.Errorf("%s shows a secret: %s", r.what, r.raw)
			}
			return r
		}
		is := func(r *reply, want map[string]any) {
			t.Helper()
			for name, value := range want {
				if fmt.Sprint(clean(r).body[name]) != fmt.Sprint(value) {
					t.Errorf("%s: %s is %v, want %v: %s", r.what, name, r.body[name], value, r.raw)
				}
			}
		}
		is(h.smtp("PUT", "host=SMTP.Example.com", "from_email=no-reply@Grün.example").want(200), map[string]any{
			"__type__": "SmtpConnection", "active": false, "host": "smtp.example.com", "port": 587, "security": "starttls", "username": nil, "password_set": false,
			"from_email": "no-reply@xn--grn-ioa.example", "from_name": nil, "dkim": nil,
		})
		is(h.smtp("PUT", "active=true", "security=tls", "port=465", "username=ana", "password="+canary, "from_email=no-reply@mail.example.com", "from_name=Acme").want(200),
			map[string]any{"active": true, "security": "tls", "port": 465, "username": "ana", "password_set": true, "from_name": "Acme"})

		signed := clean(h.smtp("PUT", "dkim_domain=example.com", "dkim_selector=cs1").want(200))
		made, _ := signed.body["dkim"].(map[string]any)
		record, _ := made["record"].(string)
		if made["record_name"] != "cs1._domainkey.example.com" || !strings.HasPrefix(record, "v=DKIM1; k=rsa; p=MII") {
			t.Errorf("signing: %s", signed.raw)
		}
		is(h.smtp("GET").want(200), map[string]any{"dkim": made, "password_set": true})
		is(h.smtp("PUT", "dkim_selector=cs1").want(200), map[string]any{"dkim": made}) // the same name keeps its key
		if again, _ := clean(h.smtp("PUT", "dkim_selector=cs2").want(200)).body["dkim"].(map[string]any); again["record"] == record {
			t.Error("another selector has the same key")
		}
		given, err := dkim.NewKey(dkim.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		key, err := dkim.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		own, _ := clean(h.smtp("PUT", "dkim_private_key="+given.Reveal()).want(200)).body["dkim"].(map[string]any)
		if own["record"] != dkim.Record(key) {
			t.Errorf("the record of a given key is %v", own)
		}
		is(h.smtp("PUT", "dkim_domain=").want(200), map[string]any{"dkim": nil})
		is(h.smtp("PUT", "username=").want(200), map[string]any{"username": nil, "password_set": false})
		removed := clean(h.smtp("DELETE").want(200))
		if removed.body["deleted"] != true {
			t.Errorf("removed: %s", removed.raw)
		}
		h.smtp("GET").want(404)
	})
}

// A password is for the place that it was given for.
func TestAPasswordIsNotSentElsewhere(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.smtp("PUT", "host=smtp.example.com", "from_email=no-reply@example.com", "username=ana", "password=one").want(200)
	for _, change := range []string{"host=smtp.evil.test", "port=2525", "security=tls", "username=bob"} {
		if r := h.smtp("PUT", change).want(422); !strings.Contains(r.raw, "password must be provided again") {
			t.Errorf("%s: %s", change, r.raw)
		}
		h.smtp("PUT", change, "password=two").want(200)
		h.smtp("PUT", "host=smtp.example.com", "port=587", "security=starttls", "username=ana", "password=one").want(200)
	}
	h.smtp("PUT", "host=smtp.example.com", "from_name=Acme").want(200) // nothing moves
}

func TestWhatIsNoMailServerIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	for _, incomplete := range []string{"from_email=a@example.com", "host=smtp.example.com", "active=true"} {
		h.smtp("PUT", incomplete).want(422)
	}
	h.smtp("GET").want(404)
	h.smtp("PUT", "host=smtp.example.com", "from_email=a@example.com").want(200)
	before := h.smtp("GET").want(200).raw
	for param, says := range map[string]string{
		"host=":                                     "host must be",
		"host=smtp example":                         "host must be",
		"host=a.test\r\nb":                          "host must be",
		"host=http://a.test":                        "host must be",
		"port=0":                                    "port must be",
		"port=65536":                                "port must be",
		"security=none":                             "security must be",
		"security=":                                 "security must be",
		"password=one":                              "username must be provided",
		"username=ana":                              "password must be provided",
		"username=a\r\nb":                           "username must be",
		"username=" + strings.Repeat("a", 300):      "username must be",
		"password=a\x00b&username=a":                "",
		"from_email=a":                              "from_email must be",
		"from_email=a@b.test,c@d.test":              "from_email must be",
		"from_email=a@b.test\r\nBcc: c@d.test":      "from_email must be",
		"from_name=a\u202eb":                        "from_name",
		"dkim_domain=example.com":                   "dkim_selector must be provided",
		"dkim_selector=cs1":                         "dkim_domain must be provided",
		"dkim_private_key=x":                        "dkim_private_key must be",
		"dkim_domain=example.org&dkim_selector=cs1": "dkim_domain must be the domain of from_email",
		"dkim_domain=example.com&dkim_selector=a_b": "dkim_selector must be",
		"dkim_domain=com&dkim_selector=cs1":         "dkim_domain must be",
		"unknown=1":                                 "unknown",
	} {
		if r := h.smtp("PUT", strings.Split(param, "&")...); r.status/100 != 4 || !strings.Contains(r.raw, says) {
			t.Errorf("%q: %d %s", param, r.status, r.raw)
		}
	}
	if after := h.smtp("GET").want(200).raw; after != before {
		t.Errorf("what was refused has changed %s to %s", before, after)
	}
}

// Where mails go is a right of its own, and nobody has it unasked.
func TestMailServersHaveAScopeOfTheirOwn(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	if slices.Contains(apikey.Standard(), apikey.MailServersWrite) || !slices.Contains(apikey.All(), apikey.MailServersWrite) {
		t.Error("the scope to set mail servers is a standard one, or none")
	}
	reader := h.as(h.signIn(h.key("acme", "sandbox", slices.DeleteFunc(apikey.All(), func(scope string) bool { return scope == apikey.MailServersWrite })...)))
	reader.org = h.org
	reader.smtp("PUT", "host=smtp.example.com", "from_email=a@example.com").want(403)
	reader.smtp("DELETE").want(403)
	reader.smtp("GET").want(404)
}

// Changes are recorded, by whom and of what kind, and with nothing that was said.
func TestChangesOfMailServersAreRecorded(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.smtp("PUT", "host=smtp.example.com", "from_email=no-reply@example.com", "username=ana", "password=one").want(200)
	h.smtp("PUT", "active=true").want(200)
	h.smtp("PUT", "active=maybe").want(422)
	h.smtp("DELETE").want(200)
	list := h.call("GET", "/api/v2/org/"+h.org+"/activity").want(200)
	var got []string
	for _, item := range list.body["data"].([]any) {
		entry := item.(map[string]any)
		got = append(got, fmt.Sprint(entry["action"], " ", entry["data"]))
		if actor, _ := entry["actor"].(string); !strings.HasPrefix(actor, "api_key:") {
			t.Errorf("acted: %v", entry["actor"])
		}
	}
	slices.Reverse(got)
	want := []string{
		event.TypeServerChanged + " map[active:false secrets:new]", event.TypeServerChanged + " map[active:true]", event.TypeServerRemoved + " map[]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// What the sandbox says is kept and not used; each environment has its own.
func TestTheMailServerOfTheSandboxIsNotUsed(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.smtp("PUT", "host=smtp.example.com", "from_email=no-reply@example.com", "active=true").want(200)
	live := h.as(h.signIn(h.key("acme", "default", api.AllScopes)))
	live.org = h.org
	live.smtp("GET").want(404)
	h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
	asked := h.call("POST", "/api/v2/magic-link-challenge", "user_email=ana@acme.test", "org_domain="+h.org, "redirect_uri=http://localhost/cb").want(201)
	if letter := h.courier.letterFor(t, asked.text("request_id")); letter.To == "" {
		t.Errorf("the inbox got %+v", letter)
	}
}
