package bus

import (
	"context"

	"countersign.dev/pkg/fault"
)

// Readiness asks two questions with answers of different weight.

// Reachable fails while the bus cannot be reached. That only degrades a
// process: what does not need the bus goes on.
func (b *Bus) Reachable(ctx context.Context) error {
	if err := b.Ready(ctx); fault.KindOf(err) == fault.Unavailable {
		return err
	}
	return nil
}

// Suitable fails on a stream that is not what we need. Such a process is not
// ready: it would accept what the bus may lose. A bus that cannot be reached
// is Reachable's business.
func (b *Bus) Suitable(ctx context.Context) error {
	if err := b.Ready(ctx); fault.KindOf(err) != fault.Unavailable {
		return err
	}
	return nil
}
