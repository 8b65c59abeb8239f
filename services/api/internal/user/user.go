// Package user owns the people of an organization's environment.
//
// The same e-mail address in two organizations, or in the two environments of
// one, is two users. A user's phone number is stored sealed. Nothing a caller
// sends can mark an address or a number as verified: only a used code can, or
// an operator who brings users from another system.
package user

import (
	"context"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/phone"
	"countersign.dev/services/api/internal/tenant"
)

// User is one person in one environment of one organization.
type User struct {
	ID            string
	Tenant        tenant.ID
	Email         Address
	EmailVerified bool
	Phone         string // E.164, empty when there is none
	PhoneVerified bool
	Active        bool
	Profile       Profile
	Address       *Postal
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Profile is what OpenID Connect calls standard claims.
type Profile struct {
	GivenName         *string `json:"given_name"`
	FamilyName        *string `json:"family_name"`
	Nickname          *string `json:"nickname"`
	Gender            *string `json:"gender"`
	Birthdate         *string `json:"birthdate"`
	Locale            *string `json:"locale"`
	Picture           *string `json:"picture"`
	PreferredUsername *string `json:"preferred_username"`
	Website           *string `json:"website"`
	Zoneinfo          *string `json:"zoneinfo"`
}

// Postal is a postal address.
type Postal struct {
	Country       *string `json:"country"`
	Formatted     *string `json:"formatted"`
	Locality      *string `json:"locality"`
	PostalCode    *string `json:"postal_code"`
	Region        *string `json:"region"`
	StreetAddress *string `json:"street_address"`
}

// What may go wrong, as the caller reads it.
var (
	ErrNotFound   = fault.New(fault.NotFound, "not_found", "not_found")
	ErrEmailTaken = fault.New(fault.Invalid, "unprocessable_entity", "email has already been taken")
	ErrInactive   = fault.New(fault.Forbidden, "user_inactive", "the user is deactivated; activate the user first")
)

// Store keeps users.
type Store interface {
	// CreateUser returns ErrEmailTaken, by the canonical form, or
	// tenant.ErrNotFound when the organization is gone.
	CreateUser(ctx context.Context, u User) error
	// UserByID and UserByEmail return ErrNotFound for others' users too.
	UserByID(ctx context.Context, t tenant.ID, userID string) (User, error)
	UserByEmail(ctx context.Context, t tenant.ID, canonical string) (User, error)
	// Users lists newest first.
	Users(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[User], error)
	// UpdateUser reads the user, lets change edit it and writes it back with
	// the entries of told, in one transaction that nobody can come between.
	// It returns ErrNotFound, ErrEmailTaken or what change or told returns.
	UpdateUser(ctx context.Context, t tenant.ID, userID string, told Told, change func(*User) error) (User, error)
	// DeleteUser removes the user with all that hangs on it and returns what
	// it was, or ErrNotFound.
	DeleteUser(ctx context.Context, t tenant.ID, userID string, at time.Time) (User, error)
}

// Told makes what is to be told about a change of a user; nil tells nothing.
type Told func(before, after User) ([]outbox.Entry, error)

// Service is the rules of users.
type Service struct {
	Store Store
	Now   func() time.Time
}

// Change holds what a caller says about a user; nil leaves it as it is.
type Change struct {
	Email   *string
	Phone   *string // empty text removes the number
	Active  *bool
	Profile Profile
	Address Postal
}

// Create makes a user. It returns a fault of kind Invalid that names the
// parameter, or ErrEmailTaken.
func (s *Service) Create(ctx context.Context, t tenant.ID, in Change) (User, error) {
	if in.Email == nil || *in.Email == "" {
		return User{}, fault.New(fault.Invalid, "missing_parameter", "email must be provided")
	}
	now := s.Now()
	u := User{ID: id.UUID(), Tenant: t, Active: true, CreatedAt: now}
	if err := in.apply(&u, now); err != nil {
		return User{}, err
	}
	if err := s.Store.CreateUser(ctx, u); err != nil {
		return User{}, err
	}
	return u, nil
}

// Key names one user of a tenant: the id, or the canonical form of the
// address where the id is empty.
type Key struct{ ID, Canonical string }

// ParseKey reads what callers name users by. What is neither an id nor an
// address is the name of nobody: ErrNotFound.
func ParseKey(text string) (Key, error) {
	if id.IsUUID(text) {
		return Key{ID: text}, nil
	}
	address, err := ParseAddress(text)
	if err != nil {
		return Key{}, ErrNotFound
	}
	return Key{Canonical: address.Canonical}, nil
}

// Find reads a user by id or by e-mail address.
func (s *Service) Find(ctx context.Context, t tenant.ID, text string) (User, error) {
	key, err := ParseKey(text)
	if err != nil {
		return User{}, err
	}
	if key.ID != "" {
		return s.Store.UserByID(ctx, t, key.ID)
	}
	return s.Store.UserByEmail(ctx, t, key.Canonical)
}

// List returns users, newest first.
func (s *Service) List(ctx context.Context, t tenant.ID, page listing.Page) (listing.Result[User], error) {
	return s.Store.Users(ctx, t, page)
}

// Update changes a user and tells of it. A new address or number is unverified
// again.
func (s *Service) Update(ctx context.Context, t tenant.ID, userID string, told Told, in Change) (User, error) {
	if !id.IsUUID(userID) {
		return User{}, ErrNotFound
	}
	return s.Store.UpdateUser(ctx, t, userID, told, func(u *User) error { return in.apply(u, s.Now()) })
}

// Delete removes a user with everything that belongs to it.
func (s *Service) Delete(ctx context.Context, t tenant.ID, userID string) (User, error) {
	if !id.IsUUID(userID) {
		return User{}, ErrNotFound
	}
	return s.Store.DeleteUser(ctx, t, userID, s.Now())
}

func (c Change) apply(u *User, now time.Time) error {
	if c.Email != nil {
		address, err := ParseAddress(*c.Email)
		if err != nil {
			return err
		}
		u.EmailVerified = u.EmailVerified && address.Canonical == u.Email.Canonical
		u.Email = address
	}
	if c.Phone != nil {
		number, err := phone.ParseOptional(*c.Phone)
		if err != nil {
			return err
		}
		u.PhoneVerified = u.PhoneVerified && number == u.Phone
		u.Phone = number
	}
	if c.Active != nil {
		u.Active = *c.Active
	}
	if err := mergeProfile(&u.Profile, c.Profile); err != nil {
		return err
	}
	if err := mergePostal(u, c.Address); err != nil {
		return err
	}
	u.UpdatedAt = now
	return nil
}
