package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign.dev/pkg/event"
)

func (h *house) preview() string { return "/api/v2/org/" + h.org + "/template-preview" }

func (h *house) templates(rest string) string { return "/api/v2/org/" + h.org + "/templates" + rest }

// template makes words for a kind of message and returns its id.
func (h *house) template(kind string, params ...string) string {
	h.t.Helper()
	return h.call("POST", h.templates(""), append([]string{"kind=" + kind}, params...)...).want(201).text("id")
}

// beside is another organization of the same key.
func (h *house) beside(name string) *house {
	h.t.Helper()
	other := *h
	other.org = h.call("POST", "/api/v2/organizations", "name="+name, "email_domains[]="+name+".test").want(201).text("domain")
	return &other
}

const (
	resetWords = "{{brand}}: {{link}} {{minutes}}"
	resetPage  = `html=<p>{{given_name}}</p><a href="{{link}}">{{brand}}</a>`
)

func TestTemplatesAreKept(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		made := h.call("POST", h.templates(""), "kind=password_reset", "name=Reset", "locale=de_at", "subject= Neu \r\n", "text=a\r\n {{link}} ", resetPage).want(201)
		id := made.text("id")
		if !strings.HasPrefix(id, "template_") || made.body["active"] != false || made.text("name") != "Reset" || made.text("__type__") != "Template" {
			t.Errorf("made %s", made.raw)
		}
		if read := h.call("GET", h.templates("/"+id)).want(200); read.raw != made.raw {
			t.Errorf("read %s, made %s", read.raw, made.raw)
		}
		if !strings.Contains(made.raw, `"contents":{"de-AT":{"subject":"Neu","text":"a\n {{link}}"`) || !strings.Contains(made.raw, `"locales":["de-AT"]`) {
			t.Errorf("made %s", made.raw)
		}
		changed := h.call("PUT", h.templates("/"+id), "locale=en", "subject=New", "text={{link}}", "active=true").want(200)
		if !strings.Contains(changed.raw, `"locales":["de-AT","en"]`) || changed.body["active"] != true || changed.text("name") != "Reset" {
			t.Errorf("changed %s", changed.raw)
		}
		if gone := h.call("PUT", h.templates("/"+id), "locale=de-AT").want(200); !strings.Contains(gone.raw, `"locales":["en"]`) {
			t.Errorf("without a language %s", gone.raw)
		}
		h.call("PUT", h.templates("/"+id), "locale=en").wantFault(422, "template_not_valid")
		h.call("PUT", h.templates("/"+id), "locale=fr").wantFault(422, "missing_parameter")
		h.call("PUT", h.templates("/"+id), "text={{link}}").wantFault(422, "missing_parameter")
		h.call("PUT", h.templates("/"+id), "kind=magic_link").wantFault(400, "unknown_parameter")

		// Of each kind one is used.
		second := h.template("password_reset", "locale=en", "subject=s", "text={{link}}", "active=true")
		code := h.template("sms_code", "locale=en", "text={{code}}", "active=true")
		listed := h.call("GET", h.templates(""), "kind=password_reset").want(200)
		if listed.body["total"] != 2.0 || strings.Contains(listed.raw, code) || strings.Contains(listed.raw, "contents") {
			t.Errorf("listed %s", listed.raw)
		}
		if first := h.call("GET", h.templates("/"+id)).want(200); first.body["active"] != false {
			t.Errorf("two are active: %s", first.raw)
		}
		removed := h.call("DELETE", h.templates("/"+second)).want(200)
		if removed.body["deleted"] != true {
			t.Errorf("removed %s", removed.raw)
		}
		h.call("GET", h.templates("/"+second)).wantFault(404, "not_found")
		h.call("DELETE", h.templates("/"+second)).wantFault(404, "not_found")
		h.wantChanges(id, "created", "updated", "updated")
		h.wantChanges(second, "created", "deleted")
	})
}

// wantChanges looks for the records of a template, oldest first.
func (h *house) wantChanges(id string, want ...string) {
	h.t.Helper()
	var got []string
	records := h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=template.changed", "per_page=200").want(200).body["data"].([]any)
	for _, record := range slices.Backward(records) {
		if data := record.(map[string]any)["data"].(map[string]any); data["template"] == id {
			got = append(got, data["change"].(string))
		}
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("recorded %q of %s, want %q", got, id, want)
	}
}

