package api

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign.dev/pkg/ephemeral"
	"countersign.dev/pkg/event"
	"countersign.dev/pkg/web"
	"countersign.dev/services/api/internal/backchannel"
	"countersign.dev/services/api/internal/challenge"
	"countersign.dev/services/api/internal/guard"
	"countersign.dev/services/api/internal/hashing"
	"countersign.dev/services/api/internal/outbox"
	"countersign.dev/services/api/internal/password"
	"countersign.dev/services/api/internal/tenant"
)

// metrics counts what the service promises. Labels are bounded: no
// organization, no user, no path that a caller chose.
type metrics struct {
	requests    *prometheus.HistogramVec
	comparisons *prometheus.CounterVec
	outcomes    *prometheus.CounterVec
	delay       prometheus.Histogram
	stopped     *prometheus.CounterVec
	alarms      *prometheus.CounterVec
	open        *prometheus.GaugeVec
	oldest      *prometheus.GaugeVec
	unpublished *prometheus.CounterVec
	hashes      *prometheus.HistogramVec
	drift       *prometheus.CounterVec
	refused     *prometheus.CounterVec
	lookedUp    *prometheus.CounterVec
	logouts     *prometheus.CounterVec
}

// alarmSpraying is the alarm of the guard; the others are the challenges'.
const alarmSpraying = "spraying"

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_http_request_seconds", Help: "Time to answer, by route and status.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"method", "route", "status"}),
		comparisons: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_comparisons_total", Help: "Codes compared, by class of factor and outcome.",
		}, []string{"class", "outcome"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_delivery_outcomes_total", Help: "Results of deliveries as recorded, by environment and result.",
		}, []string{"environment", "result"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "countersign_outcome_delay_seconds", Help: "Time from a worker's report to its record.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
	}
	m.stopped = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_sends_stopped_total", Help: "Messages that a limit refused, by environment and the code of the fault.",
	}, []string{"environment", "reason"})
	m.alarms = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_alarms_total", Help: "What looks like an attack, by kind; alert on any.",
	}, []string{"kind"})
	for _, kind := range []string{string(challenge.AlarmPrefix), string(challenge.AlarmBlock), alarmSpraying, alarmReuse} {
		m.alarms.WithLabelValues(kind) // there from the start, so that the first one is seen as an increase
	}
	m.open = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "countersign_outbox_open", Help: "Entries of the outbox that wait for their end, by kind; each api process counts all.",
	}, []string{"kind"})
	m.oldest = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "countersign_outbox_oldest_seconds", Help: "Age of the oldest entry of the outbox, by kind.",
	}, []string{"kind"})
	m.unpublished = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_outbox_failures_total", Help: "Publications from the outbox that failed and are tried again, by kind.",
	}, []string{"kind"})
	m.hashes = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "countersign_hashing_wait_seconds", Help: "How long passwords waited for their turn to be hashed, by result.",
		Buckets: []float64{0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2},
	}, []string{"result"})
	m.drift = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_totp_drift_total", Help: "Codes of authenticator apps accepted, by the steps that the app's clock was ahead of ours; if most are on one side, ours is wrong.",
	}, []string{"steps"})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_passwords_refused_total", Help: "New passwords that were refused, by the code of the fault.",
	}, []string{"reason"})
	m.lookedUp = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_breach_checks_total", Help: "Passwords looked up among leaked ones, by outcome; unchecked ones were taken and are looked up again at the next login.",
	}, []string{"outcome"})
	for _, outcome := range password.Outcomes() {
		m.lookedUp.WithLabelValues(string(outcome)) // an outage begins at nought
	}
	m.logouts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "countersign_backchannel_logouts_total", Help: "Apps told that a session has ended, by outcome of the try.",
	}, []string{"outcome"})
	for _, outcome := range backchannel.Outcomes() {
		m.logouts.WithLabelValues(string(outcome))
	}
	registry.MustRegister(m.logouts, m.requests, m.comparisons, m.outcomes, m.delay, m.stopped, m.alarms, m.open, m.oldest, m.unpublished, m.hashes, m.drift, m.refused, m.lookedUp)
	return m
}

func (m *metrics) request(o web.Observation) {
	m.requests.WithLabelValues(o.Method, o.Route, strconv.Itoa(o.Status)).Observe(o.Took.Seconds())
}

func (m *metrics) compared(class string, outcome ephemeral.Outcome) {
	m.comparisons.WithLabelValues(class, string(outcome)).Inc()
}

func (m *metrics) hashed(t hashing.Turn) {
	result := "done"
	if t.Refused {
		result = "refused"
	}
	m.hashes.WithLabelValues(result).Observe(t.Waited.Seconds())
}

func (m *metrics) passwordRefused(code string) { m.refused.WithLabelValues(code).Inc() }

func (m *metrics) passwordLookedUp(o password.Outcome) { m.lookedUp.WithLabelValues(string(o)).Inc() }

func (m *metrics) drifted(steps int) { m.drift.WithLabelValues(strconv.Itoa(steps)).Inc() }

func (m *metrics) sendStopped(env, code string) { m.stopped.WithLabelValues(env, code).Inc() }

func (m *metrics) outboxFailed(kind outbox.Kind) { m.unpublished.WithLabelValues(string(kind)).Inc() }

func (m *metrics) outboxOpen(kind outbox.Kind, open int, oldest time.Duration) {
	m.open.WithLabelValues(string(kind)).Set(float64(open))
	m.oldest.WithLabelValues(string(kind)).Set(oldest.Seconds())
}

func (m *metrics) alarm(kind string) { m.alarms.WithLabelValues(kind).Inc() }

// sprayed raises the alarm about an organization whose breaker has tripped.
func (s *Service) sprayed(ctx context.Context, t tenant.ID, spray guard.Spray) {
	s.metrics.alarm(alarmSpraying)
	s.log.WarnContext(ctx, "wrong codes for many users: signing in by a code alone is paused", "org_id", t.Org, "env", t.Env,
		"wrong", spray.Fails, "users", spray.Users)
}

func (m *metrics) outcome(o event.Outcome) {
	m.outcomes.WithLabelValues(o.Env, string(o.Result)).Inc()
	m.delay.Observe(max(time.Since(time.UnixMilli(o.At)), 0).Seconds())
}
