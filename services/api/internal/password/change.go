package password

import (
	"context"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Own is a change of a password by its user, in a session that is good.
type Own struct {
	Org     tenant.Organization
	By      activity.By
	Session session.Session // it stays, with what came of it
	Plain   secret.Text
}

// Changed is a password that its user has changed.
type Changed struct {
	Before    Password
	Hash      string
	CheckedAt time.Time // as in [Password]
	At        time.Time
	User      user.User
	SessionID string
}

// Change replaces the password of whoever is signed in and ends what they are
// signed in to elsewhere. It returns ErrNone, session.ErrNone when the
// session has ended or the password was changed meanwhile, or a fault of kind
// Invalid that says what is wrong with the new one.
func (s *Service) Change(ctx context.Context, in Own) error {
	t, u := in.Session.Tenant, in.Session.User
	connection, err := s.Store.PasswordConnection(ctx, t)
	if err != nil {
		return err
	}
	before, err := s.Store.Password(ctx, t, u.ID)
	if err == nil && before.Number == 0 {
		err = ErrNone
	}
	if err != nil {
		return err
	}
	choice := choice{connection: connection, org: in.Org, address: u.Email, user: &u, plain: in.Plain}
	if err := s.assess(choice); err != nil {
		return err
	}
	if err := s.differs(ctx, link.Code{Tenant: t, UserID: u.ID}, in.Plain, connection.Life.History); err != nil {
		return s.advise(err, choice)
	}
	checkedAt, err := s.lookUp(ctx, choice)
	if err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, t.Org, in.Plain)
	if err != nil {
		return err
	}
	told, err := s.toldOwn(ctx, in)
	if err != nil {
		return err
	}
	if err := s.Store.ChangePassword(ctx, Changed{
		Before: before, Hash: hash, CheckedAt: checkedAt, At: s.Now().Truncate(time.Millisecond), User: u, SessionID: in.Session.ID,
	}, told); err != nil {
		return err
	}
	s.Relay.Wake()
	if err := s.Guard.ClearPassword(ctx, s.whose(t, u.Email, &u)); err != nil {
		s.Log.WarnContext(ctx, "guesses of a password not cleared", "user_id", u.ID, "error", err)
	}
	return nil
}

// toldOwn makes the news of it: an event, and a mail to its user.
func (s *Service) toldOwn(ctx context.Context, in Own) ([]outbox.Entry, error) {
	t, u := in.Session.Tenant, in.Session.User
	mail, err := s.Notices.Mail(ctx, notice.About{Org: in.Org, User: u, By: in.By}, event.TemplateNoticePasswordChanged, "")
	happened := s.Outbox.Event(activity.Record{Tenant: t, UserID: u.ID, Action: event.TypePasswordChanged, By: in.By})
	return []outbox.Entry{happened, mail}, err
}
