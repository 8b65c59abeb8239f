package api

import (
	"time"

	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/user"
	"countersign.dev/services/api/internal/verification"
)

// whileSending is how long starting a message takes at least. It is more than a
// transaction and a publication take on a machine that has much else to do, and
// less than [pipeline.WithinSend].
const whileSending = 250 * time.Millisecond

// proving are the rules that the verification flow stands on.
type proving struct {
	keys    keyrings
	tenants *tenant.Service
	users   *user.Service
	factors *factor.Service
	watch   *guard.Guard
	news    *notice.Service
	logins  logins
}

// wireVerification builds logins that an app's own page leads through, and
// returns their table.
func (s *Service) wireVerification(on proving) []pipeline.Route {
	now := time.Now
	flows := &exchange.Service{
		Store: s.short, Keys: on.keys.database, Index: on.keys.index, Apps: s.store, Organizations: on.tenants, Connections: s.store, Users: on.users,
		Passwords: on.logins.passwords, Resets: on.logins.passwords, Factors: on.factors, Mails: on.logins.mails, Logins: on.logins.logins, Grants: s.grants, Live: s.grants, Breaker: on.watch, Notices: on.news,
		BaseURL: s.cfg.BaseURL, Level: whileSending, Now: now, Log: s.log,
	}
	return (&verification.API{Flows: flows, Resets: flows, Apps: s.store}).Routes()
}
