package activity

import (
	"context"

	"countersign.dev/services/api/internal/listing"
	"countersign.dev/services/api/internal/tenant"
)

// Filter narrows a list; empty fields do not.
type Filter struct {
	UserID string
	Action string
}

// Store reads what was recorded.
type Store interface {
	// Activity lists records, newest first.
	Activity(ctx context.Context, t tenant.ID, f Filter, page listing.Page) (listing.Result[Entry], error)
}
