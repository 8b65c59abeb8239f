package link

import (
	"context"
	"net/netip"
	"net/url"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/activity"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/id"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/user"
)

var _ Pages = (*Service)(nil)

// Look implements Pages.
func (s *Service) Look(ctx context.Context, token secret.Text) (View, error) {
	l, org, err := s.Store.Link(ctx, digest(token), s.Now())
	if err != nil {
		return View{}, err
	}
	v := View{Purpose: l.Purpose, Org: org, Address: secret.MaskEmail(l.Email.Written), AskedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, Flow: l.Flow}
	if app, err := url.Parse(l.RedirectURI); err == nil {
		v.AppHost = app.Host
	}
	return v, nil
}

// Follow implements Pages. The source is where the browser is; nothing is
// decided by it.
func (s *Service) Follow(ctx context.Context, token secret.Text, _ netip.Addr) (Followed, error) {
	l, _, err := s.Store.Link(ctx, digest(token), s.Now())
	if err != nil {
		return Followed{}, err
	}
	if l.Purpose == Login {
		return s.login(ctx, l)
	}
	return s.code(ctx, l)
}

// code turns a link into a password code.
func (s *Service) code(ctx context.Context, l Link) (Followed, error) {
	now := s.Now().Truncate(time.Millisecond)
	value := id.Token()
	err := s.Store.UseForCode(ctx, l.Digest, Code{
		Digest: digest(value), RequestID: l.RequestID, Tenant: l.Tenant, UserID: l.UserID, Email: l.Email, Purpose: l.Purpose,
		Proofs: []string{grant.Mail}, ClientID: l.ClientID, CreatedAt: now, ExpiresAt: now.Add(CodeLife),
	}, now)
	if err != nil {
		return Followed{}, err
	}
	if l.RedirectURI == "" {
		return Followed{Password: value}, nil
	}
	to, err := withQuery(l.RedirectURI, url.Values{"password_code": {value.Reveal()}})
	return Followed{Redirect: to}, err
}

// login turns a link into the end of a login, or into its first half where
// the user has a second factor. That of a sign-in on our page goes on there.
func (s *Service) login(ctx context.Context, l Link) (Followed, error) {
	now := s.Now().Truncate(time.Millisecond)
	fresh := user.User{ID: id.UUID(), Tenant: l.Tenant, Email: l.Email, Active: true, CreatedAt: now, UpdatedAt: now}
	created := []outbox.Entry{s.Outbox.Event(activity.Record{
		Tenant: l.Tenant, UserID: fresh.ID, Action: event.TypeUserCreated, By: activity.By{Actor: activity.User}, Data: map[string]string{"by": "magic_link"},
	})}
	u, err := s.Store.UseForLogin(ctx, l.Digest, fresh, created, now)
	if err != nil {
		return Followed{}, err
	}
	s.Relay.Wake()
	if l.Flow != "" {
		return Followed{Flow: l.Flow, UserID: u.ID}, nil
	}
	done, err := s.Logins.Complete(ctx, login.Login{
		RequestID: l.RequestID, Tenant: l.Tenant, UserID: u.ID, ClientID: l.ClientID, RedirectURI: l.RedirectURI,
		AMR: []string{grant.Mail}, At: now,
	})
	if err != nil {
		return Followed{}, err
	}
	query := url.Values{"request_id": {l.RequestID}}
	if done.MFARequired {
		query.Set("mfa_required", "true")
	} else {
		query.Set("code", done.Code.Reveal())
	}
	to, err := withQuery(l.RedirectURI, query)
	return Followed{Redirect: to}, err
}
