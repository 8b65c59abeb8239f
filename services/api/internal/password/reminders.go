package password

import (
	"context"
	"errors"
	"strconv"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
)

const day = 24 * time.Hour

// reminders are when users are told, before their password expires, the
// nearest first. One that would be due when the password is set is none.
var reminders = [...]time.Duration{day, 3 * day, 14 * day}

// Expiring is a connection whose passwords expire.
type Expiring struct {
	Tenant tenant.ID
	Org    tenant.Organization
	TTL    time.Duration
}

// Due are passwords whose users are to be told, of one connection: those set
// after one time and not after another, of which nobody was told at this age
// or a greater one.
type Due struct {
	Tenant       tenant.ID
	After, Until time.Time
	Age          time.Duration
}

// Remind makes what tells a user of a password that was set at a time.
type Remind func(u user.User, changedAt time.Time) ([]outbox.Entry, error)

// ReminderStore finds passwords that expire soon.
type ReminderStore interface {
	// ExpiringConnections lists connections with a TTL, in the order of their
	// tenants, after one.
	ExpiringConnections(ctx context.Context, after tenant.ID, most int) ([]Expiring, error)
	// Remind takes a portion of what is due: it notes the age by one conditional
	// statement and writes what remind makes, in one transaction. Of parallel
	// calls each password goes to one. Of deactivated users the age is noted
	// and nothing written. It returns how many were taken; zero is no more, or
	// none that somebody else does not have in hand.
	Remind(ctx context.Context, d Due, remind Remind) (taken int, err error)
}

// Reminders tell users that their passwords will expire.
type Reminders struct {
	Store   ReminderStore
	Notices *notice.Service
	Now     func() time.Time
}

// connectionsAtOnce are read in one portion.
const connectionsAtOnce = 100

// Sweep tells everybody who is to be told now, once for each password and
// reminder however many replicas sweep. Of several reminders that were missed
// it sends the last alone. What fails in one connection does not stop others.
func (s *Reminders) Sweep(ctx context.Context) error {
	var errs []error
	for after := (tenant.ID{}); ; {
		page, err := s.Store.ExpiringConnections(ctx, after, connectionsAtOnce)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, e := range page {
			errs = append(errs, s.sweep(ctx, e))
		}
		if len(page) < connectionsAtOnce || ctx.Err() != nil {
			return errors.Join(errs...)
		}
		after = page[len(page)-1].Tenant
	}
}

// sweep does one connection. The windows of its reminders do not overlap, so a
// password is in the one of its nearest reminder only. A new password counts as
// told at the age of zero, so what would be due by then never is.
func (s *Reminders) sweep(ctx context.Context, e Expiring) error {
	own, err := s.Notices.Own(ctx, e.Tenant, e.Org, event.TemplateNoticePasswordExpiring)
	if err != nil {
		return err
	}
	now, nearer := s.Now(), time.Duration(0)
	for _, before := range reminders {
		d := Due{Tenant: e.Tenant, After: now.Add(nearer - e.TTL), Until: now.Add(before - e.TTL), Age: e.TTL - before}
		for more := true; more; {
			taken, err := s.Store.Remind(ctx, d, s.remind(e, own, now))
			if err != nil {
				return err
			}
			if more = taken > 0; more {
				s.Notices.Relay.Wake()
			}
		}
		nearer = before
	}
	return nil
}

// remind makes the event and the mail.
func (s *Reminders) remind(e Expiring, own template.Contents, now time.Time) Remind {
	return func(u user.User, changedAt time.Time) ([]outbox.Entry, error) {
		expires := changedAt.Add(e.TTL)
		left := int((expires.Sub(now) + day - time.Millisecond) / day) // one that has begun counts
		by := activity.By{Actor: activity.System}
		mail, err := s.Notices.Expiring(notice.About{Org: e.Org, User: u, By: by, Own: own}, expires, left)
		happened := s.Notices.Outbox.Event(activity.Record{
			Tenant: e.Tenant, UserID: u.ID, Action: event.TypePasswordExpires, By: by,
			Data: map[string]string{"days_left": strconv.Itoa(left), "expires_at": strconv.FormatInt(expires.UnixMilli(), 10)},
		})
		return []outbox.Entry{mail, happened}, err
	}
}