// Words that could not be sent are refused when they are written, by the name
// of what is wrong, and change nothing.
func TestTemplatesThatCannotBeSentAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	good := h.template("password_reset", "locale=en", "subject=s", "text={{link}}")
	before := h.call("GET", h.templates("/"+good)).want(200).raw
	for what, c := range map[string]struct {
		params []string
		says   string
	}{
		"no link":               {[]string{"kind=password_reset", "subject=s", "text=x"}, "{{link}}"},
		"no code":               {[]string{"kind=sms_code", "text=x"}, "{{code}}"},
		"an unknown field":      {[]string{"kind=password_reset", "subject=s", "text={{link}} {{token}}"}, "{{token}}"},
		"a method":              {[]string{"kind=password_reset", "subject=s", "text={{link}} {{.Link.String}}"}, "{{.Link.String}}"},
		"no subject":            {[]string{"kind=magic_link", "text={{link}}"}, "subject"},
		"a script":              {[]string{"kind=magic_link", "subject=s", "text={{link}}", `html=<a href="{{link}}">x</a><script></script>`}, "<script>"},
		"a subject for a phone": {[]string{"kind=sms_code", "subject=s", "text={{code}}"}, "subject"},
		"three segments":        {[]string{"kind=sms_code", "text={{code}}" + strings.Repeat("Ж", 130)}, "segments"},
		"another host":          {[]string{"kind=sms_code", "text={{code}} @evil.example"}, "@"},
		"too large for the queue": {[]string{"kind=magic_link", "subject=s", "text={{link}} " + strings.Repeat("x", 9900),
			`html=<a href="{{link}}">x</a>` + strings.Repeat("x", 24_000) + strings.Repeat(`"`, 4500)}, "large"},
	} {
		refused := h.call("POST", h.templates(""), append(c.params, "locale=en")...).wantFault(422, "template_not_valid")
		if !strings.Contains(refused.errorText(), c.says) {
			t.Errorf("%s: %s", what, refused.raw)
		}
		if kind := c.params[0]; kind == "kind=password_reset" {
			h.call("PUT", h.templates("/"+good), append(c.params[1:], "locale=en")...).wantFault(422, "template_not_valid")
		}
		h.call("POST", h.preview(), append(c.params, "locale=en")...).wantFault(422, "template_not_valid")
	}
	h.call("POST", h.templates(""), "kind=nothing", "locale=en", "text=x").wantFault(422, "invalid_parameter")
	h.call("POST", h.templates(""), "kind=sms_code", "locale=!", "text={{code}}").wantFault(422, "invalid_parameter")
	h.call("POST", h.templates(""), "kind=sms_code", "text={{code}}").wantFault(422, "missing_parameter")
	h.call("POST", h.preview(), "kind=nothing", "locale=en", "text=x").wantFault(422, "invalid_parameter")
	if after := h.call("GET", h.templates("/"+good)).want(200).raw; after != before {
		t.Errorf("changed from %s to %s", before, after)
	}
	if total := h.call("GET", h.templates("")).want(200).body["total"]; total != 1.0 {
		t.Errorf("%v templates", total)
	}
}

// The words of an organization are sealed with its messages, in the user's
// language or its own, and of no other organization and environment.
// Covers R-124 for templates: another organization's are never used.
func TestMessagesAreComposedInOwnWords(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		other := h.beside("rival").passwords()
		live := h.as(h.signIn(h.key("acme", "default")))
		for kind, words := range map[string]string{
			"password_create": "{{link}}", "password_reset": "{{link}}", "magic_link": "{{link}}", "notice_password_changed": "x",
			"notice_factor_changed": "x", "notice_email_changed": "x",
		} {
			id := h.template(kind, "active=true", "locale=de", "subject=de "+kind, "text="+words)
			h.call("PUT", h.templates("/"+id), "locale=en", "subject=en "+kind, "text="+words).want(200)
		}
		h.template("sms_code", "active=true", "locale=de", "text={{code}} de")
		live.template("password_create", "active=true", "locale=en", "subject=live", "text={{link}}")

		user := h.user
		h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "profile[locale]=de-AT", "profile[given_name]=Ana").want(200)
		requested := h.requestPassword("ana@acme.test").want(201)
		h.wantWords(h.courier.letterFor(t, requested.text("request_id")), "de", "de password_create", "Ana")
		h.withPassword("ana@acme.test", plain)
		h.wantNotice("notice_password_changed", "ana@acme.test", "de notice_password_changed")
		requested = h.requestPassword("ana@acme.test").want(201)
		h.wantWords(h.courier.letterFor(t, requested.text("request_id")), "de", "de password_reset", "Ana")
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		requested = h.call("POST", "/api/v2/magic-link-challenge", "org_domain="+h.org, "user_email=ana@acme.test", "redirect_uri="+appURL).want(201)
		h.wantWords(h.courier.letterFor(t, requested.text("request_id")), "de", "de magic_link", "Ana")
		sms := h.courier.wait(t, h.call("POST", h.enrollment(user), "method=sms").want(201).text("request_id"))
		if sms.Words == nil || sms.Words.Text != "{{code}} de" || sms.Words.Locale != "de" {
			t.Errorf("text message %+v", sms)
		}
		h.call("PUT", h.enrollment("validation/"+user), "code="+sms.Code).want(200).wantSuccess(true)
		h.wantNotice("notice_factor_changed", "ana@acme.test", "de notice_factor_changed")
		h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "email=anna@acme.test", "profile[locale]=en-GB").want(200)
		h.wantNotice("notice_email_changed", "ana@acme.test", "en notice_email_changed")
		h.wantNotice("notice_email_changed", "anna@acme.test", "en notice_email_changed")

		// A language that there is none of: the organization's, and else ours.
		h.call("PUT", "/api/v2/organizations/"+h.org, "locale=en-US").want(200)
		h.call("PUT", "/api/v2/org/"+h.org+"/users/"+user, "profile[locale]=ja").want(200)
		requested = h.requestPassword("anna@acme.test").want(201)
		h.wantWords(h.courier.letterFor(t, requested.text("request_id")), "en", "en password_reset", "Ana")
		h.call("PUT", "/api/v2/organizations/"+h.org, "locale=fr").want(200)
		requested = h.requestPassword("anna@acme.test").want(201)
		if m := h.courier.letterFor(t, requested.text("request_id")); m.Words != nil || m.Locale != "ja" {
			t.Errorf("words of a language that nobody speaks: %+v", m)
		}

		// Another organization has none of it.
		other.newUser("eva@rival.test", numbered(2))
		requested = other.requestPassword("eva@rival.test").want(201)
		if m := h.courier.letterFor(t, requested.text("request_id")); m.Words != nil || m.GivenName != "" {
			t.Errorf("another organization's mail has the words %+v", m.Words)
		}
	})
}

