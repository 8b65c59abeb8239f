package api

import (
	"time"

	"countersign.dev/services/api/internal/device"
	"countersign.dev/services/api/internal/factor"
	"countersign.dev/services/api/internal/flow"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/notice"
	"countersign.dev/services/api/internal/oidc"
	"countersign.dev/services/api/internal/pages"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/preview"
	"countersign.dev/services/api/internal/tenant"
	"countersign.dev/services/api/internal/token"
)

// wireFlows builds what brings a browser from an app through the sign-in page
// and back, with the page of whoever is signed in, and returns its tables.
func (s *Service) wireFlows(keys keyrings, tenants *tenant.Service, tokens *token.Service, factors *factor.Service, news *notice.Service, with logins) [][]pipeline.Route {
	flows := &flow.Service{
		Store: s.short, Keys: tokens.Keys, Apps: s.store, Organizations: tenants, Realms: s.store, Domains: tenants, Consents: s.consents, Sessions: s.sessions,
		Passwords: with.passwords, Links: with.challenges, Mails: with.mails, Factors: factors, Logins: with.logins,
		Grants: s.grants, Hints: tokens, Notices: news, Devices: &device.Service{Store: s.store, Now: time.Now}, BaseURL: s.cfg.BaseURL, Now: time.Now,
	}
	return [][]pipeline.Route{
		(&pages.Links{Links: with.links, Passwords: with.passwords, Flows: flows, Looks: s.looks(), BaseURL: s.cfg.BaseURL, Now: time.Now}).Routes(),
		(&oidc.Authorize{Flows: flows, BaseURL: s.cfg.BaseURL, WriteFault: pages.WriteFault, Landing: pages.Landing}).Routes(),
		(&pages.SignIn{Flows: flows, BaseURL: s.cfg.BaseURL, Now: time.Now}).Routes(),
		(&pages.Account{
			Sessions: s.sessions, Passwords: with.passwords, Organizations: tenants, SignIns: flows, Forms: guard.Forms{Index: keys.index}, BaseURL: s.cfg.BaseURL, Now: time.Now,
			Consents: s.consents,
			Factors:  &factor.Own{Service: factors, Changes: s.store, Shelf: s.short, Keys: keys.database},
		}).Routes(),
		(&pages.Preview{Tickets: s.previews(keys), BaseURL: s.cfg.BaseURL, Now: time.Now}).Routes(),
	}
}

// looks finds whose look a page has that belongs to nothing any more.
func (s *Service) looks() pages.Looks { return pages.Looks{Realms: s.store, BaseURL: s.cfg.BaseURL} }

// previews are tickets that show the pages with sample data.
func (s *Service) previews(keys keyrings) *preview.Service {
	return &preview.Service{Organizations: s.store, Keys: keys.database, BaseURL: s.cfg.BaseURL, Now: time.Now}
}
