package telemetry_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign.dev/pkg/telemetry"
)

// scrape returns the lines of /metrics that start with the prefix.
func scrape(t *testing.T, tel *telemetry.Telemetry, prefix string) []string {
	t.Helper()
	w := get(tel.Ops(), "/metrics")
	if w.Code != 200 {
		t.Fatalf("/metrics: %d %s", w.Code, w.Body)
	}
	var out []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

var (
	channel = telemetry.Label{Name: "channel", Values: []string{"email", "sms"}}
	outcome = telemetry.Label{Name: "outcome", Values: []string{"accepted", "failed"}}
)

func TestEveryProcessHasTheseMetrics(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.2.3")
	tel.Check("postgres", true, passes)
	tel.Check("nats", false, fails(errors.New("down")))
	build := scrape(t, tel, "countersign_build_info")
	if len(build) != 1 || !strings.Contains(build[0], `service="api"`) || !strings.Contains(build[0], `version="1.2.3"} 1`) {
		t.Errorf("got %v", build)
	}
	expect(t, scrape(t, tel, "countersign_check_up"), `countersign_check_up{check="nats"} 0`, `countersign_check_up{check="postgres"} 1`)
	for _, prefix := range []string{"go_goroutines ", "process_resident_memory_bytes "} {
		if len(scrape(t, tel, prefix)) != 1 {
			t.Errorf("%s is missing", prefix)
		}
	}
}

func TestALabelTakesOnlyItsListedValues(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	sent := tel.Counter("sent_total", "Sent.", channel, outcome)
	expect(t, scrape(t, tel, "sent_total"),
		`sent_total{channel="email",outcome="accepted"} 0`, `sent_total{channel="email",outcome="failed"} 0`,
		`sent_total{channel="sms",outcome="accepted"} 0`, `sent_total{channel="sms",outcome="failed"} 0`)
	sent.Inc("sms", "accepted")
	sent.Add(2.5, "sms", "accepted")
	sent.Inc("email")                    // one value too few
	sent.Inc("email", "failed", "extra") // one too many
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			for j := range 100 {
				sent.Inc(fmt.Sprint("+49151", i), fmt.Sprint(j))
			}
		})
	}
	all.Wait()
	expect(t, scrape(t, tel, "sent_total"),
		`sent_total{channel="email",outcome="accepted"} 0`, `sent_total{channel="email",outcome="failed"} 1`,
		`sent_total{channel="email",outcome="other"} 1`, `sent_total{channel="other",outcome="other"} 3200`,
		`sent_total{channel="sms",outcome="accepted"} 3.5`, `sent_total{channel="sms",outcome="failed"} 0`)
}

func TestAMetricWithoutLabels(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	dead := tel.Counter("dead_total", "Dead.")
	tel.Gauge("queue", "Queue.", func() float64 { return 7 })
	dead.Inc()
	expect(t, scrape(t, tel, "dead_total"), "dead_total 1")
	expect(t, scrape(t, tel, "queue"), "queue 7")
}

func TestHistograms(t *testing.T) {
	t.Parallel()
	tel := telemetry.New("api", "1.0")
	took := tel.Histogram("took_seconds", "Took.", []float64{0.1, 1}, channel)
	took.Observe(50*time.Millisecond, "sms")
	took.Observe(2*time.Second, "carrier pigeon")
	expect(t, scrape(t, tel, "took_seconds"),
		`took_seconds_bucket{channel="other",le="0.1"} 0`, `took_seconds_bucket{channel="other",le="1"} 0`,
		`took_seconds_bucket{channel="other",le="+Inf"} 1`, `took_seconds_sum{channel="other"} 2`, `took_seconds_count{channel="other"} 1`,
		`took_seconds_bucket{channel="sms",le="0.1"} 1`, `took_seconds_bucket{channel="sms",le="1"} 1`,
		`took_seconds_bucket{channel="sms",le="+Inf"} 1`, `took_seconds_sum{channel="sms"} 0.05`, `took_seconds_count{channel="sms"} 1`)
	usual := tel.Histogram("usual_seconds", "Usual.", nil)
	usual.Observe(time.Millisecond)
	if got := len(scrape(t, tel, "usual_seconds_bucket")); got != 12 {
		t.Errorf("%d buckets", got)
	}
}

func TestTooManySeriesAndTakenNamesPanic(t *testing.T) {
	t.Parallel()
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	tel := telemetry.New("api", "1.0")
	tel.Counter("taken_total", "Taken.")
	cases := map[string]func(){
		"too many series": func() {
			tel.Counter("many_total", "Many.", telemetry.Label{Name: "a", Values: many}, telemetry.Label{Name: "b", Values: many})
		},
		"a histogram of too many": func() {
			tel.Histogram("many_seconds", "Many.", nil, telemetry.Label{Name: "a", Values: many}, telemetry.Label{Name: "b", Values: many})
		},
		"a taken name": func() { tel.Counter("taken_total", "Taken.") },
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
