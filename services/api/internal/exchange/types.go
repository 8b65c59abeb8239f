package exchange

import (
	"time"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/tenant"
)

// Asked is what a request id is asked for with. All of it is as it came.
type Asked struct {
	ClientID     string
	RedirectURI  string
	Scope        string // names with blanks between them
	ResponseType string // code
	ResponseMode string // fragment, unless query is asked for
	State        string
	Nonce        string
	Challenge    string // of PKCE; may be empty
	Method       string // of the challenge: S256
	Locale       string
}

// View is what anybody with a request id may know of it.
type View struct {
	ClientID     string
	App          string // its name
	Org          tenant.Organization
	Env          string
	Methods      []Method // what a login may begin with
	Passwordless bool
	Locale       string
	ExpiresAt    time.Time
}

// Who is the user that a call names; one of them is set.
type Who struct {
	Address string // e-mail address
	Other   string // a number or a name, by which nobody is found
	Sub     string // the masked id that the request was given for the user
	Medium  string // of the list of methods
}

// Configured is a method that may be used.
type Configured struct {
	Method  Method
	Mediums []Medium
}

// Medium is what a method is used with.
type Medium struct {
	ID   string // for this request alone
	Text string // tells nothing that is not known to whoever gets it
}

// Initiation starts a method.
type Initiation struct {
	RequestID secret.Text
	Usage     Usage
	Method    Method
	Who       Who
	TrackID   secret.Text // of the login that goes on; may be left out
}

// Step is the answer to a step: what the next one needs.
type Step struct {
	ExchangeID secret.Text
	ExpiresAt  time.Time
	StatusID   secret.Text
	Sub        string
	MediumText string // of a start
	// After a proof: what else the login needs, and the id under which it goes
	// on or ends.
	Needs   Needs
	TrackID secret.Text
}

// Needs is what a login still needs.
type Needs string

// What it may be.
const (
	Nothing      Needs = ""
	SecondFactor Needs = "MFA"         // a proof with MULTIFACTOR_AUTHENTICATION
	NewFactor    Needs = "REENROLMENT" // of a new factor, in place of what a recovery code has stopped
)

// Verification is a proof.
type Verification struct {
	ExchangeID secret.Text
	Method     Method
	Code       secret.Text // or password
	// Compared where they are sent.
	RequestID secret.Text
	Sub       string
}

// Finish ends a login.
type Finish struct {
	RequestID secret.Text
	StatusID  secret.Text
	// Compared where they are sent: whose login it is the status id says.
	Method Method
	Sub    string
}

// Login is a login with a password in one step.
type Login struct {
	RequestID secret.Text
	Who       Who
	Password  secret.Text
}

// Precheck is where a login stands.
type Precheck struct {
	RequestID string // its public name
	ClientID  string
	Sub       string
	Needs     Needs
	Methods   []Configured
}

// Enrolment starts an enrolment.
type Enrolment struct {
	Method Method
	Phone  string
	Name   string
}

// Enrolling is a started enrolment.
type Enrolling struct {
	Step
	Issued factor.Issued // with the secret of an app, shown this once
}

// Enrolled is a confirmed enrolment.
type Enrolled struct {
	Step
	Codes []factor.RecoveryCode // new recovery codes, shown this once; may be none
}

// Own is a method that a user has set up.
type Own struct {
	Method    Method
	Medium    string // id of the factor; empty for what there is one of
	Name      string
	Text      string // masked
	CreatedAt time.Time
	UsedAt    time.Time // zero for never
	Left      int       // of recovery codes
}