func (h *house) wantWords(m event.Mail, locale, subject, name string) {
	h.t.Helper()
	if m.Words == nil || m.Words.Locale != locale || m.Words.Subject != subject || m.Words.Text == "" || m.GivenName != name {
		h.t.Errorf("%s has the words %+v for %q, want %q in %s", m.Template, m.Words, m.GivenName, subject, locale)
	}
}

func (h *house) wantNotice(template, to, subject string) {
	h.t.Helper()
	m := h.courier.nextLetter(h.t, template+" to "+to, func(l letter) bool { return l.content.Template == template && l.content.To == to })
	if m.Words == nil || m.Words.Subject != subject {
		h.t.Errorf("%s has the words %+v, want %q", template, m.Words, subject)
	}
}

// What may be kept may be sent: the largest template fits on the bus, sealed.
func TestTheLargestTemplateIsSent(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords()
	page := `<a href="{{link}}">x</a>` + strings.Repeat("<b>x</b>", 3000) + strings.Repeat("x", 5900)
	h.raw("POST", h.templates(""), asJSON, strings.NewReader(fmt.Sprintf( // a form would write each bracket as three characters
		`{"kind": "password_create", "active": true, "locale": "en", "subject": "large", "text": "{{link}} %s", "html": %q}`, strings.Repeat("x", 9900), page))).want(201)
	requested := h.requestPassword("ana@acme.test").want(201)
	if m := h.courier.letterFor(t, requested.text("request_id")); m.Words == nil || m.Words.HTML != page {
		t.Errorf("the words of the mail are %.100v", m.Words)
	}
}

// Reminders are made by a clock, for many users at once.
func TestRemindersAreComposedInOwnWords(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords("time_to_live=7776000")
		h.template("notice_password_expiring", "active=true", "locale=en", "subject=mine", "text={{days}} {{time}}")
		h.withPassword("ana@acme.test", plain)
		h.aged(87*aDay + time.Hour)
		until(t, func() bool { // a user whom somebody else holds waits for the next round
			if err := h.service.Remind(t.Context()); err != nil {
				t.Fatal(err)
			}
			return h.call("GET", "/api/v2/org/"+h.org+"/activity", "action=password.expiring").want(200).body["total"] == 1.0
		})
		h.wantNotice("notice_password_expiring", "ana@acme.test", "mine")
	})
}

