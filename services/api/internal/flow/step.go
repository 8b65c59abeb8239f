package flow

import (
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// Step is what the page of a flow shows. Every form leads back to the page,
// which shows the step that the flow has come to: going back, a second tab and
// a second click all find it so. A form for a step that the flow is not at
// changes nothing.
type Step string

// The steps, in the order in which a person meets them.
const (
	StepAddress    Step = "address"     // whose address: the app named nobody and no organization
	StepPassword   Step = "password"    // address and password
	StepLink       Step = "link"        // address for a link to sign in with
	StepLinkSent   Step = "link_sent"   // open the link; or the code that another browser has shown
	StepForgot     Step = "forgot"      // address for a link to set another password
	StepForgotSent Step = "forgot_sent" // open the link
	StepRenew      Step = "renew"       // another password in place of one that must change
	StepCode       Step = "code"        // a code of a second factor
	StepRecovery   Step = "recovery"    // a recovery code
	StepEnrolApp   Step = "enrol_app"   // QR code, secret, first code
	StepEnrolPhone Step = "enrol_phone" // number of a phone
	StepEnrolSent  Step = "enrol_sent"  // first code that was sent to it
	StepCodes      Step = "codes"       // five recovery codes, to be saved
	StepConsent    Step = "consent"     // may the app have what it asks for
	StepLeave      Step = "leave"       // nothing is left to do: the page leads on at once
	StepFinished   Step = "finished"    // the browser was led on before; it may go again
)

// View is what the page of a flow shows. Nothing in it opens anything, but for
// Enrolment and Recovery, which belong to whoever has come so far.
type View struct {
	Step   Step
	Org    tenant.Organization
	Env    string
	App    string // its name; empty for the account page
	Back   string // where it leads, for the content policy of the page
	Locale string
	// Others are the steps that the person may turn to from here, the best one
	// first (see Turn).
	Others  []Step
	Address string // what was typed, for the form; masked from StepCode on
	Said    Said
	Until   time.Time // when the next try may be made; zero for now
	// Of StepCode.
	Apps   bool      // an authenticator app may make the code
	Phone  string    // masked; empty where no code can be sent
	Sent   bool      // a code is on its way or has arrived
	SendAt time.Time // when another one may be asked for; zero for now
	// Elsewhere says, of StepLinkSent, that the link was opened in another
	// browser, which shows a code to type here.
	Elsewhere bool
	// Again says, of the enrolment, that a recovery code has brought the person
	// here. Of it, URI and Secret are an app's; Phone is masked.
	Again     bool
	Enrolment Enrolment
	// Recovery are the codes of StepCodes, a line each.
	Recovery []string
	// Advice says what is wrong with the password of the last try of StepRenew,
	// in codes that Advise speaks; nil for nothing.
	Advice fault.Advice
	// Username is the whole address, for a manager of passwords, and Hint what may
	// be said of a new password before it is sent. Both are of StepRenew, where all
	// that the user has is proven.
	Username string
	Hint     password.Hint
	// Scopes are what the app of StepConsent asks for.
	Scopes []string
	// Outcome is where the browser goes, of StepLeave.
	Outcome Outcome
}

// Enrolment is a factor that waits for its first code.
type Enrolment struct {
	URI    secret.Text // otpauth, for the QR code
	Secret secret.Text // base 32, to type
	Phone  string      // masked
}
