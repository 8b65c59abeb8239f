package password

import (
	"context"
	"log/slog"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
)

// Connection is an organization's policy for passwords in one environment.
// It does not exist until it is created.
type Connection struct {
	ID     string
	Tenant tenant.ID
	// MinLength and MaxLength count code points.
	MinLength, MaxLength int
	// PepperRotation is how old a hash under another pepper than today's may
	// be before a login makes it anew.
	PepperRotation time.Duration
	Template       string // id of the template of the mail to reset; empty for the active one
	Delivery       string // tenant.DeliverWorker or DeliverCaller
	// VerboseErrors tells unknown users from wrong passwords, for callers
	// that are servers. It also tells whoever sits behind them.
	VerboseErrors bool
	// DirectCreation lets a key with the scope create passwords without a
	// mail, where the user has none.
	DirectCreation bool
	// MinStrength is the least score that a new password needs, 0 to 4.
	MinStrength int
	Life        Life // of its passwords
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Bounds of lengths in code points. A single factor needs 15, and 64 are
// always accepted (NIST SP 800-63B-4 3.1.1.2); a limit that says otherwise is
// moved to the nearest that holds.
const (
	longest         = 256
	defaultRotation = 24 * time.Hour
	longestRotation = 10 * 365 * 24 * time.Hour
	// A score of 3 stands for a hundred million guesses or more: at what one
	// costs here, too many for whoever has stolen the hashes and tries them all.
	defaultStrength = 3
	strongest       = 4
)

// policy is what the connection asks of new passwords. No organization can
// enforce a second factor yet, so a password may be all that a login asks for.
func (c Connection) policy() Policy {
	return Policy{Min: c.MinLength, Max: c.MaxLength, Strength: c.MinStrength}
}

// Change is what a caller says about a connection; nil leaves it.
type Change struct {
	MinLength, MaxLength *int
	PepperRotation       *time.Duration
	Template             *string
	Delivery             *string
	VerboseErrors        *bool
	DirectCreation       *bool
	MinStrength          *int
	Life                 LifeChange
}

// What may go wrong, as the caller reads it.
var (
	ErrExists       = fault.New(fault.Conflict, "incompatible_connection", "incompatible_connection")
	ErrNoConnection = fault.New(fault.NotFound, "not_found", "the organization has no password connection; create one with POST password-connection")
)

// ConnectionStore keeps connections.
type ConnectionStore interface {
	// CreatePasswordConnection stores it with entries that tell of it. It
	// returns ErrExists when there is one, and tenant.ErrNotFound when the
	// organization is gone.
	CreatePasswordConnection(ctx context.Context, c Connection, entries []outbox.Entry) error
	// PasswordConnection returns ErrNoConnection when there is none.
	PasswordConnection(ctx context.Context, t tenant.ID) (Connection, error)
	// UpdatePasswordConnection lets change edit it and writes it back with the
	// entries that change returns, in one transaction, or returns
	// ErrNoConnection or change's error.
	UpdatePasswordConnection(ctx context.Context, t tenant.ID, change func(*Connection) ([]outbox.Entry, error)) (Connection, error)
}

// Connections is the rules of connections.
type Connections struct {
	Store ConnectionStore
	// Templates are where the connection's template is.
	Templates *template.Service
	Outbox    *outbox.Composer
	Relay     outbox.Waker
	Now       func() time.Time
	Log       *slog.Logger
}

// check reports a fault of kind Invalid for a template that there is not.
func (s *Connections) check(ctx context.Context, t tenant.ID, in Change) error {
	if in.Template == nil {
		return nil
	}
	return s.Templates.Check(ctx, t, event.TemplatePasswordReset, "forgot_password_template_id", *in.Template)
}

// Create makes the connection. It returns ErrExists, or a fault of kind
// Invalid that names the parameter.
func (s *Connections) Create(ctx context.Context, t tenant.ID, by activity.By, in Change) (Connection, error) {
	now := s.Now().Truncate(time.Millisecond)
	c := Connection{
		ID: id.UUID(), Tenant: t, MinLength: minAlone, MaxLength: longest, PepperRotation: defaultRotation,
		Delivery: tenant.DeliverWorker, MinStrength: defaultStrength, CreatedAt: now,
	}
	if err := s.check(ctx, t, in); err != nil {
		return Connection{}, err
	}
	if err := in.apply(&c, now); err != nil {
		return Connection{}, err
	}
	if err := s.Store.CreatePasswordConnection(ctx, c, s.news(Life{}, c, by)); err != nil {
		return Connection{}, err
	}
	s.logged(ctx, Life{}, c)
	return c, nil
}

// Get returns the connection, or ErrNoConnection.
func (s *Connections) Get(ctx context.Context, t tenant.ID) (Connection, error) {
	return s.Store.PasswordConnection(ctx, t)
}

// Update changes the connection.
func (s *Connections) Update(ctx context.Context, t tenant.ID, by activity.By, in Change) (Connection, error) {
	if err := s.check(ctx, t, in); err != nil {
		return Connection{}, err
	}
	var before Life
	c, err := s.Store.UpdatePasswordConnection(ctx, t, func(c *Connection) ([]outbox.Entry, error) {
		before = c.Life
		if err := in.apply(c, s.Now().Truncate(time.Millisecond)); err != nil {
			return nil, err
		}
		return s.news(before, *c, by), nil
	})
	if err == nil {
		s.logged(ctx, before, c)
	}
	return c, err
}

func (in Change) apply(c *Connection, now time.Time) error {
	if in.Delivery != nil {
		if *in.Delivery != tenant.DeliverWorker && *in.Delivery != tenant.DeliverCaller {
			return fault.New(fault.Invalid, "invalid_parameter", "delivery must be worker or caller")
		}
		c.Delivery = *in.Delivery
	}
	if in.PepperRotation != nil {
		if *in.PepperRotation < time.Second || *in.PepperRotation > longestRotation {
			return fault.New(fault.Invalid, "invalid_parameter", "pepper_rotation_period must be between 1 second and ten years")
		}
		c.PepperRotation = *in.PepperRotation
	}
	if in.Template != nil {
		c.Template = *in.Template
	}
	if in.MinStrength != nil && (*in.MinStrength < 0 || *in.MinStrength > strongest) {
		return fault.New(fault.Invalid, "invalid_parameter", "min_strength must be 0 (anything long enough) to 4 (very hard to guess)")
	}
	set(&c.MinStrength, in.MinStrength)
	if err := in.Life.apply(&c.Life); err != nil {
		return err
	}
	set(&c.MinLength, in.MinLength)
	set(&c.MaxLength, in.MaxLength)
	c.MinLength = min(max(c.MinLength, minAlone), alwaysAccepted)
	c.MaxLength = min(max(c.MaxLength, alwaysAccepted), longest)
	set(&c.VerboseErrors, in.VerboseErrors)
	set(&c.DirectCreation, in.DirectCreation)
	c.UpdatedAt = now
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}