// A connection names a template of its own kind and tenant, which goes before
// the active one and stays while it is named.
func TestConnectionsNameTemplates(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p).passwords()
		other := h.beside("rival")
		h.call("PUT", "/api/v2/org/"+h.org+"/magic-link-connection", "active=true").want(200)
		h.withPassword("ana@acme.test", plain)
		foreign := other.template("password_reset", "locale=en", "subject=theirs", "text={{link}}")
		for _, c := range []struct{ kind, connection, param string }{
			{"password_reset", "password-connection", "forgot_password_template_id"},
			{"magic_link", "magic-link-connection", "sign_in_template_id"},
		} {
			path := "/api/v2/org/" + h.org + "/" + c.connection
			h.template(c.kind, "active=true", "locale=en", "subject=active", "text={{link}}")
			named := h.template(c.kind, "locale=en", "subject=named", "text={{link}}")
			wrong := h.template("password_create", "locale=en", "subject=s", "text={{link}}")
			for _, bad := range []string{"template_unknown", wrong, foreign, strings.Repeat("x", 5000)} {
				h.call("PUT", path, c.param+"="+bad).wantFault(422, "invalid_parameter")
			}
			if r := h.call("PUT", path, c.param+"="+named).want(200); r.text(c.param) != named {
				t.Errorf("%s %s", c.connection, r.raw)
			}
			h.call("DELETE", h.templates("/"+named)).wantFault(409, "template_in_use")
			h.wantSubject(c.kind, "named")
			if r := h.call("PUT", path, c.param+"=").want(200); r.body[c.param] != nil {
				t.Errorf("%s %s", c.connection, r.raw)
			}
			h.wantSubject(c.kind, "active")
			h.call("DELETE", h.templates("/"+named)).want(200)
		}
	})
}

func (h *house) wantSubject(kind, subject string) {
	h.t.Helper()
	var asked *reply
	if kind == "magic_link" {
		asked = h.call("POST", "/api/v2/magic-link-challenge", "org_domain="+h.org, "user_email=ana@acme.test", "redirect_uri="+appURL)
	} else {
		asked = h.requestPassword("ana@acme.test")
	}
	if m := h.courier.letterFor(h.t, asked.want(201).text("request_id")); m.Words == nil || m.Words.Subject != subject {
		h.t.Errorf("%s has the words %+v, want %q", kind, m.Words, subject)
	}
}

// Covers R-124 for previews: they escape, and read nothing but their fields.
func TestPreviewsShowWhatIsSent(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	h.call("PUT", "/api/v2/organizations/"+h.org, `name=<b>Acme</b> {{link}}`).want(200)
	shown := h.call("POST", h.preview(), "kind=password_reset", "locale=de", "subject=Neu: {{brand}}", "text={{given_name}}\n{{link}}",
		resetPage, `given_name=<script>alert(1)</script>`).want(200)
	if got := shown.text("subject"); got != "Neu: b Acme b link" {
		t.Errorf("subject %q", got)
	}
	page := shown.text("html")
	if strings.Contains(page, "<script") || strings.Contains(page, "<b>") || !strings.Contains(page, "<p>script alert 1 script</p>") || !strings.Contains(page, `lang="de"`) {
		t.Errorf("page %s", page)
	}
	if !strings.Contains(shown.text("text"), "\nhttps://") || shown.body["segments"] != nil {
		t.Errorf("shown %s", shown.raw)
	}
	sms := h.call("POST", h.preview(), "kind=sms_code", "locale=en", "text={{code}} "+strings.Repeat("x", 150)).want(200)
	if sms.body["segments"] != 2.0 || sms.body["html"] != nil || sms.body["subject"] != nil || !strings.HasSuffix(sms.text("text"), " #123456") {
		t.Errorf("shown %s", sms.raw)
	}
	kept := h.template("notice_factor_changed", "locale=de", "subject=s", "text={{detail}}")
	if r := h.call("POST", h.preview(), "template_id="+kept, "locale=de-CH").want(200); r.text("locale") != "de" || r.text("text") != "text message\n" {
		t.Errorf("shown %s", r.raw)
	}
	if r := h.call("POST", h.preview(), "template_id="+kept, "locale=fr").want(200); r.text("locale") != "de" {
		t.Errorf("shown %s", r.raw) // what is sent where the organization says no language
	}
	h.call("PUT", "/api/v2/organizations/"+h.org, "locale=en").want(200)
	h.call("POST", h.preview(), "template_id="+kept, "locale=fr").wantFault(422, "missing_parameter")
	h.call("POST", h.preview(), "template_id="+kept+"x", "locale=de").wantFault(404, "not_found")
	if total := h.call("GET", h.templates("")).want(200).body["total"]; total != 1.0 {
		t.Errorf("%v templates", total)
	}
}

// An organization takes its templates along, and one that has none again is
// not asked for any.
func TestTemplatesEndWithTheirOrganization(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		db := p.openSQL(t)
		count := func(what, query string, want int) {
			t.Helper()
			n := -1
			if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", what, n, err, want)
			}
		}
		const templated = `SELECT COUNT(*) FROM organizations WHERE templated = TRUE`
		count("before", templated, 0)
		id := h.template("sms_code", "locale=en", "text={{code}}")
		other := h.beside("rival")
		other.template("sms_code", "locale=en", "text={{code}}")
		count("with templates", templated, 2)
		h.call("DELETE", h.templates("/"+id)).want(200)
		count("with one less", templated, 1)
		h.call("DELETE", "/api/v2/organizations/"+other.org).want(200)
		count("without the organization", `SELECT COUNT(*) FROM templates`, 0)
	})
}
