package courier

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"countersign.dev/pkg/claim"
)

// hold extends the lease of the claim while a call goes on, so that nobody
// else takes a message that is being sent slowly, until the returned function
// is called. Where the right to send was lost all the same, the call goes on:
// what has begun cannot be called back, and its end is worth knowing.
func (j *job) hold(ctx context.Context) (stop func()) {
	if j.policy.Prolong <= 0 || j.claim.State != claim.Taken {
		return func() {}
	}
	done, held := make(chan struct{}), j.claim
	var holding sync.WaitGroup
	holding.Go(func() {
		ticker := time.NewTicker(j.policy.Prolong)
		defer ticker.Stop()
		for held.State == claim.Taken {
			select {
			case <-ticker.C:
				held = j.prolong(ctx, held)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		holding.Wait()
		if held.State == claim.Taken {
			j.claim = held
		}
	}
}

// prolong extends the lease once. One that fails is made up by the next.
func (j *job) prolong(ctx context.Context, c claim.Claim) claim.Claim {
	ctx, cancel := settling(ctx)
	defer cancel()
	extended, err := j.Claims.Extend(ctx, c, j.policy.Lease)
	if err != nil {
		return c
	}
	if extended.State != claim.Taken {
		j.Log.WarnContext(ctx, j.Line+" claim lost while sending", //nolint:sloglint // the channel's own line
			j.attrs(slog.String("found", string(extended.State)))...)
	}
	return extended
}
