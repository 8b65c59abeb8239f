package api

import (
	"slices"
	"time"

	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/oidc"
	"countersign.dev/services/api/internal/pipeline"
	"countersign.dev/services/api/internal/session"
	"countersign.dev/services/api/internal/token"
)

// tokenPaths is the table of the token paths.
func (s *Service) tokenPaths(watch *guard.Guard, tokens *token.Service) []pipeline.Route {
	return (&oidc.API{
		Keys: s.store, Apps: s.store, Guard: watch, Tokens: tokens, Grants: s.grants, Issuers: s.store,
		Logouts: &session.Logouts{Values: s.short}, Issuer: s.cfg.BaseURL, Serves: s.serves, Now: time.Now,
	}).Routes()
}

// serves reports whether there is a route of that path.
func (s *Service) serves(path string) bool {
	return slices.ContainsFunc(s.tables, func(table []pipeline.Route) bool {
		return slices.ContainsFunc(table, func(route pipeline.Route) bool { return route.Path == path })
	})
}
