// Package link owns the one-time links that are sent by e-mail, and the
// password codes that some of them become.
//
// request -> LINK -> event -> worker -> provider
//
// A link is 256 random bits of which only a digest is kept. It belongs to one
// organization's environment, one address and one purpose, and asking again
// replaces the one before. Looking at it changes nothing: mail scanners look
// at everything. [Service.Follow] uses it, once, by one conditional statement,
// and says where the browser goes with what the link has become: a password
// code, with which the app sets a password, or the end of a login.
//
// An address without a user gets a link like any other, of which no mail goes
// out and which opens nothing, so that asking tells nobody who has an account.
package link

import (
	"context"
	"net/netip"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Purpose is what a link is for. What it becomes is bound to it.
type Purpose string

// The purposes. Of links to create and to reset a password one is live at
// most: they lead to the same place.
const (
	Create Purpose = "create" // the first password
	Reset  Purpose = "reset"  // another password
	Renew  Purpose = "renew"  // of codes only: a password that must change
	Login  Purpose = "login"
)

// Slot is the place that a link of the purpose takes.
func (p Purpose) Slot() string {
	if p == Login {
		return "login"
	}
	return "password"
}

// Life of links and codes (security.md part 7).
const (
	PasswordLife = 60 * time.Minute
	LoginLife    = 10 * time.Minute
	CodeLife     = 10 * time.Minute
)

// Link is a link at rest.
type Link struct {
	RequestID string
	Digest    []byte
	Tenant    tenant.ID
	UserID    string // empty while there is no user
	Email     user.Address
	Purpose   Purpose
	// Void marks the link of an address without a user: it opens nothing.
	Void bool
	// RedirectURI is the app's; empty leads to a page of ours.
	RedirectURI string
	// Flow is the key of the sign-in that asked, empty for an app's own call. A
	// login by a link with one finishes that sign-in and nothing else.
	Flow       string
	ClientID   string // the API key or app that asked
	DeliveryID string // empty when the caller sends it
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// Code is a password code at rest: what a followed link has become, or what a
// password that must change is renewed with.
type Code struct {
	Digest    []byte
	RequestID string // of the link or challenge that it comes from
	Tenant    tenant.ID
	UserID    string // empty when completing it creates the user
	Email     user.Address
	Purpose   Purpose
	// Proofs are what its owner has proven, as amr names it.
	Proofs    []string
	ClientID  string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// View is what the page of a link shows. Nothing in it opens anything.
type View struct {
	Purpose   Purpose
	Org       tenant.Organization // name, colour, locale
	Address   string              // masked
	AppHost   string              // where following it leads; empty for a page of ours
	Flow      string              // the key of the sign-in that asked; may be empty
	AskedAt   time.Time
	ExpiresAt time.Time
}

// Followed is what a link has become. One of Redirect, Password and Flow is
// set.
type Followed struct {
	Redirect secret.Text // to the app, with what it gets in the query
	Password secret.Text // a password code for our own page
	Flow     string      // the key of the sign-in that UserID goes on with
	UserID   string
}

// What may go wrong, as the caller reads it.
var (
	// ErrDead answers for links that never were, are used, replaced or too
	// old, without saying which.
	ErrDead = fault.New(fault.NotFound, "link_not_valid", "this link is not valid: it was used, replaced by a newer one, or is too old; ask for a new one")
	// ErrMails refuses mails that somebody could be flooded with.
	ErrMails = fault.New(fault.Limited, "mail_limit", "too many messages were asked for this address; wait before asking for another")
)

// Pages is what the pages of links call; Service implements it.
type Pages interface {
	// Look shows what a link is for and leaves it as it is. It returns
	// ErrDead, or a fault of the store.
	Look(ctx context.Context, token secret.Text) (View, error)
	// Follow uses a link and returns what it has become. It returns ErrDead, or a fault of the
	// store; then the link is as it was, unless the fault came between its
	// use and the end of a login: then the person asks for another.
	Follow(ctx context.Context, token secret.Text, source netip.Addr) (Followed, error)
}

// Store keeps links and password codes.
type Store interface {
	// PutLink takes the budgets and writes l in place of the live link of its
	// address and slot, with its mail, in one transaction. Of the mail of a
	// void link only the delivery is written, as failed. It returns the deliveries that are superseded by it, whose claims the
	// caller withdraws. A spent budget is a fault of kind Limited.
	PutLink(ctx context.Context, l Link, budgets []challenge.Budget, mail []outbox.Entry) (superseded []string, err error)
	// Link returns a live link with its organization, or ErrDead.
	Link(ctx context.Context, digest []byte, now time.Time) (Link, tenant.Organization, error)
	// UseForCode ends a live link by one conditional statement and writes the
	// code that it becomes. It returns ErrDead to all but one of many calls,
	// and when the user it was made for is gone, inactive or has another
	// address by now.
	UseForCode(ctx context.Context, digest []byte, code Code, now time.Time) error
	// UseForLogin ends a live link likewise, makes fresh a user if there is
	// none with its address yet, marks the address as verified, and returns
	// the user. The entries are written if a user was made.
	UseForLogin(ctx context.Context, digest []byte, fresh user.User, entries []outbox.Entry, now time.Time) (user.User, error)
}
