// Package mailserver owns the mail servers of organizations: what one may be,
// and who may change what of it. An organization that has one and has switched
// it on sends its mails of the default environment through it.
//
// The edge httpapi calls [Connections]. The relay asks the store for the server
// at each publication of a mail, so that what is on its way follows a change;
// services/email connects to it.
package mailserver

import (
	"context"
	"strconv"
	"strings"
	"time"

	"countersign.dev/pkg/dkim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// How a connection is protected. Nothing goes in plain text.
const (
	StartTLS = "starttls"
	TLS      = "tls"
)

// Connection is an organization's mail server in one environment. It does not
// exist until something is said about it.
type Connection struct {
	ID     string
	Tenant tenant.ID
	// Active sends mails through it; otherwise they go through the
	// installation's server. That of the sandbox is kept and never used.
	Active   bool
	Host     string
	Port     int
	Security string // StartTLS or TLS
	User     string // empty: nobody signs in
	Password secret.Text
	From     string // address, its domain in ASCII
	FromName string
	Signing  Signing

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Signing is what mails are signed with (DKIM). Without a domain they are not.
type Signing struct {
	Domain   string
	Selector string
	Key      secret.Text // PEM
}

// Record is the DNS record that receivers check signatures with; both are empty
// when mails are not signed.
func (s Signing) Record() (name, text string) {
	key, err := dkim.Parse(s.Key)
	if s.Domain == "" || err != nil {
		return "", ""
	}
	return dkim.RecordName(s.Domain, s.Selector), dkim.Record(key)
}

// Server is the connection as workers get it.
func (c Connection) Server() event.MailServer {
	server := event.MailServer{
		OrgID: c.Tenant.Org, Host: c.Host, Port: c.Port, TLS: event.TLSStart, User: c.User, Password: event.Hidden(c.Password.Reveal()),
		From: c.From, FromName: c.FromName,
	}
	if c.Security == TLS {
		server.TLS = event.TLSImplicit
	}
	if c.Signing.Domain != "" {
		server.DKIM = &event.DKIM{Domain: c.Signing.Domain, Selector: c.Signing.Selector, Key: event.Hidden(c.Signing.Key.Reveal())}
	}
	return server
}

// Store keeps connections, with their secrets sealed.
type Store interface {
	// SMTPConnection returns ErrNone when there is none.
	SMTPConnection(ctx context.Context, t tenant.ID) (Connection, error)
	// PutSMTPConnection lets change edit the connection, or the fresh one when
	// there is none, writes it and the entry, and makes mails that were put off
	// due, in one transaction. It returns tenant.ErrNotFound when the
	// organization is gone, or what change returns.
	PutSMTPConnection(ctx context.Context, fresh Connection, change func(*Connection) (outbox.Entry, error)) (Connection, error)
	// RemoveSMTPConnection removes it, with the same done, and returns it, or
	// ErrNone.
	RemoveSMTPConnection(ctx context.Context, t tenant.ID, told outbox.Entry) (Connection, error)
}

// ErrNone answers where there is no connection.
var ErrNone = fault.New(fault.NotFound, "not_found", "the organization has no mail server of its own; set one with PUT smtp-connection")

// Connections is the rules of connections.
type Connections struct {
	Store  Store
	Outbox *outbox.Composer
	Relay  outbox.Waker
	Now    func() time.Time
}

// Get returns the connection, or ErrNone.
func (s *Connections) Get(ctx context.Context, t tenant.ID) (Connection, error) {
	return s.Store.SMTPConnection(ctx, t)
}

// Put makes the connection or changes what is said of it. It returns a fault
// of kind Invalid that names the parameter.
func (s *Connections) Put(ctx context.Context, t tenant.ID, by activity.By, in Change) (Connection, error) {
	if err := in.clean(); err != nil {
		return Connection{}, err
	}
	made, err := in.newKey()
	if err != nil {
		return Connection{}, err
	}
	now := s.Now().Truncate(time.Millisecond)
	fresh := Connection{ID: id.UUID(), Tenant: t, Security: StartTLS, CreatedAt: now}
	c, err := s.Store.PutSMTPConnection(ctx, fresh, func(c *Connection) (outbox.Entry, error) {
		before := c.Signing.Key.Reveal()
		c.UpdatedAt = now
		if err := in.apply(c, made); err != nil {
			return outbox.Entry{}, err
		}
		data := map[string]string{"active": strconv.FormatBool(c.Active)}
		if key := c.Signing.Key.Reveal(); !in.Password.IsZero() || key != "" && key != before {
			data["secrets"] = "new"
		}
		return s.Outbox.Event(activity.Record{Tenant: t, Action: event.TypeServerChanged, By: by, Data: data}), nil
	})
	if err == nil {
		s.Relay.Wake()
	}
	return c, err
}

// Remove takes the connection away, with its secrets. What has not been sent
// yet goes through the installation's server when it is published next.
func (s *Connections) Remove(ctx context.Context, t tenant.ID, by activity.By) (Connection, error) {
	c, err := s.Store.RemoveSMTPConnection(ctx, t, s.Outbox.Event(activity.Record{Tenant: t, Action: event.TypeServerRemoved, By: by}))
	if err == nil {
		s.Relay.Wake()
	}
	return c, err
}

// newKey makes a key when one may be needed: outside of the transaction, which
// others wait for.
func (in Change) newKey() (secret.Text, error) {
	named := in.DKIMDomain != nil && *in.DKIMDomain != "" || in.DKIMSelector != nil && *in.DKIMSelector != ""
	if !named || !in.DKIMKey.IsZero() {
		return secret.Text{}, nil
	}
	return dkim.NewKey(dkim.RSA)
}

func lower(text *string) {
	if text != nil {
		*text = strings.ToLower(strings.TrimSpace(*text))
	}
}
