package factor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// What may go wrong when users change their own factors.
var (
	// ErrLast keeps users from locking themselves out, and from going on
	// without what their organization asks of them.
	ErrLast = fault.New(fault.Conflict, "last_factor", "this is the last second factor that takes codes, and a sign-in here needs one; add another one first, then remove this one")
	// ErrNameless answers for another device that could not be told from the
	// others.
	ErrNameless = fault.New(fault.Invalid, "missing_parameter", "name must be provided, so that this device can be told from the others")
	// ErrNoCodes answers where no recovery codes are to be saved: nobody shows
	// them again.
	ErrNoCodes = fault.New(fault.NotFound, "recovery_codes_gone", "there are no new recovery codes to show; they are shown until they are saved, for ten minutes at most: make new ones")
	// ErrChanged answers where the recovery codes are others by now.
	ErrChanged = fault.New(fault.Conflict, "recovery_codes_changed", "the recovery codes were replaced, or the second factors stopped, at this moment; open the page again and look at what is left")
)

// OwnStore keeps what users change of their own factors.
type OwnStore interface {
	// RemoveSpare is Store.Remove while another factor of the user takes codes;
	// it returns ErrLast otherwise. Of two that remove each other's last one
	// exactly one succeeds.
	RemoveSpare(ctx context.Context, f Factor, told []outbox.Entry) error
	// ReplaceSet stores new recovery codes in place of those of the set that is
	// named, or of none, by one conditional statement: nobody is obliged to
	// enrol anew, and a factor takes codes. It returns ErrChanged.
	ReplaceSet(ctx context.Context, r Replacement, told []outbox.Entry) error
}

// Replacement is recovery codes in place of others.
type Replacement struct {
	Tenant tenant.ID
	UserID string
	Old    string // id of the set that is replaced; empty for none
	Set    Set
}

// Shelf is the ephemeral store, as what holds things for a page.
type Shelf interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Delete(ctx context.Context, key string) (bool, error)
}

// Sealer keeps recovery codes from whoever reads the shelf; seal.Keyring
// implements it.
type Sealer interface {
	Seal(purpose, aad string, plain []byte) ([]byte, error)
	Open(purpose, aad string, sealed []byte) ([]byte, error)
}

// Own is what users do to their own factors, on a page of ours. That whoever
// asks has proven all that the user has a moment ago was checked before.
type Own struct {
	*Service
	Changes OwnStore
	Shelf   Shelf
	Keys    Sealer
}

// Asks is who is on the page.
type Asks struct {
	Tenant    tenant.ID
	Org       tenant.Organization
	UserID    string
	SessionID string // what was begun in another browser is not shown here
	Source    netip.Addr
	By        activity.By
}

// Self is a user about their own factors.
type Self struct {
	Whose
	SessionID string
}

// Self reads what a user has at this moment.
func (o *Own) Self(ctx context.Context, a Asks) (Self, error) {
	standing, err := o.Store.Standing(ctx, a.Tenant, user.Key{ID: a.UserID})
	return Self{Whose{Tenant: a.Tenant, Org: a.Org, Standing: standing, Page: true, Source: a.Source, By: a.By}, a.SessionID}, err
}

// Rename is Service.Rename by the user.
func (o *Own) Rename(ctx context.Context, self Self, factorID, name string) error {
	if err := self.open(); err != nil {
		return err
	}
	_, err := o.Service.Rename(ctx, self.Whose, factorID, name)
	return err
}

// Spare reports whether a factor may be removed: another one takes codes.
func (of Self) Spare(factorID string) bool {
	return slices.ContainsFunc(of.Factors, func(f Factor) bool { return f.ID != factorID && f.Takes() })
}

// Remove takes a factor away while another one takes codes. It returns
// ErrNotFound or ErrLast.
func (o *Own) Remove(ctx context.Context, self Self, factorID string) error {
	if err := self.open(); err != nil {
		return err
	}
	f, err := self.Of(factorID)
	if err != nil {
		return err
	}
	if !self.Spare(f.ID) {
		return ErrLast
	}
	told, err := o.toldChanged(ctx, self.Whose, event.TypeFactorRemoved, f)
	if err != nil {
		return err
	}
	return o.wake(o.Changes.RemoveSpare(ctx, f, told))
}

// Enrol starts an enrolment that this session goes on with: see [Own.Waits].
func (o *Own) Enrol(ctx context.Context, self Self, e Enrolment) error {
	if e.Name == "" && len(self.Factors) > 0 {
		return ErrNameless
	}
	e.Force = false // that is for administrators
	issued, err := o.Service.Enrol(ctx, self.Whose, e)
	if err != nil {
		return err
	}
	return o.Shelf.Put(ctx, enrolmentKey(self), []byte(issued.FactorID), waitingLife)
}

// Waiting is an enrolment that waits for its first code, as often as its page
// is opened.
type Waiting struct {
	Method string
	Phone  string // masked, of SMS
	// Of an app.
	URI    secret.Text
	Secret secret.Text
}

// Waits returns the enrolment that this session has begun, or ErrNoWaiting. One
// that somebody else has begun is not shown: who knows its secret would have
// the user's codes.
func (o *Own) Waits(ctx context.Context, self Self) (Waiting, error) {
	if err := o.begun(ctx, self); err != nil {
		return Waiting{}, err
	}
	f := self.Waiting
	if f.Method == SMS {
		return Waiting{Method: SMS, Phone: secret.MaskPhone(f.Phone)}, nil
	}
	return Waiting{Method: App, URI: f.Key.URI(self.issuer(), self.User.Email.Written), Secret: f.Key.Secret}, nil
}

func (o *Own) begun(ctx context.Context, self Self) error {
	if err := self.open(); err != nil {
		return err
	}
	begun, err := o.Shelf.Get(ctx, enrolmentKey(self))
	if err != nil {
		return err
	}
	f := self.Waiting
	if f.ID == "" || f.ID != string(begun) || !f.ExpiresAt.After(o.Now()) {
		return ErrNoWaiting
	}
	return nil
}

// Confirm is ConfirmEnrolment for what Waits shows. New recovery codes are kept
// for their page.
func (o *Own) Confirm(ctx context.Context, self Self, typed secret.Text) (Confirmed, error) {
	if err := o.begun(ctx, self); err != nil {
		return Confirmed{}, err
	}
	code, err := o.ReadDigits(ctx, self.Source, Typed(typed))
	if err != nil {
		return Confirmed{}, err
	}
	confirmed, err := o.ConfirmEnrolment(ctx, self.Whose, code)
	if err != nil || len(confirmed.Codes) == 0 {
		return confirmed, err
	}
	return confirmed, o.keep(ctx, self, confirmed.SetID, confirmed.Codes)
}

// key keeps what a session has begun apart from that of others.
func (of Self) key(what string) string {
	return fmt.Sprintf("%s:{%s|%s|%s}", what, of.Tenant.Org, of.Tenant.Env, of.SessionID)
}

func enrolmentKey(self Self) string { return self.key("own-enrolment") }
