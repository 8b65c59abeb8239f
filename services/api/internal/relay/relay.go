// Package relay runs between the database and the bus: it publishes what the
// rules have put into the outbox, and brings back what became of each delivery.
//
// request -> OUTBOX -> event -> worker -> RESULT -> provider's receipt
//
// [Outgoing] publishes entries of the outbox until they are closed. [Relay]
// consumes DELIVERIES, one durable shared by all replicas, and hands each
// outcome to the delivery rules; and it ends deliveries that nobody reports.
package relay

import (
	"context"
	"log/slog"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// Bus is where outcomes come from. It returns when ctx is done and the
// outcome in hand is handled.
type Bus interface {
	ServeOutcomes(ctx context.Context, handle func(ctx context.Context, o event.Outcome) error) error
}

// Deliveries records outcomes and ends silent deliveries.
type Deliveries interface {
	Record(ctx context.Context, o event.Outcome) error
	Sweep(ctx context.Context) (int, error)
}

// Relay runs until its context ends.
type Relay struct {
	Bus        Bus
	Deliveries Deliveries
	Every      time.Duration // between sweeps; zero means DefaultEvery
	Log        *slog.Logger
	// Observe hears of every outcome; nil hears nothing.
	Observe func(event.Outcome)
}

// DefaultEvery is the time between two sweeps.
const DefaultEvery = 5 * time.Second

// Outcomes consumes DELIVERIES until ctx is done.
func (r *Relay) Outcomes(ctx context.Context) error {
	return r.Bus.ServeOutcomes(ctx, r.record)
}

func (r *Relay) record(ctx context.Context, o event.Outcome) error {
	err := r.Deliveries.Record(ctx, o)
	if fault.KindOf(err) == fault.NotFound {
		// The organization or user was deleted while the message was on its
		// way. Nobody is left who could ask for it.
		r.Log.WarnContext(ctx, "outcome of a delivery that is gone", "delivery_id", o.DeliveryID, "result", string(o.Result))
		err = nil
	}
	if err == nil && r.Observe != nil {
		r.Observe(o)
	}
	return err
}

// Sweeps ends silent deliveries from time to time until ctx is done. A sweep
// that fails is logged and made up for by the next one.
func (r *Relay) Sweeps(ctx context.Context) error {
	every := r.Every
	if every == 0 {
		every = DefaultEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		ended, err := r.Deliveries.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.Log.WarnContext(ctx, "sweep", "error", err)
		case ended > 0:
			r.Log.InfoContext(ctx, "silent deliveries ended", "count", ended)
		}
	}
}
