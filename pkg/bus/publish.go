package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"countersign.dev/pkg/event"
)

// Headers of our messages. They hold ids and counts, never content.
const (
	HeaderRequestID  = "Countersign-Request-Id" // the challenge's public id
	HeaderTraceID    = "Countersign-Trace-Id"   // of the HTTP request that caused it
	HeaderReason     = "Countersign-Reason"     // why it was parked, one word
	HeaderSubject    = "Countersign-Subject"    // where it was published first
	HeaderStream     = "Countersign-Stream"
	HeaderSequence   = "Countersign-Sequence"   // in that stream
	HeaderDeliveries = "Countersign-Deliveries" // how often it was handed out
)

// pauseBetweenTries keeps a failing publication from spinning.
const pauseBetweenTries = 25 * time.Millisecond

var errNotConnected = errors.New("not connected")

// Request hands a message to the workers of its kind and channel and returns
// when the server has it. The message vanishes by itself when the life of its
// content is over.
//
// Every failure of the bus is an Unavailable fault with the code
// delivery_unavailable, at the latest after Config.PublishDeadline. The caller
// must then treat the message as not sent: with no connection nothing is kept
// to be sent later, but an answer that got lost on its way leaves a message
// that only the missing claim makes harmless.
func (b *Bus) Request(ctx context.Context, r event.Requested) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("publish request: %w", err)
	}
	msg, err := message(r.Subject(), r, r.RequestID, r.TraceID)
	if err != nil {
		return err
	}
	stream := StreamMessages
	if r.IsChallenge() {
		stream = StreamChallenges
	}
	return b.publish(ctx, stream, msg, r.MessageID(), jetstream.WithMsgTTL(life(time.Until(r.Expires()))))
}

// Announce puts an event where others may read it, under the rules of Request.
// An event that is announced twice within minutes is there once.
func (b *Bus) Announce(ctx context.Context, p event.Public) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("publish event: %w", err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return b.publish(ctx, StreamEvents, &nats.Msg{Subject: p.Subject(), Data: data, Header: nats.Header{}}, p.ID)
}

// Report hands a result to the relay, under the rules of Request. A result has
// no end of life: it waits until the relay has handled it.
func (b *Bus) Report(ctx context.Context, o event.Outcome) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("publish outcome: %w", err)
	}
	msg, err := message(event.OutcomeSubject(o.Result), o, o.RequestID, o.TraceID)
	if err != nil {
		return err
	}
	return b.publish(ctx, StreamDeliveries, msg, o.MessageID())
}

// life rounds up to what the server takes: whole seconds, at least one.
func life(rest time.Duration) time.Duration {
	return max((rest + time.Second - 1).Truncate(time.Second), time.Second)
}

func message(subject string, payload any, requestID, traceID string) (*nats.Msg, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	msg.Header.Set(HeaderRequestID, requestID)
	msg.Header.Set(HeaderTraceID, traceID)
	return msg, nil
}

// publish sends msg until the server has it, the server refuses it or the
// deadline is over. Every try carries the same id, so that a lost answer does
// not become a second message.
func (b *Bus) publish(ctx context.Context, stream string, msg *nats.Msg, id string, opts ...jetstream.PublishOpt) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PublishDeadline)
	defer cancel()
	opts = append(opts, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(0))
	err := b.persist(ctx, msg, opts)
	b.cfg.Observe.Published(stream, err)
	if err != nil {
		return errDown.Because(fmt.Errorf("publish to %s: %w", stream, err))
	}
	return nil
}

func (b *Bus) persist(ctx context.Context, msg *nats.Msg, opts []jetstream.PublishOpt) error {
	if !b.nc.IsConnected() {
		// Waiting for the connection would only collect callers.
		return errNotConnected
	}
	var last error
	for {
		err := b.try(ctx, msg, opts)
		if err == nil || refused(err) {
			return err
		}
		if last == nil && errors.Is(err, nats.ErrReconnectBufExceeded) {
			return errNotConnected // lost just now; nothing was sent
		}
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			b.reportMissing()
		}
		if ctx.Err() == nil || last == nil {
			last = err // the last one that says more than "too late"
		}
		if !pause(ctx, pauseBetweenTries) {
			return last
		}
	}
}

// try is one publication. It ends with the connection it went over, because
// no answer can come any more, and leaves time for another one.
func (b *Bus) try(ctx context.Context, msg *nats.Msg, opts []jetstream.PublishOpt) error {
	era, err := b.link.wait(ctx)
	if err != nil {
		return errNotConnected
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.PublishDeadline/3)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	_, err = b.js.PublishMsg(ctx, msg, opts...)
	return err
}

// refused reports whether err is an answer, as opposed to none.
func refused(err error) bool {
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return true
	}
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed)
}

// pause waits for d and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
