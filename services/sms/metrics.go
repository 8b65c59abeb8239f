package sms

import (
	"time"

	"countersign.dev/pkg/event"
	"countersign.dev/pkg/telemetry"
	"countersign.dev/services/sms/internal/provider/inbox"
	"countersign.dev/services/sms/internal/provider/twilio"
	"countersign.dev/services/sms/internal/worker"
)

// metrics counts what the workers do. Labels are bounded: a code of the
// provider that is not listed here counts as other.
type metrics struct {
	results *telemetry.Counter
	answers *telemetry.Counter
	lookups *telemetry.Counter
	latency *telemetry.Histogram
}

var _ worker.Observer = (*metrics)(nil)

// answers of providers that have a series of their own: the words that every
// provider shares, and those of Twilio's codes that an operator acts on.
var answers = []string{
	"ok",
	worker.ReasonCredentials, worker.ReasonUnreachable, worker.ReasonNoAnswer, worker.ReasonUnreadable,
	worker.ReasonRateLimited, worker.ReasonRedirected, worker.ReasonPaused,
	worker.ReasonServer + ":500", worker.ReasonServer + ":502", worker.ReasonServer + ":503", worker.ReasonServer + ":504",
	worker.ReasonRefused + ":21211", // not a valid number
	worker.ReasonRefused + ":21408", // region not enabled
	worker.ReasonRefused + ":21606", // the sender is not ours
	worker.ReasonRefused + ":21610", // opted out
	worker.ReasonRefused + ":21612", // no route
	worker.ReasonRefused + ":21614", // not a mobile
	telemetry.Other,
}

// lookups that have a series of their own.
var lookups = []string{
	worker.LookFound, worker.LookMissing, worker.ReasonUnsure, worker.ReasonCredentials, worker.ReasonUnreachable,
	worker.ReasonNoAnswer, worker.ReasonUnreadable, worker.ReasonRateLimited, telemetry.Other,
}

func newMetrics(t *telemetry.Telemetry) *metrics {
	provider := telemetry.Label{Name: "provider", Values: []string{twilio.Name, inbox.Name}}
	results := telemetry.Label{Name: "result", Values: []string{
		string(event.Accepted), string(event.Delivered), string(event.Failed), string(event.Expired),
		string(event.Superseded), string(event.Retrying), string(event.Unknown),
	}}
	return &metrics{
		results: t.Counter("countersign_sms_results_total", "Reports about deliveries, by provider and result.", provider, results),
		answers: t.Counter("countersign_sms_provider_answers_total", "Calls of a provider, by provider and answer.",
			provider, telemetry.Label{Name: "answer", Values: answers}),
		lookups: t.Counter("countersign_sms_provider_lookups_total",
			"Looks into a provider's list for a message whose answer was lost, by provider and what it said.",
			provider, telemetry.Label{Name: "answer", Values: lookups}),
		latency: t.Histogram("countersign_sms_provider_seconds", "Time until a provider answered, by provider.", nil, provider),
	}
}

// Reported implements worker.Observer.
func (m *metrics) Reported(provider string, result event.Result) {
	m.results.Inc(provider, string(result))
}

// Answered implements worker.Observer.
func (m *metrics) Answered(provider, answer string, took time.Duration) {
	m.answers.Inc(provider, answer)
	m.latency.Observe(took, provider)
}

// Looked implements worker.Observer.
func (m *metrics) Looked(provider, answer string) { m.lookups.Inc(provider, answer) }
