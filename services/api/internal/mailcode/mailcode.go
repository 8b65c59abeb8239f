// Package mailcode owns sign-in codes that are sent by e-mail: it makes one,
// has it mailed, and checks it once.
//
// flow -> MAILCODE -> outbox -> relay -> worker -> provider
//
// The code itself lives where codes of text messages live, as a digest in the
// ephemeral store, one for each user. Its mail goes the way of links: written
// with its delivery and within the budgets of its address, and published by the
// relay.
//
// Order of a send: one SQL transaction takes the budgets, arms the code, ends
// the mail of the code that it replaces and writes the new mail; its commit
// makes all of it true. So a spent budget leaves the code before alone, a code
// that cannot be armed leaves no mail, and no mail leaves before its code is
// live. Only the commit can fail after a code was armed; then the code, which
// nobody has seen, is disarmed again. Should that fail as well, or the process
// die between the two, it ends by itself within its life. What it replaced is
// dead in any case, as the caller's fault says: ask again. The transaction waits
// for the ephemeral store for as long as that takes to answer or to give up;
// meanwhile it holds a connection and the row of one address.
//
// An address without a user costs the same: its budgets are taken, a code is
// armed that no text matches, and of its mail only the delivery is written, as
// failed.
package mailcode

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Purpose names these codes among the user's others, Shown those of links that
// were opened in another browser.
const (
	Purpose = "login_email"
	Shown   = "login_shown"
)

// Life and tries of a code (security.md part 7).
const (
	Life  = 5 * time.Minute
	tries = 5
)

// Put is a code with its mail, as it is written.
type Put struct {
	// Mail is the message, with its delivery. That of a Void one is written as
	// failed and the message is not.
	Mail    outbox.Entry
	Void    bool
	Budgets []challenge.Budget
	// Arm makes the code live and returns the delivery of the one before,
	// empty when there was none. The store calls it once, after it has taken
	// the budgets and before it commits.
	Arm func(ctx context.Context) (replaced string, err error)
	At  time.Time
}

// Store keeps what must last of a code.
type Store interface {
	// PutMailCode takes the budgets, arms the code, ends the delivery of the
	// one that was replaced and writes the mail, in one transaction. It
	// returns the deliveries that it has ended, whose claims the caller
	// withdraws. A spent budget is its fault, of kind Limited.
	PutMailCode(ctx context.Context, p Put) (superseded []string, err error)
	// TakeBudgets takes one from each budget, in one transaction.
	TakeBudgets(ctx context.Context, budgets []challenge.Budget, at time.Time) error
}

// Codes holds live codes.
type Codes interface {
	Arm(ctx context.Context, key string, code ephemeral.Code, ttl time.Duration) (*ephemeral.Code, error)
	Disarm(ctx context.Context, key, id string) (bool, error)
}

// Claims tell workers that sending has become pointless.
type Claims interface {
	Withdraw(ctx context.Context, deliveryID string) (bool, error)
}

// Factors stops the second factors of a user who has no guess left.
type Factors interface {
	Exhausted(ctx context.Context, w factor.Whose) error
}

// Index makes keyed digests.
type Index interface {
	Sum(purpose string, parts ...string) []byte
}

// Service is the rules of codes by e-mail.
type Service struct {
	Store     Store
	Codes     Codes
	Claims    Claims
	Guard     *guard.Guard
	Factors   Factors
	Outbox    *outbox.Composer
	Relay     outbox.Waker
	Templates *template.Service // organizations' own words
	Index     Index
	Now       func() time.Time
	Log       *slog.Logger
}

// Whose is whom a code is for.
type Whose struct {
	Tenant tenant.ID
	Org    tenant.Organization
	// User is nil for an address that is nobody's.
	User    *user.User
	Address user.Address
	// RequestID is the public id under which the delivery is listed.
	RequestID string
	// Finishes says that with this code the sign-in is complete: the user has
	// no second factor, or has proven another one already. Then a right code
	// forgets the wrong ones before, as a second factor's does. Before a second
	// factor it must not: whoever reads the user's mail could go on guessing
	// the factor for ever.
	Finishes bool
	// Flow is the key of the sign-in whose link was opened elsewhere: the code
	// that is shown there is good in this sign-in alone. Empty for mailed codes.
	Flow string
	By   activity.By
}

// purpose keeps codes that are shown from those that are mailed: neither ends
// the other.
func (w Whose) purpose() string {
	if w.Flow != "" {
		return Shown
	}
	return Purpose
}

// userID is empty for nobody.
func (w Whose) userID() string {
	if w.User == nil {
		return ""
	}
	return w.User.ID
}

// key keeps all codes of a user in one slot of the store, next to those of
// text messages. Nobody has a slot for each address.
func (s *Service) key(w Whose) string {
	t, whose := w.Tenant, w.userID()
	if w.User == nil {
		whose = "nobody." + s.nobody(w)
	}
	return fmt.Sprintf("code:{%s|%s|%s}:%s", t.Org, t.Env, whose, w.purpose())
}

// nobody names an address without a user, within one tenant.
func (s *Service) nobody(w Whose) string {
	return fmt.Sprintf("%x", s.Index.Sum("mail.nobody", w.Tenant.Account, w.Tenant.Org, w.Tenant.Env, w.Address.Canonical)[:16])
}

// digest is bound to tenant, user, purpose and address: a code says nothing
// about the address that the user has got since.
func (s *Service) digest(w Whose, code secret.Text) []byte {
	t := w.Tenant
	return s.Index.Sum("mail.code", t.Account, t.Org, t.Env, w.userID(), w.purpose()+w.Flow, w.Address.Canonical, code.Reveal())
}
