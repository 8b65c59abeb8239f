package flow

import (
	"context"

	"countersign.dev/pkg/secret"
)

// Stored is the step that a flow is at and the key it is kept under, read
// without any effect; no step where the store has none of it.
func (s *Service) Stored(ctx context.Context, token secret.Text) (step Step, key string, err error) {
	key = keyOf(token)
	stored, err := s.Store.Get(ctx, key)
	if err != nil || stored == nil {
		return "", key, err
	}
	f, err := s.opened(key, stored)
	return f.Step, key, err
}
