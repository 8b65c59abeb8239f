package factor

import (
	"context"
	"errors"
	"strconv"

	"countersign.dev/pkg/event"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
)

// What is recorded and told of factors. Each goes with its change, in one
// transaction.

func (s *Service) happened(w Whose, action string, data map[string]string) outbox.Entry {
	return s.Notices.Outbox.Event(activity.Record{Tenant: w.Tenant, UserID: w.User.ID, Action: action, By: w.By, Data: data})
}

func (s *Service) failed(w Whose, action string, data map[string]string) outbox.Entry {
	by := activity.By{Actor: activity.System, TraceID: w.By.TraceID}
	return s.Notices.Outbox.Event(activity.Record{Tenant: w.Tenant, UserID: w.User.ID, Action: action, Result: activity.Failure, By: by, Data: data})
}

func (s *Service) mail(ctx context.Context, w Whose, template, detail string) (outbox.Entry, error) {
	return s.Notices.Mail(ctx, notice.About{Org: w.Org, User: w.User, By: w.By}, template, detail)
}

// accepted is the record of a right code.
func (s *Service) accepted(w Whose, method, factorID string) outbox.Entry {
	return s.happened(w, event.TypeCodeAccepted, map[string]string{"method": method, "factor": factorID})
}

// toldConfirmed is the news of a new factor, and of new recovery codes.
func (s *Service) toldConfirmed(ctx context.Context, w Whose, c Confirmation) ([]outbox.Entry, error) {
	f := c.Factor
	entries := []outbox.Entry{s.happened(w, event.TypeFactorEnrolled, map[string]string{"method": f.Method, "mode": string(f.Mode), "factor": f.ID})}
	if c.Set.ID != "" {
		entries = append(entries, s.happened(w, event.TypeRecoveryCodes, map[string]string{"count": strconv.Itoa(len(c.Set.Tags))}))
	}
	template := event.TemplateNoticeFactorChanged
	if f.Mode == Reset {
		template = event.TemplateNoticeFactorsReset
	}
	mail, err := s.mail(ctx, w, template, f.Method)
	return append(entries, mail), err
}

func isShut(err error) bool { return errors.Is(err, guard.ErrShut) }
