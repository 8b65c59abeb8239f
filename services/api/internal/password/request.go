package password

import (
	"context"
	"log/slog"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Password is a password at rest.
type Password struct {
	Tenant tenant.ID
	UserID string
	Number int // counts the user's passwords; the contract's id
	Hash   string
	// MustChange lets it be used for nothing but setting another one.
	MustChange bool
	ChangedAt  time.Time
	HashedAt   time.Time // ChangedAt, or later when a login has made the hash anew
	// CheckedAt is when it was last looked up among leaked ones; the zero time
	// for never.
	CheckedAt time.Time
}

// Next is the password that a code is used for.
type Next struct {
	Code      link.Code
	Hash      string
	CheckedAt time.Time // as in [Password]
	User      user.User // who is made, if the code is for one who is to be made
	At        time.Time
}

// What may go wrong, as the caller reads it.
var (
	ErrUnknown = fault.New(fault.NotFound, "not_found", "not_found")
	ErrHas     = fault.New(fault.Conflict, "password_exists", "the user has a password; ask for a password request to replace it")
	ErrDirect  = fault.New(fault.Forbidden, "direct_creation_disabled", "passwords are created by a link here; the connection can allow direct_creation")
	ErrCode    = fault.New(fault.Invalid, "password_code_not_valid", "password_code is not valid: it was used, is too old, or belongs to somebody else; ask for a new link")
)

// Store keeps passwords.
type Store interface {
	ConnectionStore
	// Password returns a user's password; the zero Password when there is none.
	Password(ctx context.Context, t tenant.ID, userID string) (Password, error)
	// PasswordCode returns a live code within an account and environment with
	// its organization, or ErrCode.
	PasswordCode(ctx context.Context, account, env string, digest []byte, now time.Time) (link.Code, tenant.Organization, error)
	// AnyPasswordCode is PasswordCode for a page of ours, which knows nothing but
	// the code.
	AnyPasswordCode(ctx context.Context, digest []byte, now time.Time) (link.Code, tenant.Organization, error)
	// PutPasswordCode writes the code of a password that must change.
	PutPasswordCode(ctx context.Context, c link.Code) error
	// SetPassword uses a live code by one conditional statement and, in the
	// same transaction, makes the user if the code is for one who is to be
	// made, marks the address as verified, stores the password, ends the
	// user's other links, codes and grants, and writes the entries that
	// compose makes. ErrCode to all but one of many calls, and when the user
	// is gone, inactive or has another address by now.
	SetPassword(ctx context.Context, n Next, compose Compose) (Password, user.User, error)
	// ChangePassword replaces a password, if it is still the one before and the
	// session is there, ends the user's other links, codes, sessions and grants
	// in the same transaction, and writes the entries. It returns
	// session.ErrNone.
	ChangePassword(ctx context.Context, c Changed, told []outbox.Entry) error
	// CreatePassword stores a first password of an active user with the
	// entries that compose makes. ErrHas when there is one.
	CreatePassword(ctx context.Context, p Password, compose Compose) (Password, error)
	// ReplaceHash stores a newer hash of the same password, unless it was
	// changed since.
	ReplaceHash(ctx context.Context, p Password, hash string, now time.Time) error
	// PasswordChecked notes that the password was looked up among leaked ones
	// and not found, unless it was changed since.
	PasswordChecked(ctx context.Context, p Password, at time.Time) error
	// PasswordLeaked makes a password one that must change, by one conditional
	// statement, with entries that tell of it. It reports whether this call
	// did: nothing happens to one that must change already or was changed since.
	PasswordLeaked(ctx context.Context, p Password, at time.Time, entries []outbox.Entry) (bool, error)
	// ForcePassword makes a password one that must change and ends its user's
	// grants, by a condition, with entries that tell of it. It reports false
	// where it must already, or is another one by now.
	ForcePassword(ctx context.Context, p Password, at time.Time, entries []outbox.Entry) (forced bool, err error)
	// FormerHashes returns the hashes of the newest former passwords.
	FormerHashes(ctx context.Context, t tenant.ID, userID string, most int) ([]string, error)
}

// Compose makes the entries that go with a change, once its user is known.
type Compose func(u user.User, created bool) ([]outbox.Entry, error)

// Users find users.
type Users interface {
	Find(ctx context.Context, t tenant.ID, key string) (user.User, error)
}

// Guard counts guesses and compares.
type Guard interface {
	Password(ctx context.Context, w guard.Whose, candidate secret.Text, stored string) (guard.Compared, error)
	ClearPassword(ctx context.Context, w guard.Whose) error
	// SamePassword compares without counting: for a new password against the
	// one before.
	SamePassword(ctx context.Context, org string, candidate secret.Text, stored string) (bool, error)
}

// Service is the rules of passwords.
type Service struct {
	Store   Store
	Users   Users
	Links   *link.Service
	Logins  *login.Service
	Guard   Guard
	Hasher  *Hasher
	Outbox  *outbox.Composer
	Notices *notice.Service
	Relay   outbox.Waker
	Index   link.Index
	// Host is that of the base URL: a word that nobody's password leans on.
	Host      string
	Blocklist *Blocklist // the operator's; nil for none
	Breaches  Breaches   // nil asks nobody
	// Refused hears the code of every refusal of a new password, LookedUp what
	// came of asking Breaches; nil hears nothing.
	Refused  func(code string)
	LookedUp func(Outcome)
	Now      func() time.Time
	Log      *slog.Logger
}

// Asked is a password request that was accepted.
type Asked struct {
	link.Issued
	UserID string
}

// Request sends a link with which a password is created or reset. Nobody
// learns from its answer whether the address has a user, unless the connection
// has verbose errors: the user id of an address without one is an id like any
// other that belongs to nobody. A browser is not told that either; without a
// redirect URI its link leads to a page of ours.
func (s *Service) Request(ctx context.Context, c link.Caller, email, redirectURI string, mayCreate bool) (Asked, error) {
	who, err := s.about(ctx, c, email)
	if err != nil {
		return Asked{}, err
	}
	connection, address, u := who.connection, who.address, who.user
	mayCreate = mayCreate && !who.closed
	if redirectURI != "" || !c.Browser() {
		if err := tenant.CheckRedirect(c.Tenant.Env, append(c.Key.RedirectURIs, c.Org.RedirectURIs...), redirectURI); err != nil {
			return Asked{}, err
		}
	}
	byCaller, err := byCaller(c, connection.Delivery)
	if err != nil {
		return Asked{}, err
	}
	if u == nil && !mayCreate && connection.VerboseErrors && !c.Browser() { // whose answer anybody may read
		return Asked{}, ErrUnknown
	}
	n := link.New{
		Kind: event.KindPassword, RequestKind: "password-request", Tenant: c.Tenant, Org: c.Org, User: u, Email: address, MayCreate: mayCreate,
		Purpose: link.Create, Template: event.TemplatePasswordCreate, RedirectURI: redirectURI, Flow: c.Flow, ClientID: c.ClientID(), ByCaller: byCaller,
		Life: link.PasswordLife, TraceID: c.By.TraceID,
	}
	asked := Asked{UserID: s.nobody(c.Tenant, address)}
	if u != nil {
		asked.UserID = u.ID
		has, err := s.Store.Password(ctx, c.Tenant, u.ID)
		if err != nil {
			return Asked{}, err
		}
		if has.Number > 0 {
			n.Purpose, n.Template, n.Words = link.Reset, event.TemplatePasswordReset, connection.Template
		}
	}
	asked.Issued, err = s.Links.Issue(ctx, n)
	return asked, err
}

// subject is whom a call is about.
type subject struct {
	connection Connection
	address    user.Address
	user       *user.User // nil for none that could be asked
	closed     bool       // the address is a deactivated user's, and nobody else's to take
}

// about reads what every call needs.
func (s *Service) about(ctx context.Context, c link.Caller, email string) (subject, error) {
	connection, err := s.Store.PasswordConnection(ctx, c.Tenant)
	if err != nil {
		return subject{}, err
	}
	address, err := user.ParseAddress(email)
	if err != nil {
		return subject{}, err
	}
	who := subject{connection: connection, address: address}
	u, err := s.Users.Find(ctx, c.Tenant, address.Written)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return who, nil
	case err != nil:
		return subject{}, err
	case u.Active:
		who.user = &u
	default:
		who.closed = true
	}
	return who, nil
}

// nobody is the id in answers about an address without a user.
func (s *Service) nobody(t tenant.ID, address user.Address) string {
	return id.FromDigest(s.Index.Sum("user.nobody", t.Org, t.Env, address.Canonical))
}

// byCaller reports whether the caller sends the link itself. What a browser
// asks for is sent from here, as codes by mail are.
func byCaller(c link.Caller, delivery string) (bool, error) {
	if delivery != tenant.DeliverCaller || c.Browser() {
		return false, nil
	}
	if !c.Key.Has(apikey.CodesRead) {
		return false, fault.New(fault.Forbidden, "insufficient_scope", "the connection says delivery=caller, so the answer would hold the link; that needs the scope codes:read")
	}
	return true, nil
}
