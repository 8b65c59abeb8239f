// Package event is the contract on the bus: subjects, payloads, versions.
//
// request -> challenge -> EVENT -> worker -> provider
//
// The api publishes [Requested]; a worker consumes it and answers with
// [Outcome]. What others may hear of is a [Public] event. Payloads are JSON, versioned in the subject, pinned by golden
// files. They never hold a readable code, link, number or address: what the
// worker needs is sealed (pkg/seal, purpose [SealContent], the delivery id as
// associated data).
//
// Standard library only: whoever speaks to the bus can import this package
// and nothing else comes with it.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Prefix starts every subject of this version of the contract. A breaking
// change is a new version with streams of its own beside this one.
const Prefix = "countersign.v1"

// Channels and environments, as they stand in subjects.
const (
	ChannelSMS   = "sms"
	ChannelEmail = "email"
	// ChannelOwnEmail is for mails of organizations with a mail server of their
	// own: each organization is a lane, which no other waits in.
	ChannelOwnEmail = "email-own"

	EnvSandbox = "sandbox"
	EnvDefault = "default"
)

// Purposes under which content is sealed for and by the workers.
const (
	SealContent = "delivery.content" // Requested.Sealed: what the worker opens
	SealMessage = "delivery.message" // Outcome.Message: what the sandbox inbox shows
	SealServer  = "delivery.server"  // Requested.Server: whom the worker sends by
)

// Kind is what a message is for. It is the first word of its subject, so that
// codes, links and news wait in lines of their own.
type Kind string

// The kinds.
const (
	KindChallenge Kind = "challenge" // a code: dead in minutes, its user is waiting
	KindPassword  Kind = "password"  // a link to choose a password
	KindMagicLink Kind = "magiclink" // a link to sign in with
	KindNotice    Kind = "notice"    // news about the account
)

// Requested asks a worker to deliver one message.
type Requested struct {
	// Kind may be left out by challenges.
	Kind       Kind   `json:"kind,omitempty"`
	DeliveryID string `json:"delivery_id"`
	// N counts deliberate publications of the same delivery, from 1.
	N int `json:"n"`
	// RequestID is the challenge's public id; TraceID is the id of the HTTP
	// request that caused it and is carried into every log line on the way.
	RequestID string `json:"request_id"`
	TraceID   string `json:"trace_id"`
	Channel   string `json:"channel"`
	Env       string `json:"env"`
	OrgID     string `json:"org_id"`
	// Times are unix milliseconds. After ExpiresAt nothing may be sent.
	CreatedAt int64 `json:"created_at"`
	ExpiresAt int64 `json:"expires_at"`
	// Sealed holds a sealed [SMS] or [Mail] (JSON), base64 in the payload.
	Sealed []byte `json:"sealed"`
	// Server holds a sealed [MailServer] (JSON), on ChannelOwnEmail only.
	Server []byte `json:"server,omitempty"`
}

// SMS is the content of a text message before it is sealed.
type SMS struct {
	To     string `json:"to"` // E.164
	Code   string `json:"code"`
	Brand  string `json:"brand"`  // the organization's name
	Host   string `json:"host"`   // of the login page, for the last line @host #code
	Locale string `json:"locale"` // BCP 47, the user's or the organization's
	// Words are the organization's own in place of the worker's.
	Words *Words `json:"words,omitempty"`
}

