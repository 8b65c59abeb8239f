package logs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"countersign.dev/pkg/fault"
	"countersign.dev/pkg/logs"
)

var formats = []logs.Format{logs.JSON, logs.Text}

// record logs once and returns the line without its end.
func record(t *testing.T, format logs.Format, write func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	write(logs.New(&out, logs.Config{Level: slog.LevelDebug, Format: format}))
	line, ok := strings.CutSuffix(out.String(), "\n")
	if !ok {
		t.Fatalf("%s: no line was written: %q", format, out.String())
	}
	return line
}

// fields reads a JSON line.
func fields(t *testing.T, line string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(line), &out); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return out
}

func TestTheHandlerKeepsTheRulesOfSlog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logs.New(&out, logs.Config{})
	err := slogtest.TestHandler(log.Handler(), func() []map[string]any {
		var all []map[string]any
		for line := range strings.Lines(out.String()) {
			all = append(all, fields(t, line))
		}
		return all
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheRequestIDIsAtTheTopOfTheLine(t *testing.T) {
	t.Parallel()
	ctx := logs.WithRequestID(t.Context(), "req-1")
	if got := logs.RequestID(ctx); got != "req-1" {
		t.Errorf("RequestID = %q", got)
	}
	if got := logs.RequestID(t.Context()); got != "" {
		t.Errorf("RequestID outside a request = %q", got)
	}
	cases := map[string]struct {
		write func(*slog.Logger)
		want  map[string]any
	}{
		"a plain logger": {
			func(l *slog.Logger) { l.InfoContext(ctx, "m", "a", 1) },
			map[string]any{"a": 1.0, "request_id": "req-1"},
		},
		"a logger with attributes": {
			func(l *slog.Logger) { l.With("b", 2).InfoContext(ctx, "m", "a", 1) },
			map[string]any{"b": 2.0, "a": 1.0, "request_id": "req-1"},
		},
		"open groups with attributes between them": {
			func(l *slog.Logger) {
				l.With("b", 2).WithGroup("g").With("c", 3).WithGroup("h").InfoContext(ctx, "m", "a", 1)
			},
			map[string]any{"b": 2.0, "request_id": "req-1", "g": map[string]any{"c": 3.0, "h": map[string]any{"a": 1.0}}},
		},
		"no request": {
			func(l *slog.Logger) { l.WithGroup("g").Info("m", "a", 1) },
			map[string]any{"g": map[string]any{"a": 1.0}},
		},
		"groups and attributes of no name and no content": {
			func(l *slog.Logger) { l.WithGroup("").With().InfoContext(ctx, "m") },
			map[string]any{"request_id": "req-1"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := fields(t, record(t, logs.JSON, c.write))
			for _, key := range []string{"time", "level", "msg"} {
				delete(got, key)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

func TestLoggersMadeFromOneDoNotShareTheirGroups(t *testing.T) {
	t.Parallel()
	ctx := logs.WithRequestID(t.Context(), "req-1")
	var out bytes.Buffer
	base := logs.New(&out, logs.Config{}).WithGroup("g").With("a", 1).With("b", 2)
	first, second := base.With("first", true), base.With("second", true)
	second.InfoContext(ctx, "m")
	first.InfoContext(ctx, "m")
	lines := slices.Collect(strings.Lines(out.String()))
	if strings.Contains(lines[0], "first") || strings.Contains(lines[1], "second") {
		t.Errorf("attributes crossed over:\n%s", out.String())
	}
}

func TestTimeIsUTC(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			zone := time.FixedZone("east", 5*3600)
			line := record(t, format, func(l *slog.Logger) {
				r := slog.NewRecord(time.Date(2026, 3, 1, 3, 0, 0, 0, zone), slog.LevelInfo, "m", 0)
				_ = l.Handler().Handle(t.Context(), r)
			})
			if !strings.Contains(line, "2026-02-28T22:00:00") || strings.Contains(line, "+05:00") {
				t.Errorf("not UTC: %s", line)
			}
		})
	}
}

func TestLevelAndFormatCanBeConfigured(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logs.New(&out, logs.Config{Level: slog.LevelWarn, Format: logs.Text})
	log.Info("not shown")
	log.Warn("shown")
	if got := out.String(); strings.Contains(got, "not shown") || !strings.Contains(got, "level=WARN msg=shown") {
		t.Errorf("got %s", got)
	}
	var format logs.Format
	if err := format.UnmarshalText([]byte("text")); err != nil || format != logs.Text {
		t.Errorf("%q, %v", format, err)
	}
	if err := format.UnmarshalText([]byte("xml")); err == nil {
		t.Error("xml was taken for a format")
	}
}

// hostile holds every character that some reader of a log file takes for the
// end of a line, or that moves the cursor of a terminal.
const hostile = "a\r\nlevel=ERROR msg=forged\n{\"level\":\"ERROR\"}\v\f\x00\x1b[2K\x7f\u0085\u009b2J\u2028\u2029\xff\xc2"

func TestNoValueCanStartASecondLine(t *testing.T) {
	t.Parallel()
	writes := map[string]func(*slog.Logger){
		"a message":             func(l *slog.Logger) { l.Info(hostile) },
		"a value":               func(l *slog.Logger) { l.Info("m", "a", hostile) },
		"a key":                 func(l *slog.Logger) { l.Info("m", hostile, "a") },
		"a bound value":         func(l *slog.Logger) { l.With("a", hostile).Info("m") },
		"a group name":          func(l *slog.Logger) { l.WithGroup(hostile).Info("m", "a", 1) },
		"an error":              func(l *slog.Logger) { l.Info("m", "err", fmt.Errorf("read: %w", errors.New(hostile))) },
		"a request id":          func(l *slog.Logger) { l.InfoContext(logs.WithRequestID(t.Context(), hostile), "m") },
		"a struct":              func(l *slog.Logger) { l.Info("m", "a", struct{ A, B any }{hostile, []string{hostile}}) },
		"a map key":             func(l *slog.Logger) { l.Info("m", "a", map[string]string{hostile: hostile}) },
		"raw JSON over lines":   func(l *slog.Logger) { l.Info("m", "a", json.RawMessage("{\n\"a\":\n1}")) },
		"bytes":                 func(l *slog.Logger) { l.Info("m", "a", []byte(hostile)) },
		"text that marshals":    func(l *slog.Logger) { l.Info("m", "a", marshals{}) },
		"a value that computes": func(l *slog.Logger) { l.Info("m", "a", computes{}) },
	}
	for name, write := range writes {
		for _, format := range formats {
			t.Run(name+" as "+string(format), func(t *testing.T) {
				t.Parallel()
				line := record(t, format, write)
				for _, end := range []string{"\r", "\n", "\v", "\f", "\x00", "\x1b", "\u0085", "\u009b", "\u2028", "\u2029"} {
					if strings.Contains(line, end) {
						t.Errorf("%q stands in the line: %q", end, line)
					}
				}
				if format == logs.JSON {
					fields(t, line)
				}
			})
		}
	}
}

type marshals struct{}

func (marshals) MarshalText() ([]byte, error) { return []byte(hostile), nil }

type computes struct{}

func (computes) LogValue() slog.Value { return slog.StringValue(hostile) }

func TestWhatOfAPanicIsLogged(t *testing.T) {
	t.Parallel()
	recovered := func(f func()) (value any) {
		defer func() { value = recover() }()
		f()
		return nil
	}
	var list []int
	cases := map[string]struct {
		value any
		want  string
	}{
		"an error of the runtime": {recovered(func() { list[len(list)+5] = 1 }), "runtime error: index out of range [5] with length 0"},
		"a wrapped one":           {recovered(func() { panic(fmt.Errorf("x: %w", recovered(func() { _ = list[0] }).(error))) }), "runtime error: index out of range [0] with length 0"},
		"a fault":                 {fault.New(fault.Internal, "broken", "canary"), "fault broken"},
		"a string":                {"canary", "a value of type string"},
		"an error":                {errors.New("canary"), "a value of type *errors.errorString"},
		"nil":                     {recovered(func() { panic(nil) }), "panic called with nil argument"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := logs.Panic(c.value); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
