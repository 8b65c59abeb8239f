package courier

import (
	"context"
	"errors"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// A try whose end nobody knows is looked up in the provider's list before the
// message is sent again or given up.

const (
	// settlesAfter a send the provider's list shows it. A worker that was lost
	// held its lease for longer than that after any send.
	settlesAfter = 2 * time.Second
	lookTimeout  = 5 * time.Second
	// With less life than this no other call of Handle may come in time.
	lookLife = 12 * time.Second
)

var errUnsettled = errors.New("the provider's list may not show the last try yet")

// uncertain reports whether an earlier try may have reached the provider.
func (j *job) uncertain() bool {
	earlier := j.claim.Sends
	if j.claim.State == claim.Taken {
		earlier-- // the one that is to come
	}
	return earlier > 0 && !j.Repeatable
}

// worthComingBack reports whether the list can be read after a pause that
// starts now.
func (j *job) worthComingBack() bool {
	return j.Finder != nil && j.life() >= lookLife
}

// look asks the provider for a message of an uncertain try. With done the
// delivery needs nothing more from this call, and err is its instruction.
// Otherwise the message is not there, or nobody can tell: then what was right
// without a list is right now.
func (j *job) look(ctx context.Context, m Message) (done bool, err error) {
	if j.Finder == nil || !j.uncertain() {
		return false, nil
	}
	if wait := settlesAfter - j.Now().Sub(j.claim.Doubted); wait > 0 && wait < j.life() {
		return true, j.comeBack(ctx, wait)
	}
	providerID, err := j.find(ctx, m)
	switch {
	case err != nil:
		j.looked = reasonOf(err)
	case providerID == "":
		j.looked = LookMissing
	default:
		j.looked = LookFound
	}
	j.observe().Looked(j.Name, j.looked)
	if j.looked != LookFound {
		return false, nil
	}
	return true, j.accepted(ctx, Receipt{ProviderID: providerID})
}

func (j *job) find(ctx context.Context, m Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	// The clocks of two houses differ. What one number was sent a minute
	// before had another code.
	since := time.UnixMilli(j.r.CreatedAt).Add(-time.Minute)
	return j.Finder.Find(ctx, m, since)
}

// comeBack gives the claim back unused.
func (j *job) comeBack(ctx context.Context, wait time.Duration) error {
	if j.claim.State == claim.Taken {
		ctx, cancel := settling(ctx)
		defer cancel()
		j.settled(ctx, j.Claims.Release(ctx, j.claim))
	}
	return fault.RetryAfter(jittered(wait), errUnsettled)
}

// doubtful ends a delivery that must not be sent again.
func (j *job) doubtful(ctx context.Context) error {
	if m, err := j.open(ctx); err == nil {
		if done, err := j.look(ctx, m); done {
			return err
		}
	}
	if j.claim.Sends < claim.MaxSends {
		return j.report(ctx, outcome{result: event.Unknown, reason: reasonLost})
	}
	return j.report(ctx, outcome{result: event.Unknown, reason: reasonExhausted})
}

// late ends a delivery whose earlier try is uncertain and that has no life
// left for another.
func (j *job) late(ctx context.Context) error {
	reason := reasonLost
	if !j.claim.Doubted.IsZero() {
		reason = reasonAmbiguous
	}
	return j.doubt(ctx, outcome{result: event.Unknown, reason: reason})
}
