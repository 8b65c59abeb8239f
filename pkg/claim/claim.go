// Package claim says who may send a delivery, and that sending it has become
// pointless.
//
// The api opens the claim of a delivery before it publishes and withdraws it
// when the message is replaced, used or cancelled. A worker takes it with a
// lease before it calls the provider, and says afterwards how that went. What
// the bus delivers twice is therefore sent once, and what nobody waits for any
// more is not sent at all.
//
//	Open ──> open ──Take──> sending ──Accept──> accepted
//	           ^               │
//	           └──Release, Doubt, or the lease ends
//
// A worker that dies while it sends leaves a try nobody knows the end of, and
// few providers can be asked "did you get this?". Each take counts as such a
// try before anything is sent; after [MaxSends] of them the delivery is
// doubtful and stays unsent, because a user is harmed more by a flood than by
// asking again.
//
// The record lives in the ephemeral store and changes only by its Swap. Where
// it is lost, nothing is sent: the user asks again. Leases are compared with
// the clock of whoever looks, so the clocks of the workers must agree to
// within a lease less the time that one send takes.
package claim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// MaxSends is how many tries of one delivery may reach the provider without
// an answer that says so.
const MaxSends = 2

// afterlife is how long after its end a claim is still known, so that a report
// which a dying worker did not make can be made by the next one.
const afterlife = 10 * time.Minute

// Store is the part of ephemeral.Store that a Book needs.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
	Swap(ctx context.Context, key string, old, next []byte, ttl time.Duration) (bool, error)
	Delete(ctx context.Context, key string) (bool, error)
}

// Book keeps the claims. All methods may be called from many goroutines and
// processes. They return the store's fault of kind Unavailable when it does
// not answer: then nothing may be sent.
type Book struct {
	Store Store
	Now   func() time.Time
}

// State is what a worker finds.
type State string

// The states. Only Taken allows a send.
const (
	Taken    State = "taken"    // you may send
	Accepted State = "accepted" // sent already: report it again, nothing else
	Gone     State = "gone"     // there is no claim: superseded, do not send
	Busy     State = "busy"     // somebody's lease is alive: look again after BusyFor
	Doubtful State = "doubtful" // earlier tries may have arrived: never send again
)

// Claim is one delivery as a worker finds it, and with state Taken the right
// to send it until its lease ends.
type Claim struct {
	DeliveryID string
	State      State
	Attempt    int           // of this take, from 1; otherwise of the last one
	Sends      int           // tries that may have reached the provider, this one included
	ProviderID string        // with Accepted
	BusyFor    time.Duration // with Busy
	Doubted    time.Time     // when the last Doubt was said; zero when there was none

	holder string // proves who took it
	raw    []byte // the record as this claim saw it last
}

// errNotTaken is a bug of the worker.
var errNotTaken = errors.New("the claim was not taken")

// Open makes the claim of a delivery, which ends at until. One that is there
// already is kept as it is, apart from a later end: publishing a delivery once
// more must not allow another send of what was accepted.
func (b *Book) Open(ctx context.Context, deliveryID string, until time.Time) error {
	if !until.After(b.Now()) {
		return errors.New("open claim: its end is not in the future")
	}
	_, err := b.change(ctx, deliveryID, nil, func(r *record) bool {
		if r.Until >= until.UnixMilli() {
			return false
		}
		r.Until = until.UnixMilli()
		return true
	}, true)
	if err != nil {
		return fmt.Errorf("open claim: %w", err)
	}
	return nil
}

// Withdraw removes the claim and reports whether there was one: the message
// was replaced, used, cancelled or not published. A send that is on its way
// cannot be called back.
func (b *Book) Withdraw(ctx context.Context, deliveryID string) (bool, error) {
	removed, err := b.Store.Delete(ctx, key(deliveryID))
	if err != nil {
		return false, fmt.Errorf("withdraw claim: %w", err)
	}
	return removed, nil
}

// Take asks for the right to send, for as long as lease. The try is counted
// here, so that a worker which dies while it sends has used it.
func (b *Book) Take(ctx context.Context, deliveryID string, lease time.Duration) (Claim, error) {
	if lease <= 0 {
		return Claim{}, errors.New("take claim: the lease has no length")
	}
	holder := rand.Text()
	found, err := b.change(ctx, deliveryID, nil, func(r *record) bool {
		now := b.Now()
		if r.state(now) != Taken {
			return false
		}
		r.Attempt++
		r.Sends++
		r.Holder, r.Lease = holder, now.Add(lease).UnixMilli()
		return true
	}, false)
	if err != nil {
		return Claim{}, fmt.Errorf("take claim: %w", err)
	}
	return b.claim(deliveryID, holder, found), nil
}

// Extend prolongs the lease to last from now on. What it returns has another
// state than Taken when the right to send was lost: the claim was withdrawn,
// or its lease ended and somebody else took it.
func (b *Book) Extend(ctx context.Context, c Claim, lease time.Duration) (Claim, error) {
	if lease <= 0 {
		return Claim{}, errors.New("extend claim: the lease has no length")
	}
	found, err := b.held(ctx, c, func(r *record) { r.Lease = b.Now().Add(lease).UnixMilli() })
	if err != nil {
		return Claim{}, fmt.Errorf("extend claim: %w", err)
	}
	return b.claim(c.DeliveryID, c.holder, found), nil
}

// Accept says that the provider took the message. That is a fact about the
// delivery, so it is kept even if the lease has passed to somebody else in the
// meantime; the first one stays. A claim that was withdrawn stays withdrawn.
func (b *Book) Accept(ctx context.Context, c Claim, providerID string) error {
	if c.holder == "" {
		return fmt.Errorf("accept claim: %w", errNotTaken)
	}
	_, err := b.change(ctx, c.DeliveryID, c.raw, func(r *record) bool {
		if r.Accepted {
			return false
		}
		r.Accepted, r.ProviderID = true, providerID
		r.Holder, r.Lease = "", 0
		return true
	}, false)
	if err != nil {
		return fmt.Errorf("accept claim: %w", err)
	}
	return nil
}

// Release says that the message was certainly not sent: the try does not
// count and the next worker may take the claim at once. It does nothing when
// the claim is not the caller's any more.
func (b *Book) Release(ctx context.Context, c Claim) error {
	_, err := b.held(ctx, c, func(r *record) {
		r.Sends--
		r.Holder, r.Lease = "", 0
	})
	if err != nil {
		return fmt.Errorf("release claim: %w", err)
	}
	return nil
}

// Doubt says that nobody knows whether the provider took the message: the try
// counts and the lease ends. It does nothing when the claim is not the
// caller's any more.
func (b *Book) Doubt(ctx context.Context, c Claim) error {
	_, err := b.held(ctx, c, func(r *record) {
		r.Doubted = b.Now().UnixMilli()
		r.Holder, r.Lease = "", 0
	})
	if err != nil {
		return fmt.Errorf("doubt claim: %w", err)
	}
	return nil
}

// held changes the record if c still holds it.
func (b *Book) held(ctx context.Context, c Claim, change func(*record)) (found, error) {
	if c.holder == "" {
		return found{}, errNotTaken
	}
	return b.change(ctx, c.DeliveryID, c.raw, func(r *record) bool {
		if r.Holder != c.holder {
			return false
		}
		change(r)
		return true
	}, false)
}