// Message is what a sandbox worker hands back for the inbox, before it is
// sealed.
type Message struct {
	To      string `json:"to"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	HTML    string `json:"html,omitempty"`
}

// Result is how one delivery, or one try of it, ended.
type Result string

// The results. Accepted and Unknown are not final: a receipt of the provider
// may still follow.
const (
	Accepted    Result = "accepted"    // the provider took it
	Delivered   Result = "delivered"   // the provider says it arrived
	Undelivered Result = "undelivered" // the provider took it and gave up
	Failed      Result = "failed"      // refused for good
	Expired     Result = "expired"     // its time ran out before it could be sent
	Superseded  Result = "superseded"  // replaced, used or cancelled before it was sent
	Retrying    Result = "retrying"    // one try failed, another follows
	Deferred    Result = "deferred"    // not sent, and not to be tried before Outcome.RetryAt: who asked asks again then
	Unknown     Result = "unknown"     // nobody knows; never sent again
)

// Outcome is a worker's (or a receipt's) report about one delivery.
type Outcome struct {
	DeliveryID string `json:"delivery_id"`
	RequestID  string `json:"request_id"`
	TraceID    string `json:"trace_id"`
	OrgID      string `json:"org_id"`
	Env        string `json:"env"`
	Result     Result `json:"result"`
	Attempt    int    `json:"attempt"`
	Provider   string `json:"provider,omitempty"`
	ProviderID string `json:"provider_id,omitempty"`
	// Reason is a stable snake_case word, with the provider's own code behind
	// a colon where it gave one (refused:21211). Never free text: a
	// provider's sentence may repeat the number.
	Reason string `json:"reason,omitempty"`
	At     int64  `json:"at"` // unix milliseconds
	// RetryAt is, with Deferred, when to ask again, in unix milliseconds.
	RetryAt int64 `json:"retry_at,omitempty"`
	// Message is a sealed [Message], from sandbox workers only.
	Message []byte `json:"message,omitempty"`
}

// ChallengeSubject is where a code is requested.
func ChallengeSubject(channel, env, orgID string) string {
	return RequestSubject(KindChallenge, channel, env, orgID)
}

// RequestSubject is where a message of a kind is requested:
// countersign.v1.<kind>.requested.<channel>.<env>.<org_id>.
func RequestSubject(kind Kind, channel, env, orgID string) string {
	return strings.Join([]string{Prefix, string(kind), "requested", channel, env, orgID}, ".")
}

// Subject is where this message is requested.
func (r Requested) Subject() string {
	return RequestSubject(r.kind(), r.Channel, r.Env, r.OrgID)
}

// IsChallenge reports whether the message is a code.
func (r Requested) IsChallenge() bool { return r.kind() == KindChallenge }

func (r Requested) kind() Kind {
	if r.Kind == "" {
		return KindChallenge
	}
	return r.Kind
}

// OutcomeSubject is where a result is reported: countersign.v1.delivery.<result>.
func OutcomeSubject(r Result) string { return Prefix + ".delivery." + string(r) }

// DeadSubject is where a message ends that no try could handle:
// countersign.v1.dead.<channel>.
func DeadSubject(channel string) string { return Prefix + ".dead." + channel }

// MessageID is the id by which the bus drops repeats of one publication. N
// rises before every deliberate re-publication; a network retry keeps it.
func (r Requested) MessageID() string { return fmt.Sprintf("%s.%d", r.DeliveryID, r.N) }

// Expires returns ExpiresAt as a time.
func (r Requested) Expires() time.Time { return time.UnixMilli(r.ExpiresAt) }

// MessageID of an outcome: one report per delivery, attempt and result.
func (o Outcome) MessageID() string {
	return fmt.Sprintf("%s.%d.%s", o.DeliveryID, o.Attempt, o.Result)
}

// Validate says what is missing. A payload that does not validate is parked,
// not retried.
func (r Requested) Validate() error {
	switch {
	case r.DeliveryID == "":
		return errors.New("delivery_id is missing")
	case r.N < 1:
		return errors.New("n starts at 1")
	case !r.kind().known():
		return errors.New("kind is not known")
	case r.RequestID == "":
		return errors.New("request_id is missing")
	case !token(r.Channel) || !token(r.OrgID):
		return errors.New("channel or org_id is missing or not one token of a subject")
	case r.Env != EnvSandbox && r.Env != EnvDefault:
		return errors.New("env is neither sandbox nor default")
	case r.ExpiresAt <= r.CreatedAt:
		return errors.New("expires_at is not after created_at")
	case len(r.Sealed) == 0:
		return errors.New("sealed is missing")
	case (r.Channel == ChannelOwnEmail) != (len(r.Server) > 0):
		return errors.New("server belongs to email-own, and email-own needs it")
	}
	return nil
}

// token reports whether s can be one part of a subject. A dot or a wildcard
// would let a payload choose where it goes.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '.' || r == '*' || r == '>'
	})
}

// Validate says what is missing.
func (o Outcome) Validate() error {
	switch {
	case o.DeliveryID == "":
		return errors.New("delivery_id is missing")
	case !o.Result.known():
		return errors.New("result is not known")
	case o.At <= 0:
		return errors.New("at is missing")
	case (o.Result == Deferred) != (o.RetryAt > 0):
		return errors.New("retry_at belongs to deferred, and deferred needs it")
	}
	return nil
}

func (k Kind) known() bool {
	switch k {
	case KindChallenge, KindPassword, KindMagicLink, KindNotice:
		return true
	}
	return false
}

func (r Result) known() bool {
	switch r {
	case Accepted, Delivered, Undelivered, Failed, Expired, Superseded, Retrying, Deferred, Unknown:
		return true
	}
	return false
}

// Decode reads a payload of the bus and validates it.
func Decode[T interface{ Validate() error }](data []byte) (T, error) {
	var payload T
	if err := json.Unmarshal(data, &payload); err != nil {
		return payload, fmt.Errorf("decode payload: %w", err)
	}
	return payload, payload.Validate()
}
