// Package apikey owns API keys: what a server of a customer signs in with.
//
// A key belongs to one account and one environment, optionally narrowed to
// some organizations, and carries scopes. Its secret is shown once, at
// creation, and stored as a SHA-256 digest: it has 256 random bits, so nobody
// can try candidates. The comparison itself is the guard's.
package apikey

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

// Scopes of the headless API.
const (
	OrganizationsRead  = "organizations:read"
	OrganizationsWrite = "organizations:write"
	UsersRead          = "users:read"
	UsersWrite         = "users:write"
	ConnectionsRead    = "connections:read"
	ConnectionsWrite   = "connections:write"
	FactorsRead        = "factors:read"
	FactorsEnroll      = "factors:enroll"
	Challenges         = "challenges:write"
	PasswordsWrite     = "passwords:write"
	DeliveriesRead     = "deliveries:read"
	InboxRead          = "inbox:read"
	ActivityRead       = "activity:read"
	TemplatesRead      = "templates:read"
	TemplatesWrite     = "templates:write"
	MailServersRead    = "smtp_connections:read"
	MailServersWrite   = "smtp_connections:write"
	AppsRead           = "apps:read"
	AppsWrite          = "apps:write"
	KeysRead           = "keys:read"
	KeysWrite          = "keys:write"
	// PasswordsCreateUnverified lets a key create a password without a link,
	// where a connection allows it.
	PasswordsCreateUnverified = "passwords:create_unverified"
	// PasswordsForce lets a key make users set another password, which ends
	// their logins.
	PasswordsForce = "passwords:force"
	// FactorsReset lets a key take away what a user can prove: disable and
	// remove factors, and replace all of them with force_enroll.
	FactorsReset = "factors:reset"
	// CodesRead lets a key see codes where a connection says delivery=caller.
	CodesRead = "codes:read"
)

// All lists every scope.
func All() []string {
	return []string{
		ActivityRead, AppsRead, AppsWrite, Challenges, CodesRead, ConnectionsRead, ConnectionsWrite, DeliveriesRead, FactorsEnroll, FactorsRead, FactorsReset, InboxRead,
		KeysRead, KeysWrite, OrganizationsRead, OrganizationsWrite, PasswordsCreateUnverified, PasswordsForce, PasswordsWrite, TemplatesRead, TemplatesWrite,
		MailServersRead, MailServersWrite, UsersRead, UsersWrite,
	}
}

// Standard lists what a key gets when nothing is said: everything but
// managing keys, seeing codes, resetting factors, creating passwords without a
// link, forcing new ones and saying which server mails go through. Managing
// apps is left out, too: it makes credentials, and says where codes are sent.
func Standard() []string {
	return slices.DeleteFunc(All(), func(scope string) bool {
		return scope == CodesRead || scope == KeysWrite || scope == AppsWrite || scope == FactorsReset || scope == PasswordsCreateUnverified || scope == PasswordsForce || scope == MailServersWrite
	})
}

// Key is an API key without its secret.
type Key struct {
	ID            string // the client_id
	AccountID     string
	AccountDomain string
	Env           string
	Name          string
	Scopes        []string
	Organizations []string // ids; empty means all of the account
	// RedirectURIs are where links that it asks for may lead, beside those of
	// the organization. See tenant.CheckRedirect.
	RedirectURIs []string
	SecretDigest []byte
	CreatedAt    time.Time
	RevokedAt    time.Time // zero while it works
}

