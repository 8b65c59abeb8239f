// Package notice owns the mails that tell users what happened to their
// accounts: a new password, another factor, another address, somebody who
// fails at the second factor.
//
// What goes with a change of state is an entry of the outbox, written in the
// transaction of the change. What goes with none, because nothing changed, is
// written by itself and no more often than is of use.
package notice

import (
	"context"
	"errors"
	"fmt"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

// life is how long news is worth telling.
const life = 24 * time.Hour

// About is whom a notice is for, and with whose name.
type About struct {
	Org  tenant.Organization
	User user.User
	By   activity.By
	// Own are the organization's words for this notice, none for ours: see
	// [Service.Own].
	Own template.Contents
}

// Store writes entries that belong to no other change.
type Store interface {
	// EnqueueWithin takes the budget and writes the entries, in one
	// transaction. A spent budget is its fault, and nothing is written.
	EnqueueWithin(ctx context.Context, b challenge.Budget, at time.Time, entries ...outbox.Entry) error
}

// Service makes notices.
type Service struct {
	Outbox *outbox.Composer
	Store  Store
	Relay  outbox.Waker
	Now    func() time.Time
	// Templates are organizations' own words.
	Templates *template.Service
}

// Own looks for the organization's own words for a notice. It reads, so it
// comes before the transaction of the change that the notice goes with.
func (s *Service) Own(ctx context.Context, t tenant.ID, org tenant.Organization, kind string) (template.Contents, error) {
	return s.Templates.Find(ctx, template.Wanted{Tenant: t, Org: org, Kind: kind})
}

// Mail is Entry with the organization's own words, where it has any.
func (s *Service) Mail(ctx context.Context, a About, kind, detail string) (outbox.Entry, error) {
	var err error
	if a.Own, err = s.Own(ctx, a.User.Tenant, a.Org, kind); err != nil {
		return outbox.Entry{}, err
	}
	return s.Entry(a, kind, detail)
}

// Entry is a notice that goes with a change of state. The detail is a word
// such as sms that says what was changed; it may be empty.
func (s *Service) Entry(a About, kind, detail string) (outbox.Entry, error) {
	return s.To(a, a.User.Email, kind, detail)
}

// To is Entry for another address than the user's own: the one before.
func (s *Service) To(a About, address user.Address, kind, detail string) (outbox.Entry, error) {
	return s.mail(a, address, event.Mail{Template: kind, Detail: detail})
}

// Expiring is the notice that a password expires, and in how many days.
func (s *Service) Expiring(a About, at time.Time, days int) (outbox.Entry, error) {
	return s.mail(a, a.User.Email, event.Mail{Template: event.TemplateNoticePasswordExpiring, At: at.UnixMilli(), LifeMinutes: days * 24 * 60})
}

// mail writes what it says under the organization's name.
func (s *Service) mail(a About, address user.Address, content event.Mail) (outbox.Entry, error) {
	content.Brand, content.Color, content.LogoURL, content.Locale = a.Org.Name, a.Org.Color, a.Org.LogoURL, Locale(a.Org, &a.User)
	content.Words = a.Own.In(content.Locale, a.Org.Locale)
	content.GivenName = GivenName(content.Words, &a.User)
	return s.Outbox.Mail(outbox.Mail{
		Tenant: a.User.Tenant, UserID: a.User.ID, Kind: event.KindNotice, TraceID: a.By.TraceID, To: address.Mailbox(), Life: life, Content: content,
	})
}

// errOften never leaves this package.
var errOften = fault.New(fault.Limited, "notice_limit", "the user was told about this within the hour")

// Moved tells of another address of a user, under the old one and the new.
func (s *Service) Moved(ctx context.Context, t tenant.ID, org tenant.Organization, by activity.By) (user.Told, error) {
	own, err := s.Own(ctx, t, org, event.TemplateNoticeEmailChanged)
	return func(before, after user.User) ([]outbox.Entry, error) {
		if before.Email.Canonical == after.Email.Canonical {
			return nil, nil
		}
		entries := []outbox.Entry{s.Outbox.Event(activity.Record{Tenant: after.Tenant, UserID: after.ID, Action: event.TypeEmailChanged, By: by})}
		for _, address := range []user.Address{before.Email, after.Email} {
			mail, err := s.To(About{Org: org, User: after, By: by, Own: own}, address, event.TemplateNoticeEmailChanged, "")
			if err != nil {
				return nil, err
			}
			entries = append(entries, mail)
		}
		return entries, nil
	}, err
}

// Tell sends a notice that goes with no change, at most once an hour and user,
// with the public event of the same news: something that failed.
func (s *Service) Tell(ctx context.Context, a About, kind, typ string) error {
	mail, err := s.Mail(ctx, a, kind, "")
	if err != nil {
		return err
	}
	t := a.User.Tenant
	hourly := challenge.Budget{
		Key: fmt.Sprintf("notice|%s|%s|%s|%s", t.Org, t.Env, a.User.ID, kind), Span: time.Hour, Most: 1, Fault: errOften,
	}
	happened := s.Outbox.Event(activity.Record{Tenant: t, UserID: a.User.ID, Action: typ, Result: activity.Failure, By: a.By})
	err = s.Store.EnqueueWithin(ctx, hourly, s.Now(), mail, happened)
	if errors.Is(err, errOften) {
		return nil
	}
	if err == nil {
		s.Relay.Wake()
	}
	return err
}

// Locale is the user's, or else the organization's.
func Locale(org tenant.Organization, u *user.User) string {
	if u != nil && u.Profile.Locale != nil {
		return *u.Profile.Locale
	}
	return org.Locale
}

// GivenName is the user's, for an organization's own words alone: ours name
// nobody.
func GivenName(words *event.Words, u *user.User) string {
	if words == nil || u == nil || u.Profile.GivenName == nil {
		return ""
	}
	return *u.Profile.GivenName
}
