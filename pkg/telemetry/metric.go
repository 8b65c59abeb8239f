package telemetry

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Other is the value of a label that was given one it does not list.
const Other = "other"

// seriesLimit bounds the series of one metric, so that all of them together
// stay far below what a scrape should carry. It is a limit on declarations: at
// run time nothing can add a series.
const seriesLimit = 500

// Label is a label with every value it can take. Anything else is counted
// under [Other], which is why no id, address or path of a caller ever becomes
// a series.
type Label struct {
	Name   string
	Values []string
}

// Counter counts events by bounded labels. It is safe for concurrent use.
type Counter struct {
	labels []Label
	vec    *prometheus.CounterVec
}

// Counter makes and registers a counter. All its series are there from the
// start at zero, so that the first event is seen as an increase. A name that
// is taken, and labels with too many combinations, are bugs and panic.
func (t *Telemetry) Counter(name, help string, labels ...Label) *Counter {
	c := &Counter{labels, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, names(labels))}
	for _, values := range combinations(name, labels) {
		c.vec.WithLabelValues(values...)
	}
	t.registry.MustRegister(c.vec)
	return c
}

// Inc adds one to the series of the values, which stand in the order of the
// labels.
func (c *Counter) Inc(values ...string) { c.Add(1, values...) }

// Add adds n, which is not negative.
func (c *Counter) Add(n float64, values ...string) {
	c.vec.WithLabelValues(bound(c.labels, values)...).Add(n)
}

// Histogram measures durations by bounded labels. It is safe for concurrent
// use.
type Histogram struct {
	labels []Label
	vec    *prometheus.HistogramVec
}

// Histogram makes and registers a histogram of seconds with the given upper
// bounds of its buckets; none means the usual ones from 5 ms to 10 s. It
// panics like [Telemetry.Counter].
func (t *Telemetry) Histogram(name, help string, buckets []float64, labels ...Label) *Histogram {
	if len(buckets) == 0 {
		buckets = prometheus.DefBuckets
	}
	options := prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}
	h := &Histogram{labels, prometheus.NewHistogramVec(options, names(labels))}
	combinations(name, labels)
	t.registry.MustRegister(h.vec)
	return h
}

// Observe notes one duration.
func (h *Histogram) Observe(took time.Duration, values ...string) {
	h.vec.WithLabelValues(bound(h.labels, values)...).Observe(took.Seconds())
}

// Gauge registers a gauge whose value is asked for at each scrape. The
// function must be quick and safe for concurrent use.
func (t *Telemetry) Gauge(name, help string, value func() float64) {
	t.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

func names(labels []Label) []string {
	out := make([]string, len(labels))
	for i, label := range labels {
		out[i] = label.Name
	}
	return out
}

// bound replaces the values that are not listed. A wrong number of them is a
// bug, but one that must not cost the request that was only to be counted.
func bound(labels []Label, values []string) []string {
	out := make([]string, len(labels))
	for i, label := range labels {
		out[i] = Other
		if i < len(values) && slices.Contains(label.Values, values[i]) {
			out[i] = values[i]
		}
	}
	return out
}

// combinations lists the declared series.
func combinations(name string, labels []Label) [][]string {
	out := [][]string{{}}
	for _, label := range labels {
		var next [][]string
		for _, head := range out {
			for _, value := range label.Values {
				next = append(next, append(slices.Clone(head), value))
			}
		}
		if out = next; len(out) > seriesLimit {
			panic(fmt.Sprintf("telemetry: %s has more than %d series", name, seriesLimit))
		}
	}
	return out
}
