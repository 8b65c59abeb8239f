package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// What the pages say is kept by language, and listed in the order of their tags.
func TestPageTextsAreKeptByLanguage(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *parts) {
		h := start(t, p)
		texts := "/api/v2/org/" + h.org + "/page-texts"
		is := func(r *reply, want string) {
			t.Helper()
			got := []string{}
			for _, one := range r.want(200).body["data"].([]any) {
				of := one.(map[string]any)
				got = append(got, fmt.Sprint(of["__type__"], " ", of["__domain__"] == h.org, " ", of["locale"], " ", of["welcome"], " ", of["help"]))
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("%s: %s, want %s", r.what, got, want)
			}
		}
		is(h.call("GET", texts), "")
		made := h.call("PUT", texts+"/de_at", "welcome= Servus! ", "help=Ruf 555").want(200)
		if made.text("locale") != "de-AT" || made.text("welcome") != "Servus!" || made.text("help") != "Ruf 555" {
			t.Errorf("set to %s", made.raw)
		}
		h.call("PUT", texts+"/fr", "help=Appelez").want(200)
		is(h.call("GET", texts), "PageText true de-AT Servus! Ruf 555, PageText true fr <nil> Appelez")
		h.call("PUT", texts+"/de-AT", "help=Ruf 556").want(200) // in place of both
		is(h.call("GET", texts), "PageText true de-AT <nil> Ruf 556, PageText true fr <nil> Appelez")
		is(h.call("GET", texts, "per_page=1", "page=2"), "PageText true fr <nil> Appelez")
		is(h.call("GET", texts, "per_page=200", "page=999999999"), "")
		gone := h.call("DELETE", texts+"/DE-at").want(200)
		if gone.body["deleted"] != true || gone.body["resource"].(map[string]any)["help"] != "Ruf 556" {
			t.Errorf("deleted: %s", gone.raw)
		}
		h.call("DELETE", texts+"/de-AT").wantFault(404, "not_found")
		is(h.call("GET", texts), "PageText true fr <nil> Appelez")
		h.call("DELETE", texts+"/fr").want(200)
		is(h.call("GET", texts), "")
	})
}

// A text is one line of plain text of at most 300 characters, and all of them
// together are small: they are read with every page.
func TestPageTextsAreShortAndPlain(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t))
	texts := "/api/v2/org/" + h.org + "/page-texts"
	for _, field := range []string{"welcome", "help"} {
		for name, text := range map[string]string{
			"one character too many": strings.Repeat("ä", 301), "a line break": "a\nb", "a NUL": "a\x00b", "a tab": "a\tb", "an escape": "\x1b[31mred",
			"another direction": "a\u202eb", "nothing that is seen": "a\u200bb", "a private character": "a\ue000b", "a broken one": "a\xffb", "another line": "a\u2028b",
		} {
			if r := h.call("PUT", texts+"/en", field+"="+text); r.status != 422 && r.status != 400 {
				t.Errorf("%s in %s: %d %s", name, field, r.status, r.raw)
			}
		}
		h.call("PUT", texts+"/en", field+"="+strings.Repeat("ä", 300)).want(200)
	}
	for _, locale := range []string{"x", "english!", "de-", "%3Cscript%3E", strings.Repeat("a", 200)} {
		h.call("PUT", texts+"/"+locale, "welcome=a").wantFault(422, "invalid_parameter")
		h.call("DELETE", texts+"/"+locale).wantFault(422, "invalid_parameter")
	}
	h.call("PUT", texts+"/en").wantFault(422, "missing_parameter")
	h.call("PUT", texts+"/en", "welcome= ", "help=").wantFault(422, "missing_parameter")
	h.call("PUT", texts+"/en", "welcome=a", "title=b").wantFault(400, "unknown_parameter")

	for i := range 39 {
		h.call("PUT", fmt.Sprint(texts, "/q", string(rune('a'+i%26)), "-", string(rune('A'+i/26)), "A"), "welcome=a").want(200)
	}
	h.call("PUT", texts+"/zz", "welcome=a").wantFault(422, "invalid_parameter")
	h.call("PUT", texts+"/en", "welcome=b").want(200) // in place of one
	taken := 0
	for i := range 39 {
		r := h.call("PUT", fmt.Sprint(texts, "/q", string(rune('a'+i%26)), "-", string(rune('A'+i/26)), "A"), "welcome="+strings.Repeat("語", 300), "help="+strings.Repeat("語", 300))
		if r.status == 200 {
			taken++
		} else {
			r.wantFault(422, "invalid_parameter")
		}
	}
	if taken < 5 || taken > 9 { // of 1.8 KiB each
		t.Errorf("%d long languages are taken", taken)
	}
}

// The welcome is on the first step alone and the help on every one, in the
// page's language, or in the organization's, which is then said. Whatever
// stands in them is text.
func TestPagesSayWhatTheirOrganizationWants(t *testing.T) {
	t.Parallel()
	h := start(t, embedded(t)).passwords().second(false)
	texts, org := "/api/v2/org/"+h.org+"/page-texts/", "/api/v2/organizations/"+h.org
	shop := h.shop()
	page := func(language string) *reply { return h.browser().signInPage(wanted(shop, "ui_locales="+language)) }
	h.call("PUT", texts+"de-AT", `welcome=<script>alert(1)</script> & "Servus"`, "help=https://help.acme.test").want(200)
	h.call("PUT", texts+"it", "welcome=Benvenuti").want(200)

	german := page("de")
	german.says(true, `<p class="welcome" lang="de-AT">&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;Servus&#34;</p>`,
		`<footer class="help"><p lang="de-AT">https://help.acme.test</p></footer>`)
	german.says(false, "<script>alert", `href="https://help`, "Benvenuti")
	page("en").says(false, "Servus", "Benvenuti", `class="welcome"`, `class="help"`)
	h.call("PUT", org, "locale=it").want(200)
	page("en").says(true, `<p class="welcome" lang="it">Benvenuti</p>`).says(false, "Servus", `class="help"`)
	page("de").says(true, "Servus").says(false, "Benvenuti")
	h.call("PUT", texts+"en", "welcome=Welcome", "help=Call us").want(200)
	page("en").says(true, `<p class="welcome">Welcome</p>`, `<footer class="help"><p>Call us</p></footer>`)

	b := h.browser()
	next := b.next(b.submit(b.signInPage(wanted(shop, "ui_locales=en")), "/login/turn", "to=forgot"))
	next.says(true, "Call us").says(false, "Welcome<")
}
