package bus

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// park copies a message to the shelf and tells who waits for it. Only then may
// it be acknowledged: an acknowledged message is gone from its queue at once.
//
// Both steps may be repeated: the copy's id is the message's place in its
// queue, so that the server drops a second copy.
func (c *consumer) park(ctx context.Context, msg *nats.Msg, meta *nats.MsgMetadata, t task, reason string) error {
	sequence := strconv.FormatUint(meta.Sequence.Stream, 10)
	dead := &nats.Msg{Subject: c.shelf, Data: msg.Data, Header: nats.Header{}}
	dead.Header.Set(HeaderReason, reason)
	dead.Header.Set(HeaderSubject, msg.Subject)
	dead.Header.Set(HeaderStream, meta.Stream)
	dead.Header.Set(HeaderSequence, sequence)
	dead.Header.Set(HeaderDeliveries, strconv.FormatUint(meta.NumDelivered, 10))
	for _, id := range []string{HeaderRequestID, HeaderTraceID} {
		dead.Header.Set(id, msg.Header.Get(id))
	}
	// The time tells apart what had the same place in a queue that was lost.
	id := meta.Stream + "." + sequence + "." + strconv.FormatInt(meta.Timestamp.UnixNano(), 36)
	if err := c.bus.publish(ctx, StreamDead, dead, id); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	if t.parked == nil {
		return nil
	}
	if err := t.parked(ctx, tryOf(meta)); err != nil {
		return fmt.Errorf("report parked: %w", err)
	}
	return nil
}
