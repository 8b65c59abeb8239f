package password

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// Breaches knows the passwords that have leaked.
type Breaches interface {
	// Breached looks a password up, in its composed form. checked is false when
	// nobody could be asked: that is no error to anybody.
	Breached(ctx context.Context, plain secret.Text) (found, checked bool)
}

// Outcome is what came of looking a password up, for metrics.
type Outcome string

// The outcomes.
const (
	Found     Outcome = "found"
	Clean     Outcome = "clean"
	Unchecked Outcome = "unchecked" // nobody could say
)

// Outcomes are all outcomes.
func Outcomes() []Outcome { return []Outcome{Found, Clean, Unchecked} }

const (
	// askFor is how long looking up may take, so that an answer that waits for
	// it comes within two seconds.
	askFor = 1800 * time.Millisecond
	// askAgain is how long a password that has not leaked is taken not to have.
	// Lists grow; the owner of a password is there to be told when he logs in.
	askAgain = 30 * 24 * time.Hour
)

// choice is a password that somebody has chosen, and for whom.
type choice struct {
	connection Connection
	org        tenant.Organization
	address    user.Address
	user       *user.User // nil for who is to be made
	plain      secret.Text
}

func (c choice) locale() string { return notice.Locale(c.org, c.user) }

// assess refuses a choice that is easy to guess.
func (s *Service) assess(c choice) error {
	a, err := c.connection.policy().Assess(c.plain, s.knownOf(c.org, c.address, c.user), s.Blocklist)
	if err != nil {
		return err
	}
	return s.refuse(a.Refused(c.locale()))
}

// advise has a choice that is one of the passwords before say so to its user.
func (s *Service) advise(err error, c choice) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid {
		return s.refuse(refused(f, c.locale()))
	}
	return err
}

// lookUp refuses a choice that has leaked. It returns when that was found not
// to be so, the zero time when nobody could say: then the choice is taken, and
// the next login asks again.
func (s *Service) lookUp(ctx context.Context, c choice) (time.Time, error) {
	switch s.ask(ctx, c.plain) {
	case Found:
		return time.Time{}, s.refuse(refused(ErrBreached, c.locale()))
	case Clean:
		return s.Now().Truncate(time.Millisecond), nil
	case Unchecked:
	}
	return time.Time{}, nil
}

// ask looks a password up.
func (s *Service) ask(ctx context.Context, typed secret.Text) Outcome {
	plain, err := compose(typed)
	if s.Breaches == nil || err != nil {
		return Unchecked
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	outcome := Unchecked
	switch found, checked := s.Breaches.Breached(ctx, secret.New(plain)); {
	case found:
		outcome = Found
	case checked:
		outcome = Clean
	}
	if s.LookedUp != nil {
		s.LookedUp(outcome)
	}
	return outcome
}

// refuse counts a refusal, if it is one.
func (s *Service) refuse(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && s.Refused != nil {
		s.Refused(f.Code)
	}
	return err
}

// recheck looks up the right password of a login, where that was never done or
// long ago: one that was set while nobody could be asked, or was imported, or
// has leaked since. One that has leaked must change, by this very login. What
// fails here is done by the next.
func (s *Service) recheck(ctx context.Context, c link.Caller, u user.User, has Password, plain secret.Text) Password {
	now := s.Now().Truncate(time.Millisecond)
	if s.Breaches == nil || has.MustChange || now.Sub(has.CheckedAt) < askAgain {
		return has
	}
	var err error
	switch s.ask(ctx, plain) {
	case Found:
		has.MustChange, has.CheckedAt = true, now
		err = s.leaked(ctx, c, u, has)
	case Clean:
		has.CheckedAt = now
		err = s.Store.PasswordChecked(ctx, has, now)
	case Unchecked:
	}
	if err != nil {
		s.Log.WarnContext(ctx, "what is known of a password not stored", "user_id", u.ID, "error", err)
	}
	return has
}

// leaked makes a password one that must change, and tells of it once.
func (s *Service) leaked(ctx context.Context, c link.Caller, u user.User, has Password) error {
	mail, err := s.Notices.Mail(ctx, notice.About{Org: c.Org, User: u, By: c.By}, event.TemplateNoticePasswordCompromised, "")
	if err != nil {
		return err
	}
	happened := s.Outbox.Event(activity.Record{Tenant: u.Tenant, UserID: u.ID, Action: event.TypePasswordLeaked, By: c.By})
	first, err := s.Store.PasswordLeaked(ctx, has, has.CheckedAt, []outbox.Entry{happened, mail})
	if first {
		s.Relay.Wake()
	}
	return err
}

// endedAt is when a password that must change stopped being good: when it was
// found to have leaked, or at once: it never was good for more.
func (p Password) endedAt() time.Time {
	if p.CheckedAt.After(p.ChangedAt) {
		return p.CheckedAt
	}
	return p.ChangedAt
}
