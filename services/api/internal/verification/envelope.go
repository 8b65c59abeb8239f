package verification

import (
	"context"
	"mime"
	"net/http"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/exchange"
	"countersign.dev/services/api/internal/pipeline"
)

// answerOut is the envelope of success.
type answerOut[T any] struct {
	Success bool `json:"success"`
	Status  int  `json:"status" doc:"The status of the answer once more."`
	Data    T    `json:"data"`
}

// maybeOut is the envelope of what there may be nothing to say about: that is
// 204, without a body.
type maybeOut[T any] struct {
	Success bool `json:"success"`
	Status  int  `json:"status" doc:"The status of the answer once more."`
	Data    *T   `json:"data,omitempty"`
}

// None reports whether there is nothing to say.
func (m maybeOut[T]) None() bool { return m.Data == nil }

// answer makes a handler that reads what was given and answers in the envelope.
func answer[In, Out any](fn func(context.Context, pipeline.Call, In) (Out, error)) pipeline.Handler {
	return pipeline.Handle(func(ctx context.Context, c pipeline.Call, in In) (answerOut[Out], error) {
		forget(&in)
		data, err := fn(ctx, c, in)
		return answerOut[Out]{true, http.StatusOK, data}, err
	})
}

// maybe is answer for what may be nothing.
func maybe[In, Out any](fn func(context.Context, pipeline.Call, In) (*Out, error)) pipeline.Handler {
	return pipeline.Handle(func(ctx context.Context, c pipeline.Call, in In) (maybeOut[Out], error) {
		forget(&in)
		data, err := fn(ctx, c, in)
		return maybeOut[Out]{true, http.StatusOK, data}, err
	})
}

// errForm answers where a browser's form is taken and nothing else: what a
// script sends would follow the redirect itself, and read the code.
var errForm = fault.New(fault.Unsupported, "unsupported_media_type", "send this as a form, application/x-www-form-urlencoded, from the browser that is to be sent on")

// leave makes a handler of a form, which sends the browser on.
func leave[In any](fn func(context.Context, pipeline.Call, In) (secret.Text, error)) pipeline.Handler {
	return pipeline.Handle(func(ctx context.Context, c pipeline.Call, in In) (pipeline.Departure, error) {
		if kind, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
			return pipeline.Departure{}, errForm
		}
		forget(&in)
		to, err := fn(ctx, c, in)
		return pipeline.Departure{To: to}, err
	})
}

// from is where a call comes from.
func from(c pipeline.Call) exchange.From { return exchange.From{Source: c.Source, TraceID: c.TraceID} }

// stamp is a time as the contract writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// exchangeOut is an exchange id.
type exchangeOut struct {
	ID        string `json:"exchange_id"`
	ExpiresAt string `json:"expires_at"`
}

// exchanged is the exchange id of a step, or nil where there is none.
func exchanged(s exchange.Step) *exchangeOut {
	if s.ExchangeID.IsZero() {
		return nil
	}
	return &exchangeOut{s.ExchangeID.Reveal(), stamp(s.ExpiresAt)}
}
