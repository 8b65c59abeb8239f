package tenant

import (
	"context"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/totp"
)

// How a code reaches its person.
const (
	// DeliverWorker: Countersign sends it; answers never hold a code.
	DeliverWorker = "worker"
	// DeliverCaller: the create answer holds it once, and the caller sends
	// it. The key needs the scope codes:read.
	DeliverCaller = "caller"
)

// Bounds of what a connection may set (security.md part 7).
const (
	defaultPerHour = 200
	defaultPerDay  = 1000
	maxPerHour     = 1_000_000
	maxPerDay      = 10_000_000
)

// Connection is an organization's policy for second factors in one
// environment. It exists from the organization's first moment, inactive.
type Connection struct {
	ID        string
	Tenant    ID
	Active    bool
	Delivery  string
	Countries []string // ISO 3166 alpha-2; what SMS may reach in production
	// SMSPerHour and SMSPerDay bound what the organization can spend.
	SMSPerHour int
	SMSPerDay  int
	// Issuer is what authenticator apps show above the code; empty: the
	// organization's name. App is what new ones are enrolled with.
	Issuer string
	App    totp.Parameters
	// Passwordless lets users sign in by a code alone (of an authenticator app,
	// a text message, a mail, or a recovery code), where the app allows the
	// method. It is off until somebody says so: one short code is all that then
	// stands between an attacker and an account (S17).
	Passwordless bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

func newConnection(tenant ID, now time.Time) Connection {
	return Connection{
		ID: id.UUID(), Tenant: tenant, Delivery: DeliverWorker,
		SMSPerHour: defaultPerHour, SMSPerDay: defaultPerDay, App: totp.Default(), CreatedAt: now, UpdatedAt: now,
	}
}

// ConnectionStore keeps connections.
type ConnectionStore interface {
	// Connection returns ErrNotFound when the organization is gone.
	Connection(ctx context.Context, tenant ID) (Connection, error)
	// UpdateConnection changes what is set in one statement and returns the
	// whole. It returns ErrNotFound when the organization is gone.
	UpdateConnection(ctx context.Context, tenant ID, change ConnectionChange, now time.Time) (Connection, error)
}

// ConnectionChange holds what a caller wants to change; nil leaves it.
type ConnectionChange struct {
	Active       *bool
	Delivery     *string
	Countries    *[]string
	SMSPerHour   *int
	SMSPerDay    *int
	Issuer       *string
	Algorithm    *string
	Digits       *int
	Period       *int
	Passwordless *bool
}

// Connections is the rules of connections.
type Connections struct {
	Store ConnectionStore
	Now   func() time.Time
}

// Get returns the connection.
func (c *Connections) Get(ctx context.Context, tenant ID) (Connection, error) {
	return c.Store.Connection(ctx, tenant)
}

// Update changes the connection. It returns a fault of kind Invalid that
// names the parameter.
func (c *Connections) Update(ctx context.Context, tenant ID, change ConnectionChange) (Connection, error) {
	if change.Delivery != nil && *change.Delivery != DeliverWorker && *change.Delivery != DeliverCaller {
		return Connection{}, fault.New(fault.Invalid, "invalid_parameter", "delivery must be worker or caller")
	}
	if change.Countries != nil {
		countries, err := cleanCountries(*change.Countries)
		if err != nil {
			return Connection{}, err
		}
		change.Countries = &countries
	}
	if err := within("sms_per_hour", change.SMSPerHour, maxPerHour); err != nil {
		return Connection{}, err
	}
	if err := within("sms_per_day", change.SMSPerDay, maxPerDay); err != nil {
		return Connection{}, err
	}
	if change.Issuer != nil && *change.Issuer != "" {
		issuer, err := CleanName("issuer", *change.Issuer)
		if err != nil {
			return Connection{}, err
		}
		change.Issuer = &issuer
	}
	if err := change.app().Validate(); err != nil {
		return Connection{}, err
	}
	return c.Store.UpdateConnection(ctx, tenant, change, c.Now())
}

// app is what is said about apps, with what is always good for the rest.
func (change ConnectionChange) app() totp.Parameters {
	p := totp.Default()
	if change.Algorithm != nil {
		p.Algorithm = *change.Algorithm
	}
	if change.Digits != nil {
		p.Digits = *change.Digits
	}
	if change.Period != nil {
		p.Period = *change.Period
	}
	return p
}

func within(name string, value *int, most int) error {
	if value != nil && (*value < 1 || *value > most) {
		return fault.Newf(fault.Invalid, "invalid_parameter", "%s must be between 1 and %d", name, most)
	}
	return nil
}

func cleanCountries(in []string) ([]string, error) {
	out := make([]string, 0, len(in))
	for _, country := range in {
		country = strings.ToUpper(strings.TrimSpace(country))
		if country == "" {
			continue // countries[]= clears the list
		}
		if len(country) != 2 || strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return nil, fault.Newf(fault.Invalid, "invalid_parameter", "countries must be ISO 3166 codes of two letters, such as DE")
		}
		if !slices.Contains(out, country) {
			out = append(out, country)
		}
	}
	slices.Sort(out)
	return out, nil
}
