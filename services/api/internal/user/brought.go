package user

import (
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/tenant"
)

// Brought is what an operator brings about a user from another system, which
// has verified addresses and numbers itself.
type Brought struct {
	Change
	EmailVerified bool
	PhoneVerified bool
	CreatedAt     time.Time // zero for now
}

// New makes the user. It returns a fault of kind Invalid that names the
// parameter.
func (b Brought) New(t tenant.ID, now time.Time) (User, error) {
	if b.Email == nil || *b.Email == "" {
		return User{}, fault.New(fault.Invalid, "missing_parameter", "email must be provided")
	}
	if b.CreatedAt.After(now) || !b.CreatedAt.IsZero() && b.CreatedAt.Unix() < 0 {
		return User{}, fault.New(fault.Invalid, "invalid_parameter", "created_at must be between 1970 and now")
	}
	u := User{ID: id.UUID(), Tenant: t, Active: true, CreatedAt: b.CreatedAt}
	if b.CreatedAt.IsZero() {
		u.CreatedAt = now
	}
	return u, b.Onto(&u, now)
}

// Onto changes a user who is here already. What was verified here stays so:
// the other system can only add to that.
func (b Brought) Onto(u *User, now time.Time) error {
	if err := b.apply(u, now); err != nil {
		return err
	}
	if b.PhoneVerified && u.Phone == "" {
		return fault.New(fault.Invalid, "invalid_parameter", "phone_number_verified needs a phone_number")
	}
	u.EmailVerified = u.EmailVerified || b.EmailVerified
	u.PhoneVerified = u.PhoneVerified || b.PhoneVerified && b.Phone != nil
	return nil
}
