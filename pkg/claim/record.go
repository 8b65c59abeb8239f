package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// record is what the store holds. Times are unix milliseconds.
type record struct {
	Until   int64 `json:"until"`
	Attempt int   `json:"attempt,omitempty"`
	Sends   int   `json:"sends,omitempty"`
	// Who is sending and until when; both empty when the claim is open.
	Holder     string `json:"holder,omitempty"`
	Lease      int64  `json:"lease,omitempty"`
	Doubted    int64  `json:"doubted,omitempty"`
	Accepted   bool   `json:"accepted,omitempty"`
	ProviderID string `json:"provider_id,omitempty"`
}

// state is what a newcomer finds; Taken means that it may take the claim.
// After its end nothing may be sent, but what is known is still told.
func (r record) state(now time.Time) State {
	ms := now.UnixMilli()
	switch {
	case r.Accepted:
		return Accepted
	case r.Lease > ms:
		return Busy
	case r.Sends >= MaxSends:
		return Doubtful
	case r.Until > ms:
		return Taken
	case r.Sends > 0:
		return Doubtful
	}
	return Gone
}

// found is a record and its bytes in the store; without bytes there is none.
type found struct {
	record
	raw []byte
}

// claim is what a worker with this holder's token sees.
func (b *Book) claim(deliveryID, holder string, f found) Claim {
	c := Claim{DeliveryID: deliveryID, State: Gone}
	if f.raw == nil {
		return c
	}
	now := b.Now()
	c.State, c.Attempt, c.Sends, c.ProviderID = f.state(now), f.Attempt, f.Sends, f.ProviderID
	if f.Doubted != 0 {
		c.Doubted = time.UnixMilli(f.Doubted)
	}
	switch {
	case f.Holder == holder:
		c.State, c.holder, c.raw = Taken, holder, f.raw
	case c.State == Busy:
		c.BusyFor = time.UnixMilli(f.Lease).Sub(now)
	case c.State == Taken: // it was lost, and is open for whoever takes it
		c.State, c.BusyFor = Busy, 0
	}
	return c
}

// rounds bounds the tries of change. Each lost one means that somebody else
// changed the record, which happens a handful of times in its life.
const rounds = 100

// change applies f to the record and stores it, unless f says that nothing is
// to be done. It starts from raw when the caller has seen it before, and again
// from what is stored when somebody else was faster. A record that is not
// there is not made, except with create. It returns what is stored afterwards.
func (b *Book) change(ctx context.Context, deliveryID string, raw []byte, f func(*record) bool, create bool) (found, error) {
	for i := range rounds {
		var err error
		if raw == nil || i > 0 {
			if raw, err = b.Store.Get(ctx, key(deliveryID)); err != nil {
				return found{}, err
			}
		}
		if raw == nil && !create {
			return found{}, nil
		}
		now := found{raw: raw}
		if raw != nil {
			if err := json.Unmarshal(raw, &now.record); err != nil {
				return found{}, fmt.Errorf("read its record: %w", err)
			}
		}
		if !f(&now.record) {
			return now, nil
		}
		next, err := json.Marshal(now.record)
		if err != nil {
			return found{}, fmt.Errorf("write its record: %w", err)
		}
		swapped, err := b.Store.Swap(ctx, key(deliveryID), raw, next, b.life(now.record))
		if err != nil {
			return found{}, err
		}
		if swapped {
			return found{record: now.record, raw: next}, nil
		}
	}
	return found{}, errors.New("others change it all the time")
}

// life is how long the store keeps the record: as long as somebody may ask.
func (b *Book) life(r record) time.Duration {
	return max(time.UnixMilli(r.Until).Sub(b.Now()), 0) + afterlife
}

// key of a claim. The braces make it a tag of its own in a Redis Cluster.
func key(deliveryID string) string { return "claim:{" + deliveryID + "}" }
