package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// staged is what all samples are made of.
type staged struct {
	org       tenant.Organization
	lang      string
	base, app string
	now       time.Time
}

// sample is a page with sample data.
type sample struct {
	name  string // in its address
	group string
	show  func(of staged, w http.ResponseWriter, r *http.Request)
}

// samples are all pages, in the order in which they lead to each other.
var samples = slices.Concat(signInSamples(), linkSamples(), accountSamples(), otherSamples())

// The person of the samples. No mail, call or message reaches anybody by these:
// the domain and the number are set aside for examples.
const (
	sampleAddress = "sam@example.com"
	samplePhone   = "+4930••••••42"
	sampleKey     = "EXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEX" // base 32, and nobody's
	sampleNetwork = "203.0.113.0/24"
	sampleHost    = "app.example.com"
)

// sampleCodes are recovery codes that nobody has.
var sampleCodes = []string{"0000-0000-0000-0000", "1111-1111-1111-1111", "2222-2222-2222-2222", "3333-3333-3333-3333", "4444-4444-4444-4444"}

// sampleScopes are all that an app of others may ask for.
var sampleScopes = strings.Fields("openid profile email phone address offline_access")

// sampleURI is what the QR code says.
func (of staged) sampleURI() secret.Text {
	name := url.PathEscape(of.org.Name)
	return secret.New("otpauth://totp/" + name + ":" + sampleAddress + "?" + url.Values{"secret": {sampleKey}, "issuer": {of.org.Name}}.Encode())
}

// sampleAdvice is what the rules say of a password that many people have.
func sampleAdvice(locale string) fault.Advice {
	assessed, err := (password.Policy{}).Assess(secret.New("passwordpassword1"), password.Known{}, nil)
	if err == nil {
		err = assessed.Refused(locale)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Advice
	}
	return nil
}

// signIn writes a step as the sign-in page writes it.
func (of staged) signIn(view flow.View) func(w http.ResponseWriter, r *http.Request) {
	view.Org, view.Env, view.App = of.org, tenant.Default, of.app
	return func(w http.ResponseWriter, r *http.Request) {
		(&SignIn{BaseURL: of.base, Now: func() time.Time { return of.now }}).write(w, r, http.StatusOK, signInPage{view: view, lang: of.lang})
	}
}

// step is a sample of the sign-in page. What changes is told apart by fill.
func step(name string, view flow.View, fill ...func(of staged, v *flow.View)) sample {
	return sample{name, "sign-in", func(of staged, w http.ResponseWriter, r *http.Request) {
		view := view
		for _, change := range fill {
			change(of, &view)
		}
		of.signIn(view)(w, r)
	}}
}

func typed(_ staged, v *flow.View) { v.Address = sampleAddress }

// known is a person whose password was right: from there on the page does not
// show the whole address.
func known(_ staged, v *flow.View) { v.Address = secret.MaskEmail(sampleAddress) }

// renews is a person who has proven all and sets another password.
func renews(of staged, v *flow.View) {
	known(of, v)
	v.Username, v.Hint = sampleAddress, of.hint()
}

// hint is what the page may say of a new password while it is typed.
func (of staged) hint() password.Hint {
	return password.Hint{Least: 15, Words: []string{"sam", "example", strings.ToLower(of.org.Name)}}
}

func waits(after time.Duration) func(of staged, v *flow.View) {
	return func(of staged, v *flow.View) { v.Until = of.now.Add(after) }
}

func sendsIn(after time.Duration) func(of staged, v *flow.View) {
	return func(of staged, v *flow.View) { v.SendAt = of.now.Add(after) }
}

func enrols(of staged, v *flow.View) {
	v.Enrolment = flow.Enrolment{URI: of.sampleURI(), Secret: secret.New(sampleKey)}
}

