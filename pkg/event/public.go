package event

import (
	"errors"
	"strings"
	"time"
)

// Public is one event of the contract with the outside: what happened to whom,
// by ids only. It stays on the bus for weeks and may be read again from the
// start; docs/events.md says how, and lists the types.
type Public struct {
	ID     string `json:"id"`
	Type   string `json:"type"`             // noun.verb
	Result string `json:"result,omitempty"` // success or failure
	Env    string `json:"env"`
	OrgID  string `json:"org_id"`
	UserID string `json:"user_id,omitempty"`
	// Actor is who caused it: api_key:<client_id>, user, operator, or system.
	Actor   string `json:"actor,omitempty"`
	TraceID string `json:"trace_id,omitempty"` // of the HTTP request
	At      int64  `json:"at"`                 // when it happened, unix milliseconds
	// Data says more, in stable snake_case words: no secret, no address, no
	// number, nothing that a person typed.
	Data map[string]string `json:"data,omitempty"`
	// Activity is where the record of it stands.
	Activity *Place `json:"activity,omitempty"`
}

// Place is the place of a record in a chain of the activity, and its hash.
type Place struct {
	Chain  int    `json:"chain"`
	Number int64  `json:"number"`
	Hash   string `json:"hash"`
}

// The types of public events. Readers must pass over types they do not know.
// A new one is a constant here, a place in PublicTypes and a row in
// docs/events.md.
const (
	TypeUserCreated     = "user.created"
	TypePasswordCreated = "password.created"
	TypePasswordChanged = "password.changed"
	TypePasswordShut    = "password.disabled"
	TypePasswordForced  = "password.must_change"
	TypePasswordExpires = "password.expiring"
	TypePasswordLeaked  = "password.compromised"
	TypeEmailChanged    = "email.changed"
	TypeMFAFailed       = "mfa.failed"

	TypePasswordsExpire  = "password_expiry.enabled"
	TypePasswordsForever = "password_expiry.disabled"

	TypeEnrolmentStarted = "enrolment.started"
	TypeFactorEnrolled   = "factor.enrolled"
	TypeFactorRenamed    = "factor.renamed"
	TypeFactorDisabled   = "factor.disabled"
	TypeFactorRemoved    = "factor.removed"
	TypeFactorsDisabled  = "factors.disabled"
	TypeFactorsReset     = "factors.reset"
	TypeCodeAccepted     = "code.accepted"
	TypeRecoveryCodes    = "recovery_codes.created"
	TypeRecoveryCodeUsed = "recovery_code.used"
	TypeSprayed          = "breaker.tripped"
	TypeUsersImportBegun = "users.import_begun"
	TypeUsersImported    = "users.imported"
	TypeUsersExported    = "users.exported"
	TypeTemplateChanged  = "template.changed"

	TypeServerChanged = "smtp_connection.changed"
	TypeServerRemoved = "smtp_connection.removed"

	TypeAppCreated = "app.created"
	TypeAppChanged = "app.changed"
	TypeAppRemoved = "app.removed"
	TypeAppSecret  = "app.secret_rotated"

	TypeConsentGiven   = "consent.given"
	TypeConsentRevoked = "consent.revoked"

	TypeSessionEnded  = "session.ended"
	TypeSessionsEnded = "sessions.ended"
)

// PublicTypes lists the types that are published, in the order of the
// contract's page.
func PublicTypes() []string {
	return []string{
		TypeUserCreated, TypePasswordCreated, TypePasswordChanged, TypePasswordShut, TypePasswordForced, TypePasswordExpires, TypePasswordLeaked,
		TypeEmailChanged, TypeMFAFailed,
		TypePasswordsExpire, TypePasswordsForever,
		TypeEnrolmentStarted, TypeFactorEnrolled, TypeFactorRenamed, TypeFactorDisabled, TypeFactorRemoved, TypeFactorsDisabled, TypeFactorsReset,
		TypeCodeAccepted, TypeRecoveryCodes, TypeRecoveryCodeUsed, TypeSprayed,
		TypeUsersImportBegun, TypeUsersImported, TypeUsersExported, TypeTemplateChanged,
		TypeServerChanged, TypeServerRemoved,
		TypeAppCreated, TypeAppChanged, TypeAppRemoved, TypeAppSecret,
		TypeConsentGiven, TypeConsentRevoked,
		TypeSessionEnded, TypeSessionsEnded,
	}
}

// PublicSubject is where an event is published:
// countersign.v1.event.<noun>.<verb>.<env>.<org_id>.
func PublicSubject(typ, env, orgID string) string {
	return strings.Join([]string{Prefix, "event", typ, env, orgID}, ".")
}

// Subject is where this event is published.
func (p Public) Subject() string { return PublicSubject(p.Type, p.Env, p.OrgID) }

// Happened returns At as a time.
func (p Public) Happened() time.Time { return time.UnixMilli(p.At) }

// Validate says what is missing.
func (p Public) Validate() error {
	noun, verb, found := strings.Cut(p.Type, ".")
	switch {
	case p.ID == "":
		return errors.New("id is missing")
	case !found || !word(noun) || !word(verb):
		return errors.New("type is not noun.verb")
	case p.Env != EnvSandbox && p.Env != EnvDefault:
		return errors.New("env is neither sandbox nor default")
	case !token(p.OrgID):
		return errors.New("org_id is missing or not one token of a subject")
	case p.At <= 0:
		return errors.New("at is missing")
	}
	for name := range p.Data {
		if !word(name) {
			return errors.New("data has a name that is not snake_case")
		}
	}
	return nil
}

// word reports whether s is one snake_case word.
func word(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}
