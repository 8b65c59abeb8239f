package api

import (
	"context"
	"net/http"

	"countersign.dev/services/api/internal/hashing"
)

// Turns are the turns at hashing.
func (s *Service) Turns() *hashing.Pool { return s.turns }

// OpsAddr is where the operations port listens.
func (s *Service) OpsAddr() string { return s.opsPort.Addr().String() }

// Handler is the whole surface without its server, for tests that set limits
// of their own.
func (s *Service) Handler() http.Handler { return s.handler }

// Remind tells everybody whose password expires soon, as the service does every
// minute.
func (s *Service) Remind(ctx context.Context) error { return s.reminders.Sweep(ctx) }