func signInSamples() []sample {
	first := []flow.Step{flow.StepLink, flow.StepForgot}
	links := []flow.Step{flow.StepPassword}
	recovers := []flow.Step{flow.StepRecovery, flow.StepAddress}
	return []sample{
		step("address", flow.View{Step: flow.StepAddress}),
		step("password", flow.View{Step: flow.StepPassword, Others: first}),
		step("password-wrong", flow.View{Step: flow.StepPassword, Said: flow.Wrong, Others: first}, typed),
		step("password-wait", flow.View{Step: flow.StepPassword, Said: flow.Paused, Others: first}, typed, waits(3*time.Minute)),
		step("password-off", flow.View{Step: flow.StepPassword, Said: flow.Off, Others: first}, typed),
		step("password-changed", flow.View{Step: flow.StepPassword, Said: flow.Changed, Others: first}, typed),
		step("link", flow.View{Step: flow.StepLink, Others: links}),
		step("link-sent", flow.View{Step: flow.StepLinkSent, Others: links}, typed),
		step("link-elsewhere", flow.View{Step: flow.StepLinkSent, Elsewhere: true, Others: links}, typed),
		step("forgot", flow.View{Step: flow.StepForgot, Others: links}, typed),
		step("forgot-sent", flow.View{Step: flow.StepForgotSent, Others: links}, typed),
		step("renew", flow.View{Step: flow.StepRenew}, renews),
		step("renew-weak", flow.View{Step: flow.StepRenew, Said: flow.Weak}, renews, func(of staged, v *flow.View) { v.Advice = sampleAdvice(of.lang) }),
		step("code", flow.View{Step: flow.StepCode, Apps: true, Others: recovers}, known),
		step("code-wrong", flow.View{Step: flow.StepCode, Apps: true, Said: flow.WrongCode, Others: recovers}, known),
		step("code-wait", flow.View{Step: flow.StepCode, Apps: true, Said: flow.Paused, Others: recovers}, known, waits(time.Minute)),
		step("code-to-send", flow.View{Step: flow.StepCode, Phone: samplePhone, Others: recovers}, known),
		step("code-sent", flow.View{Step: flow.StepCode, Phone: samplePhone, Sent: true, Said: flow.Sent, Others: recovers}, known, sendsIn(30*time.Second)),
		step("code-either", flow.View{Step: flow.StepCode, Apps: true, Phone: samplePhone, Others: recovers}, known),
		step("recovery", flow.View{Step: flow.StepRecovery, Others: []flow.Step{flow.StepCode}}, known),
		step("recovery-wrong", flow.View{Step: flow.StepRecovery, Said: flow.WrongCode, Others: []flow.Step{flow.StepCode}}, known),
		step("enrol-app", flow.View{Step: flow.StepEnrolApp, Others: []flow.Step{flow.StepEnrolPhone}}, known, enrols),
		step("enrol-app-again", flow.View{Step: flow.StepEnrolApp, Again: true, Said: flow.WrongCode, Others: []flow.Step{flow.StepEnrolPhone}}, known, enrols),
		step("enrol-phone", flow.View{Step: flow.StepEnrolPhone, Others: []flow.Step{flow.StepEnrolApp}}, known),
		step("enrol-phone-wrong", flow.View{Step: flow.StepEnrolPhone, Said: flow.NoNumber, Others: []flow.Step{flow.StepEnrolApp}}, known),
		step("enrol-sent", flow.View{Step: flow.StepEnrolSent, Others: []flow.Step{flow.StepEnrolPhone, flow.StepEnrolApp}}, known),
		step("codes", flow.View{Step: flow.StepCodes, Recovery: sampleCodes}, known),
		step("codes-not-saved", flow.View{Step: flow.StepCodes, Recovery: sampleCodes, Said: flow.NotSaved}, known),
		step("consent", flow.View{Step: flow.StepConsent, Scopes: sampleScopes}, known),
		step("finished", flow.View{Step: flow.StepFinished}),
	}
}
