package countersign

import (
	"bytes"
	"testing"
	"time"
)

// At a terminal progress is one line that is written over, elsewhere a line
// now and then.
func TestMeter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	m := newMeter(&out)
	m.now = func() time.Time { return now }
	m.at(0.25, 1_000_000, "") // where another process stopped
	now = now.Add(9 * time.Second)
	m.at(0.3, 1_500_000, "")
	now = now.Add(time.Second)
	m.at(0.5, 3_000_000, "")
	m.end()
	if want := "50.0 %, 3,000,000 lines, 200,000 a second, 20s left\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	m.terminal = true
	now = now.Add(time.Second)
	m.at(0.5, 3_000_000, "")
	now = now.Add(time.Millisecond)
	m.at(0.9, 9_000_000, "")
	m.end()
	if want := "\r[###############---------------] 50.0 %, 3,000,000 lines, 181,818 a second, 22s left\x1b[K\r\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	now = now.Add(time.Second)
	m.at(-1, 4_000_000, ", 2 failed")
	if want := "\r4,000,000 lines, 249,979 a second, 2 failed\x1b[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
