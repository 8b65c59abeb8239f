package service

import (
	"slices"
	"time"

	"countersign.dev/pkg/courier"
	"countersign.dev/pkg/courier/inbox"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/telemetry"
)

// Series are the metrics of a trade: their names, written out so that they are
// found, and their bounded labels. What is not listed counts as other.
type Series struct {
	Results string // reports about deliveries
	Answers string // calls of a provider
	Seconds string // until it answered
	Lookups string // looks into a provider's list; empty when none keeps one
	Stock   string // messages in our words where an organization's own could not be used

	Providers []string // beside the inbox
	// Words are the answers of providers beside those that all share, such as
	// the codes that an operator acts on.
	Words       []string
	LookupWords []string
	Buckets     []float64 // of Seconds; nil is up to 10 s
}

// metrics counts what the workers do.
type metrics struct {
	results *telemetry.Counter
	answers *telemetry.Counter
	lookups *telemetry.Counter // nil without lookups
	stock   *telemetry.Counter
	latency *telemetry.Histogram
}

var _ courier.Observer = (*metrics)(nil)

// shared are the answers that every provider can give.
var shared = []string{
	"ok",
	courier.ReasonCredentials, courier.ReasonUnreachable, courier.ReasonNoAnswer, courier.ReasonUnreadable,
	courier.ReasonRateLimited, courier.ReasonRedirected, courier.ReasonTLS, courier.ReasonForbidden, courier.ReasonPaused, telemetry.Other,
}

func newMetrics(t *telemetry.Telemetry, of Series) *metrics {
	provider := telemetry.Label{Name: "provider", Values: append(slices.Clone(of.Providers), inbox.Name)}
	results := telemetry.Label{Name: "result", Values: []string{
		string(event.Accepted), string(event.Delivered), string(event.Failed), string(event.Expired),
		string(event.Superseded), string(event.Retrying), string(event.Deferred), string(event.Unknown),
	}}
	m := &metrics{
		results: t.Counter(of.Results, "Reports about deliveries, by provider and result.", provider, results),
		answers: t.Counter(of.Answers, "Calls of a provider, by provider and answer.",
			provider, telemetry.Label{Name: "answer", Values: slices.Concat(shared, of.Words)}),
		stock:   t.Counter(of.Stock, "Messages in our words where an organization's own could not be used.", provider),
		latency: t.Histogram(of.Seconds, "Time until a provider answered, by provider.", of.Buckets, provider),
	}
	if of.Lookups != "" {
		m.lookups = t.Counter(of.Lookups,
			"Looks into a provider's list for a message whose answer was lost, by provider and what it said.",
			provider, telemetry.Label{Name: "answer", Values: append(slices.Clone(of.LookupWords), telemetry.Other)})
	}
	return m
}

// Reported implements courier.Observer.
func (m *metrics) Reported(provider string, result event.Result) {
	m.results.Inc(provider, string(result))
}

// Answered implements courier.Observer.
func (m *metrics) Answered(provider, answer string, took time.Duration) {
	m.answers.Inc(provider, answer)
	m.latency.Observe(took, provider)
}

// Looked implements courier.Observer.
func (m *metrics) Looked(provider, answer string) {
	if m.lookups != nil {
		m.lookups.Inc(provider, answer)
	}
}

// Fell implements courier.Observer.
func (m *metrics) Fell(provider string) { m.stock.Inc(provider) }
