package link

import (
	"cmp"
	"context"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Connection is an organization's policy for login by link in one
// environment. It is there from the start, inactive.
type Connection struct {
	ID        string
	Tenant    tenant.ID
	Active    bool
	MayCreate bool   // following a link makes a user of an address without one
	Delivery  string // tenant.DeliverWorker or DeliverCaller
	Template  string // id of the mail's template; empty for the active one
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ConnectionChange is what a caller says about a connection; nil leaves it.
type ConnectionChange struct {
	Active    *bool
	MayCreate *bool
	Delivery  *string
	Template  *string
}

// ConnectionStore keeps connections.
type ConnectionStore interface {
	// LinkConnection returns the connection, inactive when nobody has said
	// anything about it yet; tenant.ErrNotFound when the organization is gone.
	LinkConnection(ctx context.Context, t tenant.ID) (Connection, error)
	// UpdateLinkConnection changes what is set in one statement and returns
	// the whole.
	UpdateLinkConnection(ctx context.Context, t tenant.ID, change ConnectionChange, now time.Time) (Connection, error)
}

// Users find users.
type Users interface {
	Find(ctx context.Context, t tenant.ID, key string) (user.User, error)
}

// Challenges is the rules of logins by link.
type Challenges struct {
	Store ConnectionStore
	Users Users
	Links *Service
	Now   func() time.Time
	// Templates are where the connection's template is.
	Templates *template.Service
}

// ErrInactive answers where logins by link are not switched on.
var ErrInactive = fault.New(fault.NotFound, "not_found", "the magic link connection of this organization is not active; activate it with PUT magic-link-connection active=true")

// Connection returns the policy.
func (s *Challenges) Connection(ctx context.Context, t tenant.ID) (Connection, error) {
	return s.Store.LinkConnection(ctx, t)
}

// Update changes the policy.
func (s *Challenges) Update(ctx context.Context, t tenant.ID, change ConnectionChange) (Connection, error) {
	if d := change.Delivery; d != nil && *d != tenant.DeliverWorker && *d != tenant.DeliverCaller {
		return Connection{}, fault.New(fault.Invalid, "invalid_parameter", "delivery must be worker or caller")
	}
	if change.Template != nil {
		if err := s.Templates.Check(ctx, t, event.TemplateMagicLink, "sign_in_template_id", *change.Template); err != nil {
			return Connection{}, err
		}
	}
	return s.Store.UpdateLinkConnection(ctx, t, change, s.Now().Truncate(time.Millisecond))
}

// Asked is a link that was asked for to log in with.
type Asked struct {
	Issued
	Email     string
	MayCreate bool
}

// Caller is who asks, and the organization that it is for: an API key, or a
// person on a page of ours.
type Caller struct {
	Key    apikey.Key
	Tenant tenant.ID
	Org    tenant.Organization
	By     activity.By
	// App is the id of the app that a browser signs in to, empty for the call
	// of an API key, and RequestID the public name of that browser's flow.
	App       string
	RequestID string
	// Device is what that browser is known by, to whomever.
	Device secret.Text
	// Flow is the key of that flow, which links are bound to.
	Flow string
}

// Browser reports whether a person asks on a page of ours.
func (c Caller) Browser() bool { return c.App != "" }

// ClientID is for whom a login is.
func (c Caller) ClientID() string { return cmp.Or(c.App, c.Key.ID) }

// Challenge sends a link to log in with. Nobody learns from its answer
// whether the address has a user.
func (s *Challenges) Challenge(ctx context.Context, c Caller, email, redirectURI string) (Asked, error) {
	key, t, org := c.Key, c.Tenant, c.Org
	connection, err := s.Store.LinkConnection(ctx, t)
	if err != nil {
		return Asked{}, err
	}
	if !connection.Active {
		return Asked{}, ErrInactive
	}
	address, err := user.ParseAddress(email)
	if err != nil {
		return Asked{}, err
	}
	if err := tenant.CheckRedirect(t.Env, append(key.RedirectURIs, org.RedirectURIs...), redirectURI); err != nil {
		return Asked{}, err
	}
	byCaller := connection.Delivery == tenant.DeliverCaller
	if byCaller && !key.Has(apikey.CodesRead) {
		return Asked{}, fault.New(fault.Forbidden, "insufficient_scope", "the connection says delivery=caller, so the answer would hold the link; that needs the scope codes:read")
	}
	n := New{
		Kind: event.KindMagicLink, RequestKind: "magic-link-challenge", Tenant: t, Org: org, Email: address, MayCreate: connection.MayCreate,
		Purpose: Login, Template: event.TemplateMagicLink, Words: connection.Template, RedirectURI: redirectURI, ClientID: key.ID, ByCaller: byCaller, Life: LoginLife, TraceID: c.By.TraceID,
	}
	issued, err := s.issue(ctx, n)
	return Asked{Issued: issued, Email: address.Written, MayCreate: connection.MayCreate}, err
}

// SignIn mails a link to sign in with to a person on our page: it belongs to
// the flow of the caller and leads nowhere else. Nobody learns from it whether
// the address has a user. It returns ErrInactive, ErrMails, and a fault of kind
// Malformed for what is no address.
func (s *Challenges) SignIn(ctx context.Context, c Caller, email string) error {
	connection, err := s.Store.LinkConnection(ctx, c.Tenant)
	if err != nil {
		return err
	}
	if !connection.Active {
		return ErrInactive
	}
	address, err := user.ParseAddress(email)
	if err != nil {
		return err
	}
	_, err = s.issue(ctx, New{
		Kind: event.KindMagicLink, RequestKind: "magic-link-challenge", Tenant: c.Tenant, Org: c.Org, Email: address, MayCreate: connection.MayCreate,
		Purpose: Login, Template: event.TemplateMagicLink, Words: connection.Template, Flow: c.Flow, ClientID: c.ClientID(), Life: LoginLife, TraceID: c.By.TraceID,
	})
	return err
}

// issue makes a link for whoever has its address.
func (s *Challenges) issue(ctx context.Context, n New) (Issued, error) {
	switch u, err := s.Users.Find(ctx, n.Tenant, n.Email.Written); {
	case err == nil && u.Active:
		n.User = &u
	case err == nil: // to be deactivated is to have no account
		n.MayCreate = false
	case fault.KindOf(err) != fault.NotFound:
		return Issued{}, err
	}
	return s.Links.Issue(ctx, n)
}
