package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"countersign.dev/pkg/claim"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// react does what a provider's error says.
func (j *job) react(ctx context.Context, err error) error {
	ctx, cancel := settling(ctx)
	defer cancel()
	j.answer = reasonOf(err)
	switch {
	case fault.IsPermanent(err):
		return j.refused(ctx)
	case fault.IsAmbiguous(err):
		return j.ambiguous(ctx, err)
	}
	return j.again(ctx, err)
}

// refused ends a delivery that the provider will not take. After an earlier
// try that may have gone out, the truth is that nobody knows.
func (j *job) refused(ctx context.Context) error {
	if j.claim.Sends > 1 {
		return j.doubt(ctx, outcome{result: event.Unknown, reason: j.answer})
	}
	return j.release(ctx, outcome{result: event.Failed, reason: j.answer})
}

// ambiguous comes back to look the message up, and to send it once more if it
// is not there and that is still of use. Where neither can be, it is left to
// the provider's own reports to find out.
func (j *job) ambiguous(ctx context.Context, cause error) error {
	switch {
	case j.worthComingBack():
	case j.claim.Sends >= claim.MaxSends:
		return j.doubt(ctx, outcome{result: event.Unknown, reason: reasonExhausted})
	case j.life() < j.policy.SecondSend+j.policy.Doubt:
		return j.doubt(ctx, outcome{result: event.Unknown, reason: reasonAmbiguous})
	}
	err := j.doubt(ctx, outcome{result: event.Retrying, reason: reasonAmbiguous})
	return errors.Join(fault.RetryAfter(jittered(j.policy.Doubt), fmt.Errorf("send: %w", cause)), err)
}

// again gives the delivery back: it was certainly not sent.
func (j *job) again(ctx context.Context, cause error) error {
	wait, told := fault.RetryTime(cause)
	if told && wait >= j.life() {
		// There is no next time, and saying so now is better than silence.
		return j.release(ctx, outcome{result: event.Failed, reason: j.answer})
	}
	if pause := j.policy.Defer.wait(j.claim.Attempt, j.life(), wait); pause > 0 {
		return j.release(ctx, outcome{result: event.Deferred, reason: j.answer, retryAt: j.Now().Add(pause)})
	}
	next := fmt.Errorf("send: %w", cause)
	if told {
		next = fault.RetryAfter(jittered(wait), next)
	}
	// The instruction stands even if nobody could be told about this try.
	return errors.Join(next, j.release(ctx, outcome{result: event.Retrying, reason: j.answer}))
}

// jittered adds up to a quarter, so that what was refused together does not
// come back together, and never early.
func jittered(d time.Duration) time.Duration {
	return d + rand.N(d/4+1) //nolint:gosec // spread, not a secret
}

// release gives the claim back and reports.
func (j *job) release(ctx context.Context, o outcome) error {
	if j.claim.State == claim.Taken {
		j.settled(ctx, j.Claims.Release(ctx, j.claim))
	}
	return j.report(ctx, o)
}

// doubt marks the claim as maybe sent and reports.
func (j *job) doubt(ctx context.Context, o outcome) error {
	if j.claim.State == claim.Taken {
		j.settled(ctx, j.Claims.Doubt(ctx, j.claim))
	}
	return j.report(ctx, o)
}

// settled logs a claim that could not be written. It runs out with its lease
// and then counts as that of a lost worker: safe, but slower. The report goes
// out all the same.
func (j *job) settled(ctx context.Context, err error) {
	if err != nil {
		j.Log.WarnContext(ctx, j.Line+" claim not written", //nolint:sloglint // the channel's own line
			j.attrs(slog.Any("error", err))...)
	}
}
