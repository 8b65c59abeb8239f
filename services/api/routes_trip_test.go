package api_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/services/api/internal/pipeline"
)

// tripwire makes the short-lived store panic in the middle of the pipeline,
// where every route passes: that is where its rate is counted.
type tripwire struct{ value atomic.Pointer[string] }

func (w *tripwire) arm(value string) { w.value.Store(&value) }

func (w *tripwire) disarm() { w.value.Store(nil) }

// around strings the wire in front of a store.
func (w *tripwire) around(open func(t *testing.T) ephemeral.Store) func(t *testing.T) ephemeral.Store {
	return func(t *testing.T) ephemeral.Store { return tripping{open(t), w} }
}

type tripping struct {
	ephemeral.Store
	wire *tripwire
}

func (s tripping) Allow(ctx context.Context, key string, rate ephemeral.Rate) (ephemeral.Allowance, error) {
	if value := s.wire.value.Load(); value != nil {
		panic(*value)
	}
	return s.Store.Allow(ctx, key, rate)
}

// success is the status that a route declares.
func success(route pipeline.Route) int {
	if route.Success == 0 {
		return http.StatusOK
	}
	return route.Success
}

// bodyLimit is the size that a route declares.
func bodyLimit(route pipeline.Route) int64 {
	if route.MaxBody == 0 {
		return pipeline.DefaultBody
	}
	return route.MaxBody
}
