package api

import "net/http"

// OpsAddr is where the operations port listens.
func (s *Service) OpsAddr() string { return s.opsPort.Addr().String() }

// Handler is the whole surface without its server, for tests that set limits
// of their own.
func (s *Service) Handler() http.Handler { return s.handler }
