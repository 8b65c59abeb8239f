package event

import (
	"fmt"
	"log/slog"
)

// MailServer is an organization's own mail server before it is sealed. It goes
// with each publication of a mail, as it is known then, since workers have no
// database.
type MailServer struct {
	// OrgID is whose server it is: a worker sends no other organization's mail
	// by it.
	OrgID    string `json:"org_id"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	TLS      string `json:"tls"` // TLSStart or TLSImplicit
	User     string `json:"user,omitempty"`
	Password Hidden `json:"password,omitempty"`
	From     string `json:"from"`
	FromName string `json:"from_name,omitempty"`
	DKIM     *DKIM  `json:"dkim,omitempty"`
}

// How a connection to an own mail server is protected; there is no third.
const (
	TLSStart    = "starttls" // RFC 3207
	TLSImplicit = "implicit" // RFC 8314 3.3
)

// DKIM is what mails are signed with (RFC 6376).
type DKIM struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	Key      Hidden `json:"key"` // PEM
}

// Hidden is a secret of a payload: it is encoded as it is, to be sealed, and
// prints as ***.
type Hidden string

const redacted = "***"

// String implements fmt.Stringer and hides the value.
func (Hidden) String() string { return redacted }

// GoString hides the value from %#v.
func (Hidden) GoString() string { return redacted }

// Format hides the value from every fmt verb.
func (Hidden) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer and hides the value.
func (Hidden) LogValue() slog.Value { return slog.StringValue(redacted) }
