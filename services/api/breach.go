package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign.dev/pkg/breachset"
	"countersign.dev/pkg/conf"
	"countersign.dev/services/api/internal/breach"
	"countersign.dev/services/api/internal/password"
)

// wireBreaches opens what knows breached passwords, if anything is configured.
// A filter that cannot be used is an error here, and a line in the log later.
func (s *Service) wireBreaches(passwords *password.Service) error {
	if s.cfg.BreachURL == "" && s.cfg.BreachFilterFile == "" {
		return nil
	}
	count := newBreachMetrics(s.telemetry.Registry())
	out := &breach.Service{Observe: count.asked}
	if s.cfg.BreachFilterFile != "" {
		s.filter = &filterFile{path: s.cfg.BreachFilterFile, log: s.log, metrics: count, filter: &breach.Filter{Broken: func(err error) {
			s.log.Error("filter of breached passwords cannot be read", slog.Any("error", err))
		}}}
		if err := s.filter.load(); err != nil {
			return fmt.Errorf("COUNTERSIGN_BREACH_FILTER_FILE: %w", err)
		}
		s.opened = append(s.opened, s.filter.filter.Close)
		out.Filter = s.filter.filter
	}
	if s.cfg.BreachURL != "" {
		roots, err := readRoots(s.cfg.BreachCAFile)
		if err != nil {
			return fmt.Errorf("COUNTERSIGN_BREACH_CA_FILE: %w", err)
		}
		out.Range = breach.NewRange(breach.RangeConfig{
			BaseURL: s.cfg.BreachURL, UserAgent: "Countersign/" + Version, Roots: roots, Now: time.Now, Changed: s.rangeChanged,
		})
		s.opened = append(s.opened, func() error { out.Range.Close(); return nil })
	}
	passwords.Breaches = out
	return nil
}

func (s *Service) rangeChanged(err error) {
	if err != nil {
		s.log.Warn("the range API of breached passwords does not answer: it is left alone, and new passwords are not checked there", slog.Any("error", err))
		return
	}
	s.log.Info("the range API of breached passwords answers again")
}

// readRoots reads the certificates to trust; nil means the system's.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file holds no PEM certificate")
	}
	return roots, nil
}

// filterFile follows the file of the filter: one that is put in its place is
// asked within seconds. One that cannot be used leaves the old one.
type filterFile struct {
	path    string
	log     *slog.Logger
	metrics *breachMetrics
	filter  *breach.Filter
	seen    fs.FileInfo // what stood there at the last look, good or not
}

// lookForFilter is the time between two looks at the file.
const lookForFilter = 5 * time.Second

// follow looks at the file until ctx ends.
func (f *filterFile) follow(ctx context.Context) error {
	ticker := time.NewTicker(lookForFilter)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			f.look(ctx)
		}
	}
}

// look loads the file when it is another one than at the last look, and says
// so once.
func (f *filterFile) look(ctx context.Context) {
	before := f.seen
	info, err := os.Stat(f.path)
	if err == nil && same(info, before) || err != nil && before == nil {
		return
	}
	f.seen = info
	if err == nil {
		err = f.load()
	}
	if err != nil {
		f.metrics.loads.WithLabelValues("refused").Inc()
		f.log.ErrorContext(ctx, "new filter of breached passwords not used; the old one goes on", "error", err)
	}
}

// same reports whether a file is the one that was looked at before.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// load reads all of the file once, and then asks it.
func (f *filterFile) load() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("open filter: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("look at filter: %w", err), file.Close())
	}
	f.seen = info
	set, err := breachset.Open(file, info.Size())
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if err := f.filter.Replace(set, file.Close); err != nil {
		f.log.Warn("old filter of breached passwords not closed", slog.Any("error", err))
	}
	f.metrics.loads.WithLabelValues("loaded").Inc()
	f.metrics.keys.Set(float64(set.Keys))
	f.metrics.listed.Set(float64(set.Listed.Unix()))
	f.log.Info("filter of breached passwords loaded", "keys", set.Keys, "listed", set.Listed)
	return nil
}

// breachMetrics count what was asked about passwords.
type breachMetrics struct {
	checks *prometheus.CounterVec
	loads  *prometheus.CounterVec
	keys   prometheus.Gauge
	listed prometheus.Gauge
}

func newBreachMetrics(registry prometheus.Registerer) *breachMetrics {
	m := &breachMetrics{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_breach_questions_total", Help: "Questions about breached passwords, by who was asked and what came of it; alert on failed and paused.",
		}, []string{"source", "result"}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_breach_filter_loads_total", Help: "Filters that were loaded, or refused while the old one goes on.",
		}, []string{"result"}),
		keys: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "countersign_breach_filter_keys", Help: "Hashes in the filter of breached passwords; 0 without one.",
		}),
		listed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "countersign_breach_filter_list_timestamp_seconds", Help: "When the list that the filter was built from was written.",
		}),
	}
	for _, source := range breach.Sources {
		for _, result := range breach.Results {
			m.checks.WithLabelValues(string(source), string(result))
		}
	}
	for _, result := range []string{"loaded", "refused"} {
		m.loads.WithLabelValues(result)
	}
	registry.MustRegister(m.checks, m.loads, m.keys, m.listed)
	return m
}

func (m *breachMetrics) asked(source breach.Source, result breach.Result) {
	m.checks.WithLabelValues(string(source), string(result)).Inc()
}

func (c Config) validateBreach() error {
	if c.BreachURL == "" {
		return nil
	}
	if mistake := breach.CheckBase(c.BreachURL); mistake != "" {
		return conf.Wrong("COUNTERSIGN_BREACH_URL", "%s", mistake)
	}
	if u, err := url.Parse(c.BreachURL); err == nil && u.Scheme == "http" && (!c.InsecureDev || !conf.Loopback(u.Host)) {
		return conf.Wrong("COUNTERSIGN_BREACH_URL", "must be https; plain http needs %s=true and a loopback host", conf.InsecureDevKey)
	}
	return nil
}
