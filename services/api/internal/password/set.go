package password

import (
	"context"
	"slices"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/apikey"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Set is what a password is set with.
type Set struct {
	Code  secret.Text // empty: created directly
	Email string      // may be left out beside a code; must fit it otherwise
	Plain secret.Text
}

// Done is a password that was set, and how far the login with it has come.
type Done struct {
	Password
	Org       tenant.Organization
	RequestID string
	login.Completed
}

// Set stores a password and, where it was proven whose it is, ends a login
// with it. It returns ErrCode, a fault of kind Invalid that says what is wrong
// with the password (the code is then still good), or what Direct returns.
func (s *Service) Set(ctx context.Context, c link.Caller, in Set) (Done, error) {
	if in.Code.IsZero() {
		return s.direct(ctx, c, in)
	}
	code, org, err := s.Store.PasswordCode(ctx, c.Tenant.Account, c.Tenant.Env, link.Digest(in.Code), s.Now())
	if err != nil {
		return Done{}, err
	}
	if err := fits(code, c, in); err != nil {
		return Done{}, err
	}
	c.Org = org
	connection, err := s.Store.PasswordConnection(ctx, code.Tenant)
	if err != nil {
		return Done{}, err
	}
	u, err := s.ofCode(ctx, code)
	if err != nil {
		return Done{}, err
	}
	choice := choice{connection: connection, org: org, address: code.Email, user: u, plain: in.Plain}
	if err := s.assess(choice); err != nil {
		return Done{}, err
	}
	if err := s.differs(ctx, code, in.Plain, connection.Life.History); err != nil {
		return Done{}, s.advise(err, choice)
	}
	checkedAt, err := s.lookUp(ctx, choice)
	if err != nil {
		return Done{}, err
	}
	hash, err := s.Hasher.Hash(ctx, code.Tenant.Org, in.Plain)
	if err != nil {
		return Done{}, err
	}
	stored, owner, err := s.store(ctx, c, Next{Code: code, Hash: hash, CheckedAt: checkedAt})
	if err != nil {
		return Done{}, err
	}
	return s.finish(ctx, c, code, stored, owner), nil
}

// Opened tells from which request a live code comes, and leaves it as it is. It
// returns ErrCode.
func (s *Service) Opened(ctx context.Context, c link.Caller, code secret.Text) (requestID string, err error) {
	found, _, err := s.Store.PasswordCode(ctx, c.Tenant.Account, c.Tenant.Env, link.Digest(code), s.Now())
	if err != nil {
		return "", err
	}
	return found.RequestID, fits(found, c, Set{})
}

// ofCode is the user of a code, nil for one who is to be made by it.
func (s *Service) ofCode(ctx context.Context, code link.Code) (*user.User, error) {
	if code.UserID == "" {
		return nil, nil
	}
	u, err := s.Users.Find(ctx, code.Tenant, code.UserID)
	if fault.KindOf(err) == fault.NotFound {
		err = ErrCode.Because(err)
	}
	return &u, err
}

// fits reports ErrCode for a code of somebody else, be it another
// organization's, another user's or one out of the key's reach.
func fits(code link.Code, c link.Caller, in Set) error {
	if !c.Key.Reaches(code.Tenant.Org) || c.Tenant.Org != "" && c.Tenant.Org != code.Tenant.Org {
		return ErrCode
	}
	if in.Email == "" {
		return nil
	}
	address, err := user.ParseAddress(in.Email)
	if err != nil || address.Canonical != code.Email.Canonical {
		return ErrCode.Because(err)
	}
	return nil
}

func (s *Service) store(ctx context.Context, c link.Caller, n Next) (Password, user.User, error) {
	now := s.Now().Truncate(time.Millisecond)
	n.At = now
	n.User = user.User{ID: id.UUID(), Tenant: n.Code.Tenant, Email: n.Code.Email, EmailVerified: true, Active: true, CreatedAt: now, UpdatedAt: now}
	told, err := s.told(ctx, c, n.Code.Tenant, n.Code.Purpose)
	if err != nil {
		return Password{}, user.User{}, err
	}
	stored, u, err := s.Store.SetPassword(ctx, n, told)
	if err == nil {
		s.Relay.Wake()
	}
	return stored, u, err
}

// finish gives the user a clean slate of guesses and ends the login that the
// code belongs to: setting a password proves no second factor.
func (s *Service) finish(ctx context.Context, c link.Caller, code link.Code, stored Password, u user.User) Done {
	if err := s.Guard.ClearPassword(ctx, s.whose(code.Tenant, u.Email, &u)); err != nil {
		s.Log.WarnContext(ctx, "guesses of a password not cleared", "user_id", u.ID, "error", err)
	}
	done := Done{Password: stored, Org: c.Org, RequestID: code.RequestID}
	if c.Browser() { // its app begins a login, with all that this needs
		return done
	}
	completed, err := s.Logins.Complete(ctx, login.Login{
		RequestID: code.RequestID, Tenant: code.Tenant, UserID: u.ID, ClientID: code.ClientID, AMR: proven(code.Proofs), At: s.Now(), Password: stored.Number,
	})
	if err != nil {
		// The password is set and the code is used: an error would say
		// neither. Without a code its user logs in with it.
		s.Log.WarnContext(ctx, "login with a new password not ended", "user_id", u.ID, "error", err)
		return done
	}
	done.Completed = completed
	return done
}

// proven adds the password: whoever has just set it knows it.
func proven(proofs []string) []string {
	if slices.Contains(proofs, grant.Password) {
		return proofs
	}
	return append(slices.Clone(proofs), grant.Password)
}

// told makes the news of a new password: an event, and a mail to its user.
func (s *Service) told(ctx context.Context, c link.Caller, t tenant.ID, purpose link.Purpose) (Compose, error) {
	own, err := s.Notices.Own(ctx, t, c.Org, event.TemplateNoticePasswordChanged)
	return func(u user.User, created bool) ([]outbox.Entry, error) {
		var entries []outbox.Entry
		if created {
			entries = append(entries, s.Outbox.Event(activity.Record{
				Tenant: u.Tenant, UserID: u.ID, Action: event.TypeUserCreated, By: c.By, Data: map[string]string{"by": "password_request"},
			}))
		}
		typ := event.TypePasswordChanged
		if purpose == link.Create {
			typ = event.TypePasswordCreated
		}
		entries = append(entries, s.Outbox.Event(activity.Record{Tenant: u.Tenant, UserID: u.ID, Action: typ, By: c.By}))
		mail, err := s.Notices.Entry(notice.About{Org: c.Org, User: u, By: c.By, Own: own}, event.TemplateNoticePasswordChanged, "")
		return append(entries, mail), err
	}, err
}

// direct creates a password that nobody has proven to be the user's: only
// where there is none, and good for nothing but setting another one.
func (s *Service) direct(ctx context.Context, c link.Caller, in Set) (Done, error) {
	if c.Tenant.Org == "" || in.Email == "" {
		return Done{}, fault.New(fault.Invalid, "missing_parameter", "password_code, or user_email and org_domain, must be provided")
	}
	who, err := s.about(ctx, c, in.Email)
	connection, u := who.connection, who.user
	switch {
	case err != nil:
		return Done{}, err
	case !connection.DirectCreation:
		return Done{}, ErrDirect
	case !c.Key.Has(apikey.PasswordsCreateUnverified):
		return Done{}, fault.New(fault.Forbidden, "insufficient_scope", "creating a password without a link needs the scope "+apikey.PasswordsCreateUnverified)
	case u == nil:
		return Done{}, ErrUnknown
	}
	choice := choice{connection: connection, org: c.Org, address: who.address, user: u, plain: in.Plain}
	if err := s.assess(choice); err != nil {
		return Done{}, err
	}
	checkedAt, err := s.lookUp(ctx, choice)
	if err != nil {
		return Done{}, err
	}
	hash, err := s.Hasher.Hash(ctx, c.Tenant.Org, in.Plain)
	if err != nil {
		return Done{}, err
	}
	told, err := s.told(ctx, c, c.Tenant, link.Create)
	if err != nil {
		return Done{}, err
	}
	stored, err := s.Store.CreatePassword(ctx, Password{
		Tenant: c.Tenant, UserID: u.ID, Number: 1, Hash: hash, MustChange: true, ChangedAt: s.Now().Truncate(time.Millisecond), CheckedAt: checkedAt,
	}, told)
	if err != nil {
		return Done{}, err
	}
	s.Relay.Wake()
	return Done{Password: stored, Org: c.Org, RequestID: id.Request("password"), Completed: login.Completed{MustChange: true}}, nil
}

func (s *Service) whose(t tenant.ID, address user.Address, u *user.User) guard.Whose {
	w := guard.Whose{Tenant: t, Canonical: address.Canonical}
	if u != nil {
		w.UserID = u.ID
	}
	return w
}
