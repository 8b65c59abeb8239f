package flow

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/app"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/login"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/user"
)

// complete goes on from a login for which all is proven that the user has. Who
// has no second factor yet enrols one first, where they are switched on.
func (s *Service) complete(ctx context.Context, h at, done login.Completed, b Browser) error {
	l := done.Login
	l.At = s.Now() // all is proven: from here on the sign-in gets older, however long the rest takes
	h.Login, h.Renewing = &l, done.MustChange
	standing, err := s.Factors.Find(ctx, h.app.Tenant, h.UserID)
	if err != nil {
		return err
	}
	if mustEnrol(h.app, standing) && !strong(l.AMR) {
		return s.enrols(ctx, second{at: h}, b)
	}
	return s.onward(ctx, h)
}

// onward goes to the next thing that is left to do before the browser leaves,
// in the order of the cases.
func (s *Service) onward(ctx context.Context, h at) error {
	asks, err := s.asks(ctx, h)
	switch {
	case err != nil:
		return err
	case len(h.Codes) > 0:
		h.Step = StepCodes
	case h.Renewing:
		h.Step = StepRenew
	case asks:
		h.Step = StepConsent
	default:
		h.Step = StepLeave
	}
	return s.move(ctx, h.held, "")
}

// leave ends a flow in which nothing is left to do: the browser's session is
// begun or raised, and the app gets a code. Of many that come here with one
// flow, one gets through; gone is true for the others.
func (s *Service) leave(ctx context.Context, h at, b Browser) (out Outcome, gone bool, err error) {
	left, err := s.finish(ctx, h.held)
	if err != nil || !left {
		return Outcome{}, err == nil, err
	}
	if h.Login == nil {
		out, err = s.raised(ctx, h, b)
		return out, false, err
	}
	l := *h.Login
	standing, err := s.Factors.Find(ctx, h.app.Tenant, l.UserID)
	switch {
	case err != nil:
		return Outcome{}, false, ErrOver.Because(err)
	case standing.Connection.Active && standing.Enrolled() && !strong(l.AMR): // enrolled elsewhere, meanwhile
		return Outcome{}, false, ErrOver
	case h.ACR == grant.TwoFactors && !strong(l.AMR):
		out, err = s.back(h.Request, refusedUnmet.query())
		return out, false, err
	}
	token, of, err := s.session(ctx, h.app, l, b)
	if err != nil {
		return Outcome{}, false, err
	}
	out, err = s.lead(ctx, h.Flow, of)
	if err == nil {
		// A new password ends what is stored by then; what was stored since is
		// found here.
		err = s.Logins.Current(ctx, l)
	}
	if err == nil {
		out.Device, err = s.Devices.Know(ctx, h.app.Tenant, l.UserID, b.Device)
	}
	if err != nil {
		return Outcome{}, false, errors.Join(err, s.Sessions.End(ctx, h.app.Tenant, of.ID, session.Cause{Why: session.Unfinished, By: b.by()}))
	}
	return signedIn(out, h.app, b, token), false, nil
}

// raised ends a flow in which somebody who was signed in has added a factor, or
// given consent.
func (s *Service) raised(ctx context.Context, h at, b Browser) (Outcome, error) {
	has, of, err := s.signedIn(ctx, h.app, b)
	if err == nil && (has == nil || has.ID != h.SessionID) {
		err = ErrOver
	}
	if err != nil {
		return Outcome{}, err
	}
	if h.Proof == "" { // nothing but consent was left to do
		// While its page stood open the session may have become too little: its
		// user has enrolled a second factor elsewhere, or it is too old by now.
		if step, _ := next(h.Request, has, needs(h.app, of), s.Now()); step != finish {
			return s.begin(ctx, h.app, h.Request, b)
		}
		return s.lead(ctx, h.Flow, *has)
	}
	token, raised, err := s.Sessions.Raise(ctx, *has, h.Proof)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.lead(ctx, h.Flow, raised)
	return signedIn(out, h.app, b, token), err
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
		return s.Sessions.RaiseAt(ctx, *has, l.At, l.AMR...)
	}
	if has != nil {
		if err := s.Sessions.End(ctx, has.Tenant, has.ID, session.Cause{Why: session.Replaced, By: b.by()}); err != nil {
			return secret.Text{}, session.Session{}, err
		}
	}
	return s.Sessions.Begin(ctx, session.New{Tenant: a.Tenant, UserID: l.UserID, AMR: l.AMR, At: l.At, Source: b.Source})
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

// lead leads a browser with a session to the app, with a code, or to the
// account page.
func (s *Service) lead(ctx context.Context, f Flow, of session.Session) (Outcome, error) {
	if f.Own {
		return Outcome{Realm: session.Realm(of.Org, of.Tenant.Env)}, nil
	}
	return s.code(ctx, f, of)
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

// signedIn reads the browser's session with the organization of an app, nil
// for none, and what second factors its user has.
func (s *Service) signedIn(ctx context.Context, a app.App, b Browser) (has *session.Session, of factor.Standing, err error) {
	realm := session.Realm(a.Org, a.Tenant.Env)
	held := b.Sessions.Token(realm)
	if held.IsZero() {
		return nil, factor.Standing{}, nil
	}
	found, err := s.Sessions.FindIn(ctx, realm, held)
	if isNone(err) || err == nil && found.Tenant != a.Tenant {
		return nil, factor.Standing{}, nil
	}
	if err != nil {
		return nil, factor.Standing{}, err
	}
	of, err = s.Factors.Find(ctx, a.Tenant, found.User.ID)
	return &found, of, err
}
