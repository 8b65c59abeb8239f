package api

import (
	"context"
	"time"

	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/consent"
	"countersign.dev/services/api/internal/grant"
	"countersign.dev/services/api/internal/logout"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/pages"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// alarmReuse is the alarm about a code or refresh token that was shown again.
const alarmReuse = "reuse"

// reused raises it: somebody has what only the client should have, or the
// client does not keep what it gets.
func (s *Service) reused(ctx context.Context, r grant.Reuse) {
	s.metrics.alarm(alarmReuse)
	s.log.WarnContext(ctx, "a used code or refresh token was shown again: its login is ended", "what", r.What, "grant_id", r.Grant.ID,
		"org_id", r.Grant.Tenant.Org, "env", r.Grant.Tenant.Env, "user_id", r.Grant.UserID, "client_id", r.Grant.ClientID)
}

// sweepEvery is the time between two sweeps of ended grants, and of passwords
// that expire.
const sweepEvery = time.Minute

// sweep does what has to be done from time to time until ctx is done. A sweep
// that fails is logged and made up for by the next one.
func (s *Service) sweep(ctx context.Context, of string, sweep func(ctx context.Context) error) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "sweep", "of", of, "error", err)
		}
	}
}

// wireGrants builds what remembers who has signed in, and what came of it.
func (s *Service) wireGrants(keys keyrings, composer *outbox.Composer) {
	s.grants = &grant.Service{Store: s.store, Keys: keys.database, Now: time.Now, Alarm: s.reused}
	s.sessions = &session.Service{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: time.Now}
	s.consents = &consent.Service{Store: s.store, Outbox: composer, Relay: s.outgoing, Now: time.Now}
}

// logouts is where browsers sign out.
func (s *Service) logouts(tenants *tenant.Service, tokens *token.Service) *pages.Logout {
	return &pages.Logout{Looks: s.looks(), BaseURL: s.cfg.BaseURL, Logouts: &logout.Service{
		Organizations: tenants, Apps: s.store, Sessions: s.sessions, Hints: tokens, Codes: &session.Logouts{Values: s.short},
	}}
}

// wireBackchannel builds what tells apps that a session has ended.
func (s *Service) wireBackchannel(tokens *token.Service) {
	s.backchannel = &backchannel.Service{
		Store: s.store, Tokens: tokens, Poster: backchannel.NewClient(), Near: s.cfg.InsecureDev, Now: time.Now, Observe: s.toldLogout,
	}
}

func (s *Service) toldLogout(ctx context.Context, n backchannel.Notice, o backchannel.Outcome, why error) {
	s.metrics.logouts.WithLabelValues(string(o)).Inc()
	if why != nil {
		s.log.WarnContext(ctx, "an app does not take a logout token", "outcome", string(o), "client_id", n.ClientID, "org_id", n.Tenant.Org,
			"env", n.Tenant.Env, "tries", n.Tries, "error", why)
	}
}

// tellLogouts tells apps until ctx is done.
func (s *Service) tellLogouts(ctx context.Context) error {
	return s.backchannel.Run(ctx, func(err error) { s.log.WarnContext(ctx, "tell apps of logouts", "error", err) })
}
