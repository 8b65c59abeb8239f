package api

import (
	"bytes"
	"crypto/sha1"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"countersign.dev/pkg/breachset"
	"countersign.dev/pkg/secret"
	"countersign.dev/services/api/internal/breach"
)

const loads = "countersign_breach_filter_loads_total"

// WriteFilter puts a filter of these passwords in a file's place, as the
// command line does.
func WriteFilter(t *testing.T, path string, passwords ...string) {
	t.Helper()
	file, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hashes := make([]breachset.Hash, len(passwords))
	for i, p := range passwords {
		hashes[i] = sha1.Sum([]byte(p))
	}
	slices.SortFunc(hashes, func(a, b breachset.Hash) int { return bytes.Compare(a[:], b[:]) })
	builder := breachset.NewBuilder(file, 1, time.Unix(1_800_000_000, 0))
	for _, h := range hashes {
		if err := builder.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := builder.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// counted is the value of a metric, of the series with that one label.
type counted func(name, label string) float64

// followed is a filter's file, what asks it, and its metrics.
func followed(t *testing.T, log *bytes.Buffer, passwords ...string) (*filterFile, *breach.Service, counted) {
	t.Helper()
	registry := prometheus.NewRegistry()
	count := func(name, label string) float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				if family.GetName() == name && (label == "" || metric.GetLabel()[0].GetValue() == label) {
					return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
				}
			}
		}
		t.Fatalf("there is no %s", name)
		return 0
	}
	f := &filterFile{
		path: filepath.Join(t.TempDir(), "filter"), log: slog.New(slog.NewTextHandler(log, nil)),
		metrics: newBreachMetrics(registry), filter: &breach.Filter{},
	}
	WriteFilter(t, f.path, passwords...)
	if err := f.load(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.filter.Close() })
	return f, &breach.Service{Filter: f.filter}, count
}

// A file that is put in the place of another one is asked from the next look
// on. What cannot be used leaves the old one, and is told once.
func TestTheFiltersFileIsFollowed(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f, service, count := followed(t, &log, "first", "both")
	want := func(when string, found map[string]bool) {
		t.Helper()
		for plain, want := range found {
			if got, checked := service.Breached(t.Context(), secret.New(plain)); got != want || !checked {
				t.Errorf("%s: %s is %v, checked %v", when, plain, got, checked)
			}
		}
	}
	first := map[string]bool{"first": true, "both": true, "second": false}
	second := map[string]bool{"first": false, "both": true, "second": true}
	want("at the start", first)
	f.look(t.Context())
	want("nothing has changed", first)
	if n := count(loads, "loaded"); n != 1 {
		t.Errorf("loaded %v times", n)
	}
	WriteFilter(t, f.path, "second", "both", "third")
	want("before the next look", first)
	f.look(t.Context())
	want("replaced", second)
	if keys, listed := count("countersign_breach_filter_keys", ""), count("countersign_breach_filter_list_timestamp_seconds", ""); keys != 3 || listed != 1_800_000_000 {
		t.Errorf("%v keys, listed at %v", keys, listed)
	}
	log.Reset()
	for name, harm := range map[string]func() error{
		"damaged":      func() error { return os.WriteFile(f.path+".new", []byte("half a filter"), 0o600) },
		"empty":        func() error { return os.WriteFile(f.path+".new", nil, 0o600) },
		"not readable": func() error { return os.Mkdir(f.path+".new", 0o700) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(f.path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(f.path+".new", f.path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			f.look(t.Context())
		}
		want(name, second)
	}
	if err := os.RemoveAll(f.path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.look(t.Context())
	}
	want("gone", second)
	if n := strings.Count(log.String(), "\n"); n != 4 || count(loads, "refused") != 4 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	WriteFilter(t, f.path, "first", "both")
	f.look(t.Context())
	want("back", first)
}

// No question fails while files are replaced a hundred times, and each is
// answered by the old or the new one.
func TestTheFilterIsReplacedWhileItIsAsked(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f, service, count := followed(t, &log, "always", "0")
	over := make(chan struct{})
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for {
				if found, checked := service.Breached(t.Context(), secret.New("always")); !found || !checked {
					t.Errorf("found %v, checked %v", found, checked)
				}
				if found, checked := service.Breached(t.Context(), secret.New("never")); found || !checked {
					t.Errorf("what is in none: found %v, checked %v", found, checked)
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	for range 100 {
		WriteFilter(t, f.path, "always", "1")
		f.look(t.Context())
	}
	close(over)
	asking.Wait()
	if n := count(loads, "loaded"); n != 101 {
		t.Errorf("loaded %v times", n)
	}
}

// The configuration says whom to ask, and never in plain text beyond this
// machine.
func TestTheRangeAPIsAddress(t *testing.T) {
	t.Parallel()
	for url, c := range map[string]struct{ dev, ok bool }{
		"":                                 {ok: true},
		"https://api.pwnedpasswords.com":   {ok: true},
		"https://mirror.example.com/hibp/": {ok: true},
		"http://127.0.0.1:9913":            {dev: true, ok: true},
		"http://127.0.0.1:9914":            {},
		"http://mirror.example.com":        {dev: true},
		"mirror.example.com":               {},
		"https://user:pw@mirror.example":   {},
	} {
		cfg := Config{BreachURL: url, InsecureDev: c.dev}
		if err := cfg.validateBreach(); (err == nil) != c.ok {
			t.Errorf("%q: %v", url, err)
		}
	}
	for path, ok := range map[string]bool{"": true, "/nowhere.pem": false, "breach_file_test.go": false} {
		if _, err := readRoots(path); (err == nil) != ok {
			t.Errorf("certificates in %q: %v", path, err)
		}
	}
}
