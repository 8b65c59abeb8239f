package countersign

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// meter tells a person at a terminal how far a long file was read, in one line
// that is written over, and everybody else in lines.
type meter struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	began   time.Time
	first   float64 // share and count at the beginning
	counted int64
	told    time.Time
}

// The times between two updates.
const (
	redraw    = 200 * time.Millisecond
	lineAfter = 10 * time.Second
)

func newMeter(out io.Writer) *meter {
	return &meter{out: out, terminal: terminal(out), now: time.Now}
}

// at tells that a share of everything is done, if it is time to. A share below
// zero is one that nobody knows; a note is said behind.
func (m *meter) at(share float64, count int64, note string) {
	now := m.now()
	if m.began.IsZero() {
		m.began, m.first, m.counted, m.told = now, share, count, now
	}
	wait := lineAfter
	if m.terminal {
		wait = redraw
	}
	if now.Sub(m.told) < wait {
		return
	}
	m.told = now
	text := m.line(now, share, count) + note
	switch {
	case !m.terminal:
		fmt.Fprintln(m.out, text)
	case share < 0:
		fmt.Fprintf(m.out, "\r%s\x1b[K", text)
	default:
		const width = 30
		full := min(int(share*width), width)
		fmt.Fprintf(m.out, "\r[%s%s] %s\x1b[K", strings.Repeat("#", full), strings.Repeat("-", width-full), text)
	}
}

func (m *meter) line(now time.Time, share float64, count int64) string {
	took := now.Sub(m.began)
	rate := float64(count-m.counted) / took.Seconds()
	text := fmt.Sprintf("%s lines, %s a second", thousands(count), thousands(int64(rate)))
	if share < 0 {
		return text
	}
	left := "?"
	if share > m.first {
		left = time.Duration(float64(took) * (1 - share) / (share - m.first)).Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f %%, %s, %s left", 100*share, text, left)
}

// end leaves the line.
func (m *meter) end() {
	if m.terminal && !m.began.IsZero() {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}

// thousands writes a number with commas.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
