package password

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/user"
)

// Verdict of a challenge.
type Verdict struct {
	RequestID string
	UserID    string
	Number    int
	Valid     bool
	Unknown   bool // told apart from wrong only with verbose errors
	login.Completed
	// Renew is the code to set another password with, where this one is not
	// good for a login any more.
	Renew secret.Text
}

// Challenge checks a password. Every address costs one hash and answers
// alike, whether it has a user, a password or neither. It returns the guard's
// faults: a pause after wrong ones, or no room for another hash.
func (s *Service) Challenge(ctx context.Context, c link.Caller, email string, plain secret.Text, source netip.Addr) (Verdict, error) {
	who, err := s.about(ctx, c, email)
	if err != nil {
		return Verdict{}, err
	}
	connection, address, u := who.connection, who.address, who.user
	if err := CheckSize(plain); err != nil {
		return Verdict{}, err
	}
	v := Verdict{RequestID: c.RequestID, UserID: s.nobody(c.Tenant, address)}
	if !c.Browser() {
		v.RequestID = id.Request("password-challenge")
	}
	has, err := s.Store.Password(ctx, c.Tenant, s.orNobody(u, v.UserID))
	if err != nil {
		return Verdict{}, err
	}
	whose := s.whose(c.Tenant, address, u)
	whose.Source, whose.Device = source, c.Device
	compared, err := s.Guard.Password(ctx, whose, plain, has.Hash)
	if err != nil {
		return Verdict{}, err
	}
	if compared.Shut && u != nil {
		s.tellShut(ctx, c, *u)
	}
	if !compared.OK {
		v.Unknown = connection.VerboseErrors && (u == nil || has.Number == 0)
		return v, nil
	}
	has = s.recheck(ctx, c, *u, has, plain)
	now := s.Now().Truncate(time.Millisecond)
	if s.Hasher.NeedsRehash(has.Hash, now.Sub(has.HashedAt), connection.PepperRotation) {
		s.rehash(ctx, has, plain, now)
	}
	passed, err := s.passed(ctx, c, who, has, v)
	if errors.Is(err, login.ErrStale) { // somebody has reset it meanwhile, for a reason
		return v, nil
	}
	return passed, err
}

// tellShut tells a user whose password was just shut. Guessing goes on to be
// refused whether that succeeds or not.
func (s *Service) tellShut(ctx context.Context, c link.Caller, u user.User) {
	err := s.Notices.Tell(ctx, notice.About{Org: c.Org, User: u, By: c.By}, event.TemplateNoticePasswordDisabled, event.TypePasswordShut)
	if err != nil {
		s.Log.WarnContext(ctx, "user not told of a password that was shut", "user_id", u.ID, "error", err)
	}
}

// passed goes on from a right password.
func (s *Service) passed(ctx context.Context, c link.Caller, who subject, has Password, v Verdict) (Verdict, error) {
	v.Valid, v.UserID, v.Number = true, who.user.ID, has.Number
	expires, lapses := who.connection.Life.Ends(has)
	if has.MustChange {
		expires = has.endedAt()
	}
	done, err := s.Logins.Complete(ctx, login.Login{
		RequestID: v.RequestID, Tenant: c.Tenant, UserID: who.user.ID, ClientID: c.ClientID(), AMR: []string{grant.Password}, At: s.Now(),
		Browser:  c.Browser(),
		Password: has.Number, MustChange: has.MustChange, Expires: expires, Lapses: lapses,
	})
	if err != nil {
		return Verdict{}, err
	}
	v.Completed = done
	if done.MustChange && !c.Browser() { // no page takes such a code
		v.Renew, err = s.Renew(ctx, *who.user, done.Login)
	}
	return v, err
}

// Renew makes the code with which a password that must change is changed,
// once all has been proven that a login needs.
func (s *Service) Renew(ctx context.Context, u user.User, l login.Login) (secret.Text, error) {
	now := s.Now().Truncate(time.Millisecond)
	value := id.Token()
	if err := s.Store.PutPasswordCode(ctx, link.Code{
		Digest: link.Digest(value), RequestID: l.RequestID, Tenant: l.Tenant, UserID: u.ID, Email: u.Email, Purpose: link.Renew,
		Proofs: l.AMR, ClientID: l.ClientID, CreatedAt: now, ExpiresAt: now.Add(link.CodeLife),
	}); err != nil {
		return secret.Text{}, err
	}
	return value, s.Logins.Current(ctx, l)
}

// rehash brings a password up to the parameters of today. It may fail: the
// next login tries again.
func (s *Service) rehash(ctx context.Context, has Password, plain secret.Text, now time.Time) {
	hash, err := s.Hasher.Hash(ctx, has.Tenant.Org, plain)
	if err == nil {
		err = s.Store.ReplaceHash(ctx, has, hash, now)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "password not hashed anew", "user_id", has.UserID, "error", err)
	}
}

func (s *Service) orNobody(u *user.User, nobody string) string {
	if u == nil {
		return nobody
	}
	return u.ID
}
