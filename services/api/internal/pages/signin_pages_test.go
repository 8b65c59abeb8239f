package pages

import (
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// signInSteps are all that a page shows.
var signInSteps = []flow.Step{
	flow.StepAddress, flow.StepPassword, flow.StepLink, flow.StepLinkSent, flow.StepForgot, flow.StepForgotSent, flow.StepRenew, flow.StepCode,
	flow.StepRecovery, flow.StepEnrolApp, flow.StepEnrolPhone, flow.StepEnrolSent, flow.StepCodes, flow.StepConsent, flow.StepFinished,
}

// sentences are advice.
type sentences []string

func (s sentences) In(...string) []string { return s }

// fullView is a step with all that it may show, by a person who makes trouble.
func fullView(step flow.Step) flow.View {
	return flow.View{
		Step: step, Org: tenant.Organization{Name: `Acme <b>&`, Color: "#336699"}, App: `Shop "<i>`, Back: "https://shop.test/cb", Address: "ana@acme.test",
		Username: "ana@acme.test", Hint: password.Hint{Least: 15, Words: []string{"anabel", "acme"}},
		Others: signInSteps, Said: flow.WrongCode, Until: asked.Add(time.Minute), Apps: true, Phone: "+49•••••67", Sent: true, SendAt: asked.Add(29500 * time.Millisecond),
		Elsewhere: true, Again: true, Recovery: []string{"AAAA-BBBB-CCCC-DDDD", "AAAA-BBBB-CCCC-DDDE"}, Advice: sentences{"It is short.", "Take <more>."},
		Scopes:    []string{"openid", "orders:read<"},
		Enrolment: flow.Enrolment{URI: secret.New("otpauth://totp/Acme:ana?secret=" + strings.Repeat("ABCD", 8) + "&issuer=Acme"), Secret: secret.New(strings.Repeat("ABCD", 8))},
	}
}

// rendered is the page of a view.
func rendered(t *testing.T, view flow.View, lang string) *httptest.ResponseRecorder {
	t.Helper()
	p := &SignIn{BaseURL: "https://login.acme.test", Now: func() time.Time { return asked }}
	w := httptest.NewRecorder()
	p.write(w, httptest.NewRequestWithContext(t.Context(), "GET", "/login", nil), 200, signInPage{view, secret.New("flow"), secret.New("page"), lang})
	if w.Code != 200 {
		t.Fatalf("%s: %s", view.Step, w.Body)
	}
	return w
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// elements are those of a page, by their name.
func elements(t *testing.T, page string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]*html.Node{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out[n.Data] = append(out[n.Data], n)
		}
	}
	return out
}

// Every step in every language can be read, filled in by keyboard and voice,
// and loads nothing but our own files.
func TestEveryStepIsAWholePage(t *testing.T) {
	t.Parallel()
	for _, words := range signInSpoken {
		for _, step := range signInSteps {
			for _, view := range []flow.View{fullView(step), {Step: step, Org: tenant.Organization{Name: "Acme"}}} {
				w := rendered(t, view, words.Lang)
				what, found := words.Lang+" "+string(step), elements(t, w.Body.String())
				if len(found["h1"]) != 1 || len(found["main"]) != 1 || len(found["title"]) != 1 || len(found["b"])+len(found["i"])+len(found["more"]) != 0 {
					t.Errorf("%s: the headings are %v", what, found["h1"])
				}
				if lang, _ := attr(found["html"][0], "lang"); lang != words.Lang {
					t.Errorf("%s: the page is in %q", what, lang)
				}
				if strings.ContainsAny(w.Body.String(), "{}") || strings.Contains(strings.ReplaceAll(w.Body.String(), "data-many", ""), "{n}") {
					if left := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(strings.ReplaceAll(w.Body.String(), "{n}", ""), -1); left != nil {
						t.Errorf("%s: %q is left", what, left)
					}
				}
				wantLoadsNothing(t, what, found)
				wantForms(t, what, found)
			}
		}
	}
}

// wantLoadsNothing checks that nothing is inline and nothing is elsewhere.
func wantLoadsNothing(t *testing.T, what string, found map[string][]*html.Node) {
	t.Helper()
	if len(found["style"]) != 0 || len(found["link"]) != 1 || len(found["script"]) != 1 || found["script"][0].FirstChild != nil {
		t.Errorf("%s: something is inline, or loaded twice", what)
	}
	for name, all := range found {
		for _, n := range all {
			for _, a := range n.Attr {
				address := slices.Contains([]string{"src", "href", "action"}, a.Key) && !strings.HasPrefix(a.Val, "/login") && !strings.HasPrefix(a.Val, "./assets/") &&
					!strings.HasPrefix(a.Val, "otpauth://totp/")
				if address || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: %s has %s=%q", what, name, a.Key, a.Val)
				}
			}
		}
	}
}

