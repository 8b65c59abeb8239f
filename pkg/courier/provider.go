package courier

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/event"
)

// Provider hands one message to whoever delivers it.
//
// Its error is an instruction of pkg/fault around a [*Failure]: Permanent, no
// try can help; RetryAfter, certainly not sent and welcome later; Ambiguous,
// nobody knows; without an instruction: certainly not sent, try again by the
// retry table. Send returns when ctx ends.
type Provider interface {
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Finder looks up what a provider has taken, which settles what a lost answer
// or a lost worker leaves open. A provider that keeps such a list implements
// it beside Provider.
type Finder interface {
	// Find returns the provider's id of a message with the address and the
	// text of m that it took since then, and an empty one when it has none.
	// Its error means that nobody knows. It sends nothing.
	Find(ctx context.Context, m Message, since time.Time) (providerID string, err error)
}

// Message is what a provider delivers.
type Message struct {
	DeliveryID string
	To         string // a number in E.164 form, or an e-mail address
	Subject    string // of mails, as HTML is
	Text       string
	HTML       string
	// Stock marks a message in our words where the organization's own could
	// not be used. It is nothing to a provider.
	Stock bool
	// ValidFor is how long the provider may still deliver it, at least a second.
	ValidFor time.Duration
	// Server is whom a mail has to be sent by, nil for the worker's own.
	Server *event.MailServer
}

// Receipt is a provider's word that it has the message.
type Receipt struct {
	ProviderID string // the provider's own id of the message
	// Delivered says that the message arrived, not only that it was taken.
	Delivered bool
	// Sealed is an event.Message for the inbox, from the sandbox only.
	Sealed []byte
}

// Failure is why a provider did not take a message.
type Failure struct {
	// Reason is a stable snake_case word, with the provider's own code behind
	// a colon where it gave one: refused:21211.
	Reason string
	// Cause is for the log. It must not hold the address, the text or a
	// sentence of the provider, which may repeat either.
	Cause error
}

// Error joins the reason and the cause.
func (f *Failure) Error() string {
	if f.Cause == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Cause.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (f *Failure) Unwrap() error { return f.Cause }

// Reasons that every provider shares.
const (
	ReasonCredentials = "credentials"       // the provider does not know us: every message fails
	ReasonUnreachable = "unreachable"       // no connection was made
	ReasonNoAnswer    = "no_answer"         // the connection or our patience ended first
	ReasonUnreadable  = "unreadable_answer" // it said yes, but not what it made
	ReasonServer      = "server_error"      // with the status behind a colon
	ReasonRateLimited = "rate_limited"      // too many messages, by the provider's count
	ReasonRedirected  = "redirected"        // the address is not the provider's API
	ReasonTLS         = "tls"               // the connection cannot be trusted: every message fails
	ReasonForbidden   = "forbidden_address" // the provider is where we must not connect to: every message fails
	ReasonRefused     = "refused"           // with the provider's code behind a colon
	ReasonUnsure      = "unsure"            // the provider's list does not tell
)

// reasonOf finds the word for an error of a provider.
func reasonOf(err error) string {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Reason
	}
	return "unexpected"
}