// Revoked reports whether the key is dead.
func (k Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// Has reports whether the key carries the scope.
func (k Key) Has(scope string) bool { return slices.Contains(k.Scopes, scope) }

// Reaches reports whether the key may touch the organization.
func (k Key) Reaches(org string) bool {
	return len(k.Organizations) == 0 || slices.Contains(k.Organizations, org)
}

// Covers reports whether another key of the same account and environment
// reaches no further than k.
func (k Key) Covers(other Key) bool {
	if other.AccountID != k.AccountID || other.Env != k.Env {
		return false
	}
	if len(k.Organizations) > 0 && len(other.Organizations) == 0 {
		return false // it reaches all of the account
	}
	return !slices.ContainsFunc(other.Organizations, func(org string) bool { return !k.Reaches(org) })
}

// ErrNotFound answers for keys that never were and keys of others alike.
var ErrNotFound = fault.New(fault.NotFound, "not_found", "not_found")

// Store keeps keys.
type Store interface {
	CreateKey(ctx context.Context, k Key) error
	// KeyByID returns the key with its account's domain, revoked or not, or
	// ErrNotFound.
	KeyByID(ctx context.Context, keyID string) (Key, error)
	// Keys lists the keys of one account and environment, newest first.
	Keys(ctx context.Context, account, env string, page listing.Page) (listing.Result[Key], error)
	// RevokeKey marks it revoked and returns it; ErrNotFound when there is
	// no such key in this account and environment. Revoking twice keeps the
	// first time.
	RevokeKey(ctx context.Context, account, env, keyID string, now time.Time) (Key, error)
}

// Service is the rules of keys.
type Service struct {
	Store Store
	Now   func() time.Time
}

// New is what may be said about a key.
type New struct {
	Name          string
	Scopes        []string // empty: Standard
	Organizations []string // ids
	RedirectURIs  []string
}

// Create makes a key and returns its secret, the only time it can be read.
func (s *Service) Create(ctx context.Context, account tenant.Account, env string, in New) (Key, secret.Text, error) {
	if env != tenant.Sandbox && env != tenant.Default {
		return Key{}, secret.Text{}, fault.New(fault.Invalid, "invalid_parameter", "environment must be sandbox or default")
	}
	if in.Name == "" {
		in.Name = "API key"
	}
	name, err := tenant.CleanName("name", in.Name)
	if err != nil {
		return Key{}, secret.Text{}, err
	}
	scopes := in.Scopes
	if len(scopes) == 0 {
		scopes = Standard()
	}
	for _, scope := range scopes {
		if !slices.Contains(All(), scope) {
			return Key{}, secret.Text{}, fault.Newf(fault.Invalid, "invalid_parameter", "there is no such scope; the scopes are: %s", strings.Join(All(), " "))
		}
	}
	redirects, err := tenant.CleanRedirects(in.RedirectURIs, env == tenant.Sandbox)
	if err != nil {
		return Key{}, secret.Text{}, err
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	value := id.Token()
	key := Key{
		ID: id.UUID(), AccountID: account.ID, AccountDomain: account.Domain, Env: env, Name: name, Scopes: slices.Compact(scopes),
		Organizations: in.Organizations, RedirectURIs: redirects, SecretDigest: Digest(value), CreatedAt: s.Now(),
	}
	if err := s.Store.CreateKey(ctx, key); err != nil {
		return Key{}, secret.Text{}, err
	}
	return key, value, nil
}

// CreateUnder makes a key on behalf of another one: it can never reach
// further than its maker.
func (s *Service) CreateUnder(ctx context.Context, maker Key, in New) (Key, secret.Text, error) {
	if len(in.Scopes) == 0 {
		in.Scopes = slices.DeleteFunc(Standard(), func(scope string) bool { return !maker.Has(scope) })
	}
	for _, scope := range in.Scopes {
		if !maker.Has(scope) && slices.Contains(All(), scope) {
			return Key{}, secret.Text{}, fault.Newf(fault.Forbidden, "insufficient_scope", "a key cannot grant %s, which it does not have itself", scope)
		}
	}
	if len(in.Organizations) == 0 {
		in.Organizations = maker.Organizations
	}
	for _, org := range in.Organizations {
		if !maker.Reaches(org) {
			return Key{}, secret.Text{}, tenant.ErrNotFound
		}
	}
	account := tenant.Account{ID: maker.AccountID, Domain: maker.AccountDomain}
	return s.Create(ctx, account, maker.Env, in)
}

// List returns the keys that reach no further than the caller's own, newest
// first.
func (s *Service) List(ctx context.Context, caller Key, page listing.Page) (listing.Result[Key], error) {
	if len(caller.Organizations) == 0 {
		return s.Store.Keys(ctx, caller.AccountID, caller.Env, page)
	}
	// Which lists lie within another is no question for the database. Keys
	// that are narrowed and may list others are few, and so are keys.
	covered := listing.Result[Key]{Page: page}
	for number := 1; ; number++ {
		some, err := s.Store.Keys(ctx, caller.AccountID, caller.Env, listing.Of(number, listing.MaxPer))
		if err != nil {
			return listing.Result[Key]{}, err
		}
		for _, key := range some.Items {
			if !caller.Covers(key) {
				continue
			}
			if covered.Total >= page.Offset() && len(covered.Items) < page.Per {
				covered.Items = append(covered.Items, key)
			}
			covered.Total++
		}
		if len(some.Items) < listing.MaxPer {
			return covered, nil
		}
	}
}

// RevokeUnder ends a key on behalf of another one, or returns ErrNotFound: a
// key that reaches further than the caller's own answers like none.
func (s *Service) RevokeUnder(ctx context.Context, caller Key, keyID string) (Key, error) {
	if !id.IsUUID(keyID) {
		return Key{}, ErrNotFound
	}
	key, err := s.Store.KeyByID(ctx, keyID)
	if err != nil {
		return Key{}, err
	}
	if !caller.Covers(key) {
		return Key{}, ErrNotFound
	}
	return s.Revoke(ctx, caller.AccountID, caller.Env, keyID)
}

// Revoke ends a key and with it every token made for it, or returns
// ErrNotFound.
func (s *Service) Revoke(ctx context.Context, account, env, keyID string) (Key, error) {
	if !id.IsUUID(keyID) {
		return Key{}, ErrNotFound
	}
	return s.Store.RevokeKey(ctx, account, env, keyID, s.Now())
}

// Digest is the stored form of a secret of 256 random bits.
func Digest(value secret.Text) []byte {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return sum[:]
}
