// Package telemetry is what a process tells about itself on its operations
// port: metrics, liveness and readiness.
//
// It owns the registry of metrics, the rule that labels are bounded, and the
// meaning of the three paths. The wiring makes one [Telemetry], registers a
// [Telemetry.Check] for everything the service depends on, and serves
// [Telemetry.Ops] on a port of its own that is loopback by default. Other
// packages get single counters and histograms handed in; none asks a global
// registry.
package telemetry

import (
	"context"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Telemetry holds the metrics and the checks of one process.
type Telemetry struct {
	registry *prometheus.Registry
	draining atomic.Bool

	checks []*check // complete before the first request

	turn  chan struct{} // holds one token for who may touch what follows, and run the checks
	last  report
	until time.Time // when last is too old
}

// New makes the telemetry of a service with the metrics that every process
// has: the Go runtime, the process and countersign_build_info.
func New(service, version string) *Telemetry {
	t := &Telemetry{registry: prometheus.NewRegistry(), turn: make(chan struct{}, 1)}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "countersign_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"service": service, "version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
		checkCollector{t},
	)
	return t
}

// Registry is where collectors with a form of their own are registered.
func (t *Telemetry) Registry() prometheus.Registerer { return t.registry }

// Check adds a dependency to readiness. While a required one fails the process
// is unavailable (503); an optional one only shows as degraded, so that its
// loss does not take every replica out of the balancer at once. The function
// gets a second and should return a fault when the reason may be shown: of any
// other error only "unreachable" is. Call Check before serving Ops.
func (t *Telemetry) Check(name string, required bool, ask func(ctx context.Context) error) {
	t.checks = append(t.checks, &check{name: name, required: required, ask: ask})
}

// SetDraining makes readiness unavailable at once and for good: the process is
// about to stop.
func (t *Telemetry) SetDraining() { t.draining.Store(true) }

// Ops serves GET /metrics, /livez and /readyz.
//
// /livez answers 200 for as long as the process can answer, and never asks a
// dependency: a restart mends none of them. /readyz answers with a JSON report
// of the checks, at most one second old.
func (t *Telemetry) Ops() http.Handler {
	metrics := promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", t.serveReady)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// checkCollector exports the checks as metrics. It shares their cache, so that
// a scrape costs the dependencies nothing that readiness does not.
type checkCollector struct{ t *Telemetry }

var checkUp = prometheus.NewDesc("countersign_check_up",
	"Whether the readiness check of a dependency passes (1) or not (0).", []string{"check"}, nil)

func (c checkCollector) Describe(out chan<- *prometheus.Desc) { out <- checkUp }

func (c checkCollector) Collect(out chan<- prometheus.Metric) {
	for name, result := range c.t.report(context.Background()).Checks {
		up := 0.0
		if result.Status == ok {
			up = 1
		}
		out <- prometheus.MustNewConstMetric(checkUp, prometheus.GaugeValue, up, name)
	}
}
