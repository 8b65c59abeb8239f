// Package app owns apps: the OAuth clients of an organization's environment
// (RFC 6749 2).
//
// An app belongs to exactly one environment of one organization, so its id
// tells both: a login for it is one of that environment's users, whatever a
// request says beside it. The secret of a confidential app is shown once and
// stored as a SHA-256 digest of 256 random bits; the guard compares it.
package app

import (
	"regexp"
	"slices"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// Types of apps, as RFC 6749 2.1 names them.
const (
	Public       = "public"       // runs where its user could read a secret
	Confidential = "confidential" // keeps one
)

// Shapes of the tokens that an app gets.
const (
	Standard = "standard" // RFC 9068 access tokens, ES256, issued by the installation
	Gateway  = "gateway"  // the union that the contract's gateway clients read, RS256, issued by the organization
)

// Methods by which users may log in to an app.
const (
	Password = "password"
	TOTP     = "totp"
	SMS      = "sms"
	Email    = "email"
	Recovery = "recovery"
)

// Methods lists all of them.
func Methods() []string { return []string{Email, Password, Recovery, SMS, TOTP} }

// App is an app without its secret.
type App struct {
	ID           string // the client_id
	Tenant       tenant.ID
	Org          string // domain of the organization
	Account      string // domain of the account
	Name         string
	Type         string // Public or Confidential
	SecretDigest []byte // empty for a public one
	// Native apps run on their user's machine: plain HTTP redirects to it take
	// any port (RFC 8252 7.3).
	Native bool
	// RedirectURIs are where codes are sent, LogoutURIs where a browser may go
	// after a logout; both are compared as texts.
	RedirectURIs []string
	LogoutURIs   []string
	// BackchannelURI is where the app hears that a session has ended; empty for
	// nowhere. BackchannelSession says that it needs the session's id, which it
	// always gets.
	BackchannelURI     string
	BackchannelSession bool
	// InitiateURI is where the app begins sign-ins, for people whose sign-in is
	// over; empty where it has not said.
	InitiateURI string
	Origins     []string // pages of these origins may call the token paths
	Methods     []string
	Scopes      []string // what it may ask for
	// FirstParty apps are the organization's own: nobody is asked whether they
	// may have what they ask for.
	FirstParty bool
	Profile    string // Standard or Gateway
	Audience   string // aud of tokens of the gateway profile; empty: the client_id
	IDTokenAlg string // ES256 or RS256
	Active     bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Confidential reports whether the app keeps a secret.
func (a App) Confidential() bool { return a.Type == Confidential }

// Allows reports whether users may log in by a method.
func (a App) Allows(method string) bool { return slices.Contains(a.Methods, method) }

// ErrNotFound answers for apps that never were and apps of others alike.
var ErrNotFound = fault.New(fault.NotFound, "not_found", "not_found")

// idPattern is that of ids of apps. None of them looks like the id of a user
// or of an API key (RFC 9700 4.15).
var idPattern = regexp.MustCompile(`^app_[0-9A-Za-z]{27}$`)

// IsID reports whether text has the form of an app's id.
func IsID(text string) bool { return idPattern.MatchString(text) }

// NewID mints the id of an app.
func NewID() string { return id.Request("app") }
