package courier

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/fault"
)

// outcome is the part of an event.Outcome that varies.
type outcome struct {
	result     event.Result
	reason     string
	providerID string
	message    []byte
	retryAt    time.Time // with event.Deferred
}

// report publishes an outcome. Its error means that the message must come
// again.
func (j *job) report(ctx context.Context, o outcome) error {
	j.result, j.reason = o.result, o.reason
	provider := j.Name
	if j.claim.Attempt == 0 {
		provider = "" // it never saw the message
	}
	retryAt := int64(0)
	if !o.retryAt.IsZero() {
		retryAt = o.retryAt.UnixMilli()
	}
	err := j.Reports.Report(ctx, event.Outcome{
		DeliveryID: j.r.DeliveryID,
		RequestID:  j.r.RequestID,
		TraceID:    j.r.TraceID,
		OrgID:      j.r.OrgID,
		Env:        j.r.Env,
		Result:     o.result,
		Attempt:    j.claim.Attempt,
		Provider:   provider,
		ProviderID: o.providerID,
		Reason:     o.reason,
		At:         j.Now().UnixMilli(),
		Message:    o.message,
		RetryAt:    retryAt,
	})
	if err != nil {
		return fmt.Errorf("report %s: %w", o.result, err)
	}
	j.observe().Reported(j.Name, o.result)
	return nil
}

// finish writes the one line of a message.
func (j *job) finish(ctx context.Context, err error) {
	level := slog.LevelInfo
	more := []slog.Attr{
		slog.String("result", string(j.result)),
		slog.Duration("took", j.Now().Sub(j.started)),
	}
	add := func(key, value string) {
		if value != "" {
			more = append(more, slog.String(key, value))
		}
	}
	add("reason", j.reason)
	add("answer", j.answer)
	add("looked", j.looked)
	if wait, ok := fault.RetryTime(err); ok {
		more = append(more, slog.Duration("again_in", wait))
	}
	if err != nil {
		more = append(more, slog.Any("error", err))
		level = slog.LevelWarn
	}
	if everybodys(j.answer) {
		level = slog.LevelError
	}
	j.Log.Log(ctx, level, j.Line+" handled", j.attrs(more...)...) //nolint:sloglint // the channel's own line
}

// attrs are the ids by which a line is found again.
func (j *job) attrs(more ...slog.Attr) []any {
	out := []any{
		slog.String("delivery_id", j.r.DeliveryID),
		slog.String("request_id", j.r.RequestID),
		slog.String("trace_id", j.r.TraceID),
		slog.String("org_id", j.r.OrgID),
		slog.String("env", j.r.Env),
		slog.String("provider", j.Name),
		slog.Int("attempt", j.claim.Attempt),
	}
	for _, attr := range more {
		out = append(out, attr)
	}
	return out
}
