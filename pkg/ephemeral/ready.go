package ephemeral

import (
	"context"

	"countersign.dev/pkg/fault"
)

// Suitable fails on a server that throws away live state when it is full. Such
// a process is not ready. A server that cannot be reached is Ping's business:
// it only degrades a process.
func (r *Redis) Suitable(ctx context.Context) error {
	if err := r.Check(ctx); fault.KindOf(err) != fault.Unavailable {
		return err
	}
	return nil
}
