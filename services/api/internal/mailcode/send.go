package mailcode

import (
	"context"
	"time"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/link"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/template"
)

// Send mails a new code in place of the one before. It returns link.ErrMails
// when the address had its share, and a fault of kind Unavailable when a part
// is down; then no mail was promised, and the code before may be dead.
func (s *Service) Send(ctx context.Context, w Whose) error {
	code, err := challenge.NewCode()
	if err != nil {
		return err
	}
	mail, err := s.mail(ctx, w, code)
	if err != nil {
		return err
	}
	armed := false
	ended, err := s.Store.PutMailCode(ctx, Put{
		Mail: mail, Void: w.User == nil, Budgets: link.Mails(s.Index, w.Tenant.Env, w.Address), At: mail.CreatedAt,
		Arm: func(ctx context.Context) (string, error) {
			armed = true
			return s.arm(ctx, w, mail, code)
		},
	})
	if err != nil {
		if armed {
			s.disarm(ctx, w, mail.ID)
		}
		return err
	}
	s.withdraw(ctx, ended)
	s.Relay.Wake()
	return nil
}

// Show makes a code live that nobody mails, in place of the one before of its
// kind, and returns it: whoever has opened a link reads it there and types it
// where the link was asked for. The user and the flow must be given.
func (s *Service) Show(ctx context.Context, w Whose) (secret.Text, error) {
	code, err := challenge.NewCode()
	if err != nil {
		return secret.Text{}, err
	}
	now := s.Now()
	_, err = s.arm(ctx, w, outbox.Entry{ID: id.UUID(), CreatedAt: now, ExpiresAt: now.Add(Life)}, code)
	return code, err
}

// mail is the message with the code. It is made for nobody too, though it
// stays here.
func (s *Service) mail(ctx context.Context, w Whose, code secret.Text) (outbox.Entry, error) {
	own, err := s.Templates.Find(ctx, template.Wanted{Tenant: w.Tenant, Org: w.Org, Kind: event.TemplateCode})
	if err != nil {
		return outbox.Entry{}, err
	}
	locale := notice.Locale(w.Org, w.User)
	words := own.In(locale, w.Org.Locale)
	return s.Outbox.Mail(outbox.Mail{
		Tenant: w.Tenant, UserID: w.userID(), Kind: event.KindMagicLink, RequestID: w.RequestID, TraceID: w.By.TraceID, To: w.Address.Mailbox(), Life: Life,
		Content: event.Mail{
			Template: event.TemplateCode, Code: code.Reveal(), Brand: w.Org.Name, Color: w.Org.Color, LogoURL: w.Org.LogoURL,
			Locale: locale, Words: words, GivenName: notice.GivenName(words, w.User),
		},
	})
}

// arm makes the code live and returns the delivery of the one that it
// replaces. Its id is the delivery's, so that disarming it touches no other.
func (s *Service) arm(ctx context.Context, w Whose, mail outbox.Entry, code secret.Text) (replaced string, err error) {
	digest := s.digest(w, code)
	if w.User == nil {
		digest = s.digest(w, id.Token()) // as good as none: no six digits match
	}
	before, err := s.Codes.Arm(ctx, s.key(w), ephemeral.Code{
		ID: mail.ID, Ref: mail.ID, Digest: digest, Tries: tries, IssuedAt: mail.CreatedAt, ExpiresAt: mail.ExpiresAt,
	}, Life+time.Minute)
	if err != nil || before == nil {
		return "", err
	}
	return before.Ref, nil
}

// disarm takes a code back whose mail was not written. The request's own
// context may be over already, so it runs on one of its own.
func (s *Service) disarm(ctx context.Context, w Whose, mailID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := s.Codes.Disarm(ctx, s.key(w), mailID); err != nil {
		s.Log.ErrorContext(ctx, "code not disarmed", "delivery_id", mailID, "error", err)
	}
}

// withdraw keeps mails that were replaced from being sent. One that cannot be
// kept holds a code that is dead.
func (s *Service) withdraw(ctx context.Context, deliveries []string) {
	for _, deliveryID := range deliveries {
		if _, err := s.Claims.Withdraw(ctx, deliveryID); err != nil {
			s.Log.WarnContext(ctx, "claim not withdrawn", "delivery_id", deliveryID, "error", err)
		}
	}
}
