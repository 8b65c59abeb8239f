package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// task is a message that could be read.
type task struct {
	ids []slog.Attr // for the log line
	run func(context.Context, Try) error
	// parked tells whoever waits for the message that nothing will come of
	// it; nil when nobody does.
	parked func(context.Context, Try) error
}

// Results of one delivery, as they are logged and counted.
const (
	resultAcked   = "acked"
	resultRetried = "retried"
	resultParked  = "parked"
)

// Reasons for parking.
const (
	reasonUndecodable = "undecodable" // not a payload of this contract
	reasonPermanent   = "permanent"   // the handler said that no try can help
	reasonPanic       = "panic"       // the handler panicked time after time
	reasonTries       = "tries"       // too many tries, or none ever came to an end
)

var (
	errPanicked  = errors.New("the handler panicked")
	errMisrouted = errors.New("the payload belongs to another subject")
)

func (b *Bus) readRequested(msg *nats.Msg, handle func(context.Context, event.Requested, Try) error) (task, error) {
	r, err := event.Decode[event.Requested](msg.Data)
	if err != nil {
		return task{}, err
	}
	// Rights on the bus are given by subject: a payload must not be able to
	// say that it belongs to another environment or organization.
	if msg.Subject != r.Subject() {
		return task{}, errMisrouted
	}
	return task{
		ids: []slog.Attr{
			slog.String("delivery_id", r.DeliveryID), slog.Int("n", r.N),
			slog.String("request_id", r.RequestID), slog.String("trace_id", r.TraceID),
		},
		run: func(ctx context.Context, try Try) error { return handle(ctx, r, try) },
		parked: func(ctx context.Context, try Try) error {
			return b.Report(ctx, event.Outcome{
				DeliveryID: r.DeliveryID, RequestID: r.RequestID, TraceID: r.TraceID,
				OrgID: r.OrgID, Env: r.Env, Result: event.Failed, Attempt: try.Number,
				Reason: "parked", At: time.Now().UnixMilli(),
			})
		},
	}, nil
}

func readOutcome(msg *nats.Msg, handle func(context.Context, event.Outcome) error) (task, error) {
	o, err := event.Decode[event.Outcome](msg.Data)
	if err != nil {
		return task{}, err
	}
	if msg.Subject != event.OutcomeSubject(o.Result) {
		return task{}, errMisrouted
	}
	return task{
		ids: []slog.Attr{
			slog.String("delivery_id", o.DeliveryID), slog.String("outcome", string(o.Result)),
			slog.String("request_id", o.RequestID), slog.String("trace_id", o.TraceID),
		},
		run: func(ctx context.Context, _ Try) error { return handle(ctx, o) },
	}, nil
}

// handle takes one message to its result: one call of the handler, one answer
// to the server, one line in the log.
func (c *consumer) handle(ctx context.Context, msg *nats.Msg) {
	start := time.Now()
	meta, err := msg.Metadata()
	if err != nil { // not from a consumer: there is nobody to answer
		c.bus.log.ErrorContext(ctx, "bus message without metadata", slog.String("consumer", c.durable))
		return
	}
	stop := c.beat(msg)
	t, reason, cause := c.attempt(ctx, msg, tryOf(meta))
	result, wrong := c.settle(ctx, msg, meta, t, reason, cause)
	stop()

	took := time.Since(start)
	c.bus.cfg.Observe.Consumed(c.counted(), result, took)
	line := append([]slog.Attr{
		slog.String("consumer", c.durable), slog.String("result", result),
		slog.Int("delivery", tryOf(meta).Number), slog.Duration("took", took),
	}, t.ids...)
	if reason != "" {
		line = append(line, slog.String("reason", reason), slog.Uint64("sequence", meta.Sequence.Stream))
	}
	if cause != nil && reason != reasonUndecodable { // that one may quote the payload
		line = append(line, slog.Any("error", cause))
	}
	if wrong != nil {
		line = append(line, slog.String("settle_error", wrong.Error()))
	}
	c.bus.log.LogAttrs(ctx, slog.LevelInfo, "bus message", line...)
}

func tryOf(meta *nats.MsgMetadata) Try {
	return Try{Number: int(meta.NumDelivered), Redelivered: meta.NumDelivered > 1} //nolint:gosec // a small count
}

// attempt reads the message and calls the handler. A reason means: park it.
func (c *consumer) attempt(ctx context.Context, msg *nats.Msg, try Try) (t task, reason string, cause error) {
	t, err := c.read(msg)
	if err != nil {
		return task{}, reasonUndecodable, err
	}
	if c.parkAfter > 0 && try.Number > c.parkAfter {
		// Nobody came as far as parking it at the last try: whatever it does
		// takes the process down with it.
		return t, reasonTries, nil
	}
	err = c.call(ctx, t, try)
	switch {
	case err == nil:
		return t, "", nil
	case errors.Is(err, errPanicked) && try.Number >= parkAfterPanics:
		return t, reasonPanic, err
	case fault.IsPermanent(err):
		return t, reasonPermanent, err
	case c.parkAfter > 0 && try.Number >= c.parkAfter:
		return t, reasonTries, err
	}
	return t, "", err
}

// call runs the handler and turns a panic into an error. What was panicked
// with may hold anything, so that only its type is logged, or its text when it
// is the runtime's own.
func (c *consumer) call(ctx context.Context, t task, try Try) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		what := fmt.Sprintf("%T", value)
		if own, ok := value.(runtime.Error); ok {
			what = own.Error()
		}
		c.bus.log.LogAttrs(ctx, slog.LevelError, "bus handler panicked", append([]slog.Attr{
			slog.String("consumer", c.durable), slog.String("panic", what),
			slog.String("stack", string(debug.Stack())),
		}, t.ids...)...)
		err = errPanicked
	}()
	return t.run(ctx, try)
}

// settle answers the server. What could not be parked is tried again later.
func (c *consumer) settle(ctx context.Context, msg *nats.Msg, meta *nats.MsgMetadata, t task, reason string, cause error) (result string, wrong error) {
	if reason != "" {
		if err := c.park(ctx, msg, meta, t, reason); err != nil {
			return resultRetried, errors.Join(err, msg.NakWithDelay(wait(c.bus.cfg.RetryTable, len(c.bus.cfg.RetryTable))))
		}
		c.bus.cfg.Observe.Dead(c.counted(), reason)
		return resultParked, msg.Ack()
	}
	if cause == nil {
		return resultAcked, msg.Ack()
	}
	if ctx.Err() != nil { // cut off by the shutdown: another process goes on
		return resultRetried, msg.Nak()
	}
	delay, ok := fault.RetryTime(cause)
	if !ok {
		delay = wait(c.bus.cfg.RetryTable, tryOf(meta).Number)
	}
	return resultRetried, msg.NakWithDelay(delay)
}

// beat tells the server that the message is being worked on, until stop is
// called.
func (c *consumer) beat(msg *nats.Msg) (stop func()) {
	done := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(c.bus.cfg.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = msg.InProgress() // a lost one is made up by the next
			case <-done:
				return
			}
		}
	})
	return func() { close(done); beating.Wait() }
}
