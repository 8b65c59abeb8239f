package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bus counts what passes over the bus; it is a bus.Observer. Its labels are
// names that the code gives to streams and consumers, never anything that
// came with a message.
type Bus struct {
	published *prometheus.CounterVec
	consumed  *prometheus.HistogramVec
	dead      *prometheus.CounterVec
}

// Bus makes and registers the metrics of the process's one bus.
func (t *Telemetry) Bus() *Bus {
	b := &Bus{
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_bus_published_total", Help: "Publications, by stream and whether the bus has them.",
		}, []string{"stream", "result"}),
		consumed: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_bus_consumed_seconds", Help: "Time to handle a message, by consumer and result.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"consumer", "result"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_bus_dead_total", Help: "Messages parked because no try could handle them; alert on any.",
		}, []string{"consumer", "reason"}),
	}
	t.registry.MustRegister(b.published, b.consumed, b.dead)
	return b
}

// Published implements bus.Observer.
func (b *Bus) Published(stream string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	b.published.WithLabelValues(stream, result).Inc()
}

// Consumed implements bus.Observer.
func (b *Bus) Consumed(consumer, result string, took time.Duration) {
	b.consumed.WithLabelValues(consumer, result).Observe(took.Seconds())
}

// Dead implements bus.Observer.
func (b *Bus) Dead(consumer, reason string) { b.dead.WithLabelValues(consumer, reason).Inc() }