// wantForms checks what is in the forms: whose they are, and a label for what is
// typed.
func wantForms(t *testing.T, what string, found map[string][]*html.Node) {
	t.Helper()
	labels, ids := map[string]bool{}, map[string]int{}
	for _, label := range found["label"] {
		of, _ := attr(label, "for")
		labels[of] = true
	}
	for _, all := range found {
		for _, n := range all {
			if id, ok := attr(n, "id"); ok {
				ids[id]++
			}
		}
	}
	for _, input := range found["input"] {
		id, _ := attr(input, "id")
		if kind, _ := attr(input, "type"); kind != "hidden" && !labels[id] {
			t.Errorf("%s: the field %q has no label", what, id)
		}
		if said, ok := attr(input, "aria-describedby"); ok {
			for name := range strings.FieldsSeq(said) {
				if ids[name] != 1 {
					t.Errorf("%s: the field %q is said to be described by %q", what, id, name)
				}
			}
		}
	}
	for id, times := range ids {
		if times != 1 {
			t.Errorf("%s: %q stands %d times", what, id, times)
		}
	}
	for _, form := range found["form"] {
		var names, buttons []string
		for n := range form.Descendants() {
			if name, ok := attr(n, "name"); ok {
				names = append(names, name)
			}
			if kind, _ := attr(n, "type"); kind == "submit" {
				buttons = append(buttons, n.Data)
			}
		}
		if !slices.Contains(names, "requestId") || !slices.Contains(names, "page_token") || len(buttons) == 0 {
			t.Errorf("%s: a form has %v and %v", what, names, buttons)
		}
	}
}

// Covers R-062 for the sign-in page: fields are named for managers, take what is pasted and cut nothing off.
func TestPasswordFieldsAreForManagers(t *testing.T) {
	t.Parallel()
	for step, want := range map[flow.Step]string{flow.StepPassword: "username current-password", flow.StepRenew: "username new-password", flow.StepCode: "one-time-code"} {
		var kinds []string
		for _, input := range elements(t, rendered(t, fullView(step), "en").Body.String())["input"] {
			if kind, ok := attr(input, "autocomplete"); ok {
				kinds = append(kinds, kind)
			}
			most, bounded := attr(input, "maxlength")
			if kind, _ := attr(input, "type"); kind == "password" && bounded {
				t.Errorf("%s: a password is cut off at %s", step, most)
			}
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s: the fields are %q, want %q", step, got, want)
		}
	}
	if strings.Contains(string(scriptJS), "input[type=\"password\"]') field.onpaste") || strings.Count(string(scriptJS), "'paste'") != 1 {
		t.Error("the script meddles with pasting")
	}
}

// A page with all that it loads is small, whichever step it is at.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	for _, step := range signInSteps {
		if all := rendered(t, fullView(step), "fr").Body.Len() + len(styleCSS) + len(scriptJS); all > 60<<10 {
			t.Errorf("%s: %d bytes", step, all)
		}
	}
}

func TestTheSignInPageMayLoadOurOwnFiles(t *testing.T) {
	t.Parallel()
	const want = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self' https://shop.test; frame-ancestors 'none'"
	if got := rendered(t, fullView(flow.StepCode), "en").Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("the policy is %q", got)
	}
}

// What a person needs is on the page of its step.
func TestStepsShowWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	for step, want := range map[flow.Step][]string{
		flow.StepPassword: {`role="alert"`, "Try again in a minute.", "<title>Error: Sign in to Acme &lt;b&gt;&amp;</title>", `value="forgot"`, `aria-invalid="true"`},
		flow.StepLinkSent: {"opened in another browser", `action="/login/shown"`, `action="/login/link"`},
		flow.StepRenew: {
			"<li>It is short.</li>", "<li>Take &lt;more&gt;.</li>", "At least 15 characters.", `value="ana@acme.test" tabindex="-1" readonly`,
			"data-least=\"15\" data-known=\"anabel\nacme\"", `data-single="One more character is needed."`, `aria-live="polite"`,
		},
		flow.StepCode:     {`inputmode="numeric"`, `action="/login/send"`, `data-wait="30"`, "in 30 seconds", `value="recovery"`},
		flow.StepEnrolApp: {`<svg role="img" aria-label="QR code`, strings.Repeat("ABCD ", 7) + "ABCD<", "otpauth://totp/Acme:ana?secret=", "recovery code. Set up"},
		flow.StepCodes:    {"<li>AAAA-BBBB-CCCC-DDDD</li>", `href="/login/recovery-codes.txt?requestId=flow"`, `value="yes" required`},
		flow.StepConsent:  {"who you are", "<code>orders:read&lt;</code>", `name="allow" value="yes"`, `name="allow" value="no"`},
		flow.StepFinished: {`action="/login/again"`, "Go on to Shop &#34;&lt;i&gt;"},
	} {
		page := rendered(t, fullView(step), "en").Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: %q is not in %s", step, text, page)
			}
		}
	}
}

// A language says everything, with the same things filled in as English.
func TestEveryLanguageOfTheSignInIsWhole(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	spokenTexts(reflect.ValueOf(signInEnglish), "", want)
	for _, step := range signInSteps {
		if want["Steps."+string(step)+".Heading"] == "" {
			t.Errorf("%s has no heading", step)
		}
	}
	for _, words := range signInSpoken {
		got := map[string]string{}
		spokenTexts(reflect.ValueOf(*words), "", got)
		for name, text := range want {
			if strings.TrimSpace(got[name]) != got[name] || (got[name] == "") != (text == "") || !slices.Equal(fills(got[name]), fills(text)) {
				t.Errorf("%s: %s is %q, in English %q", words.Lang, name, got[name], text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has %d texts, English %d", words.Lang, len(got), len(want))
		}
	}
}

// spokenTexts are all texts below a value, by where they stand.
func spokenTexts(v reflect.Value, at string, into map[string]string) {
	switch v.Kind() {
	case reflect.String:
		into[strings.TrimSuffix(at, ".")] = v.String()
	case reflect.Map:
		for key, value := range v.Seq2() {
			spokenTexts(value, at+key.String()+".", into)
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			spokenTexts(value, at+field.Name+".", into)
		}
	}
}
