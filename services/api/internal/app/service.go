package app

import (
	"context"
	"crypto/sha256"
	"maps"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
)

// MaxApps is how many apps an organization's environment has at most.
const MaxApps = 200

// What may go wrong, as the caller reads it.
var (
	ErrMany   = fault.Newf(fault.Conflict, "too_many_apps", "there are %d apps; delete one that is not used any more", MaxApps)
	ErrPublic = fault.New(fault.Conflict, "app_is_public", "a public app has no secret: its users could read it; create a confidential app for a server")
)

// Store keeps apps. Each change is written with its record, in one transaction.
type Store interface {
	// AppByID returns an app of whichever tenant, also one that is not active,
	// or ErrNotFound; those of a deleted organization are gone.
	AppByID(ctx context.Context, clientID string) (App, error)
	// OriginKnown reports whether an active app of a living organization lists
	// the origin.
	OriginKnown(ctx context.Context, origin string) (bool, error)
	// CreateApp writes it and returns it with the names of its organization
	// and account. It returns ErrMany, and tenant.ErrNotFound when the
	// organization is gone.
	CreateApp(ctx context.Context, a App, told outbox.Entry) (App, error)
	// App returns one, or ErrNotFound.
	App(ctx context.Context, t tenant.ID, clientID string) (App, error)
	// Apps lists them, newest first.
	Apps(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[App], error)
	// UpdateApp lets change edit it and writes it back; when it is not active
	// then, its grants are revoked. It returns ErrNotFound or what change
	// returns.
	UpdateApp(ctx context.Context, t tenant.ID, clientID string, change func(*App) (outbox.Entry, error)) (App, error)
	// DeleteApp removes it, revokes its grants and returns it, or ErrNotFound.
	DeleteApp(ctx context.Context, t tenant.ID, clientID string, told outbox.Entry) (App, error)
	// RotateAppSecret replaces the digest of a confidential app, or returns
	// ErrPublic or ErrNotFound.
	RotateAppSecret(ctx context.Context, t tenant.ID, clientID string, digest []byte, told outbox.Entry) (App, error)
}

// Service is the rules of apps.
type Service struct {
	Store  Store
	Outbox *outbox.Composer
	Relay  outbox.Waker
	Now    func() time.Time
}

// Caller is who manages apps, and whose.
type Caller struct {
	Tenant tenant.ID
	By     activity.By
}

// New is what is said about an app when it is made. Type and Native stay as
// they are: whoever has the app must not find it to be another kind of client.
type New struct {
	Type   string // Public or Confidential; empty: Public
	Native bool
	Change
}

// Create makes an app and returns the secret of a confidential one, the only
// time that it can be read. It returns ErrMany and faults of kind Invalid that
// name the parameter.
func (s *Service) Create(ctx context.Context, c Caller, in New) (App, secret.Text, error) {
	now := s.Now().Truncate(time.Millisecond)
	a := App{
		ID: NewID(), Tenant: c.Tenant, Name: "App", Type: Public, Native: in.Native,
		Methods: Methods(), Scopes: DefaultScopes(),
		// Apps are registered by the organization's own administrator, so the
		// organization's they are unless it says otherwise.
		FirstParty: true,
		Profile:    Standard, IDTokenAlg: ES256, Active: true, CreatedAt: now, UpdatedAt: now,
	}
	if in.Type != "" {
		a.Type = in.Type
	}
	if err := a.checkType(); err != nil {
		return App{}, secret.Text{}, err
	}
	if err := in.apply(&a); err != nil {
		return App{}, secret.Text{}, err
	}
	var value secret.Text
	if a.Confidential() {
		value = id.Token()
		a.SecretDigest = Digest(value)
	}
	created, err := s.Store.CreateApp(ctx, a, s.told(c, a.ID, event.TypeAppCreated, in.recorded(a)))
	if err != nil {
		return App{}, secret.Text{}, err
	}
	s.Relay.Wake()
	return created, value, nil
}

// Read returns one, or ErrNotFound.
func (s *Service) Read(ctx context.Context, t tenant.ID, clientID string) (App, error) {
	if !IsID(clientID) {
		return App{}, ErrNotFound
	}
	return s.Store.App(ctx, t, clientID)
}

// List returns them, newest first.
func (s *Service) List(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[App], error) {
	return s.Store.Apps(ctx, t, page)
}

// Update changes what is said. An app that is no longer active loses all its
// grants for good: switched on again it starts without any. Other changes are
// for what is asked next; what was granted before keeps its scopes. It returns
// ErrNotFound and faults of kind Invalid that name the parameter.
func (s *Service) Update(ctx context.Context, c Caller, clientID string, in Change) (App, error) {
	if !IsID(clientID) {
		return App{}, ErrNotFound
	}
	a, err := s.Store.UpdateApp(ctx, c.Tenant, clientID, func(a *App) (outbox.Entry, error) {
		if err := in.apply(a); err != nil {
			return outbox.Entry{}, err
		}
		a.UpdatedAt = s.Now().Truncate(time.Millisecond)
		active := "true"
		if !a.Active {
			active = "false"
		}
		data := map[string]string{"active": active}
		maps.Copy(data, in.recorded(*a))
		return s.told(c, a.ID, event.TypeAppChanged, data), nil
	})
	return s.done(a, err)
}

// Delete removes an app with its grants, or returns ErrNotFound.
func (s *Service) Delete(ctx context.Context, c Caller, clientID string) (App, error) {
	if !IsID(clientID) {
		return App{}, ErrNotFound
	}
	a, err := s.Store.DeleteApp(ctx, c.Tenant, clientID, s.told(c, clientID, event.TypeAppRemoved, nil))
	return s.done(a, err)
}

// RotateSecret gives a confidential app another secret and returns it, the only
// time that it can be read. The one before stops at once: a secret is rotated
// because somebody else may have it. It returns ErrPublic and ErrNotFound.
func (s *Service) RotateSecret(ctx context.Context, c Caller, clientID string) (App, secret.Text, error) {
	if !IsID(clientID) {
		return App{}, secret.Text{}, ErrNotFound
	}
	value := id.Token()
	a, err := s.Store.RotateAppSecret(ctx, c.Tenant, clientID, Digest(value), s.told(c, clientID, event.TypeAppSecret, nil))
	if a, err = s.done(a, err); err != nil {
		return App{}, secret.Text{}, err
	}
	return a, value, nil
}

func (s *Service) done(a App, err error) (App, error) {
	if err != nil {
		return App{}, err
	}
	s.Relay.Wake()
	return a, nil
}

func (s *Service) told(c Caller, clientID, action string, more map[string]string) outbox.Entry {
	data := map[string]string{"app": clientID}
	maps.Copy(data, more)
	return s.Outbox.Event(activity.Record{Tenant: c.Tenant, Action: action, By: c.By, Data: data})
}

// Digest is the stored form of a secret of 256 random bits.
func Digest(value secret.Text) []byte {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return sum[:]
}
