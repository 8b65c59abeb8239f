package flow

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/user"
)

// proven ends a flow whose login is complete: the browser's session is begun or
// raised, and the app gets a code. Of many that come here with one flow, one
// gets through.
func (s *Service) proven(ctx context.Context, h held, a app.App, l login.Login, b Browser) (Outcome, error) {
	taken, err := s.take(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	if !taken {
		return Outcome{}, ErrOver
	}
	if h.ACR == grant.TwoFactors && !strong(l.AMR) {
		return s.back(h.Request, refusedUnmet.query())
	}
	token, of, err := s.session(ctx, a, l, b)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.code(ctx, h.Flow, of)
	if err == nil {
		// A new password ends what is stored by then; what was stored since is
		// found here.
		err = s.Logins.Current(ctx, l)
	}
	if err != nil {
		return Outcome{}, errors.Join(err, s.Sessions.End(ctx, a.Tenant, of.ID))
	}
	return signedIn(out, a, b, token), nil
}

// raised ends a flow in which somebody who was signed in has added a factor.
func (s *Service) raised(ctx context.Context, h held, a app.App, has session.Session, proof string, b Browser) (Outcome, error) {
	taken, err := s.take(ctx, h)
	if err != nil {
		return Outcome{}, err
	}
	if !taken {
		return Outcome{}, ErrOver
	}
	token, of, err := s.Sessions.Raise(ctx, has, proof)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.code(ctx, h.Flow, of)
	return signedIn(out, a, b, token), err
}

// session is the browser's session after a login. Who was signed in here
// before, and proves as much again, goes on under a new token; any
// other session of this realm ends, so that nobody goes on as somebody else.
func (s *Service) session(ctx context.Context, a app.App, l login.Login, b Browser) (secret.Text, session.Session, error) {
	has, _, err := s.signedIn(ctx, a, b)
	if err != nil {
		return secret.Text{}, session.Session{}, err
	}
	if has != nil && has.User.ID == l.UserID && (strong(l.AMR) || has.ACR != grant.TwoFactors) {
		return s.Sessions.Raise(ctx, *has, l.AMR...)
	}
	if has != nil {
		if err := s.Sessions.End(ctx, has.Tenant, has.ID); err != nil {
			return secret.Text{}, session.Session{}, err
		}
	}
	return s.Sessions.Begin(ctx, session.New{Tenant: a.Tenant, UserID: l.UserID, AMR: l.AMR, Source: b.Source})
}

// strong reports whether a second factor is among the proofs: a login begins
// with a first one.
func strong(amr []string) bool {
	return slices.Contains(amr, grant.App) || slices.Contains(amr, grant.SMS)
}

// signedIn adds the browser's session to where it goes.
func signedIn(out Outcome, a app.App, b Browser, token secret.Text) Outcome {
	set := b.Sessions.With(session.Realm(a.Org, a.Tenant.Env), token)
	out.Sessions = &set
	return out
}

// code makes the code of a session for the app and leads back with it. What it
// says of who proved what, and when, is the session's. It returns
// ErrOver for a session, a user or an app that has ended at this moment.
func (s *Service) code(ctx context.Context, f Flow, of session.Session) (Outcome, error) {
	made, code, err := s.Grants.Begin(ctx, grant.New{
		Tenant: f.Tenant, UserID: of.User.ID, ClientID: f.ClientID, SessionID: of.ID, RedirectURI: f.RedirectURI, Challenge: f.Challenge,
		Nonce: f.Nonce, Scope: f.Scope, AMR: of.AMR, AuthTime: of.AuthTime,
	})
	if errors.Is(err, session.ErrNone) || errors.Is(err, user.ErrNotFound) {
		return Outcome{}, ErrOver.Because(err)
	}
	if err != nil {
		return Outcome{}, err
	}
	query := url.Values{"code": {code.Reveal()}}
	if f.Gateway {
		query.Set("authorization_id", made.ID)
		query.Set("organization_domain", of.Org)
		query.Set("request_id", f.RequestID)
	}
	return s.back(f.Request, query)
}

// back leads to the app with what the request has come to.
func (s *Service) back(r Request, with url.Values) (Outcome, error) {
	to, err := Way{URI: r.RedirectURI, Mode: r.Mode, State: r.State, Issuer: s.BaseURL}.With(with)
	return Outcome{Back: to}, err
}
