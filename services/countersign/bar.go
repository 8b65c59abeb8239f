package countersign

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// bar shows how far a file was read: a bar that moves on terminals, now and
// then a line elsewhere.
type bar struct {
	out      io.Writer
	of       *source
	terminal bool
	began    time.Time
	shown    time.Time
}

const (
	barWidth  = 30
	barEvery  = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

func newBar(out io.Writer, of *source) *bar {
	b := &bar{out: out, of: of, began: time.Now()}
	b.shown = b.began
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		b.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// show is called often and writes seldom.
func (b *bar) show(lines, failed int64) {
	now := time.Now()
	every := lineEvery
	if b.terminal {
		every = barEvery
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	text := fmt.Sprintf("%d lines, %d failed, %.0f/s", lines, failed, float64(lines)/now.Sub(b.began).Seconds())
	if b.of.size > 0 {
		done := float64(b.of.read) / float64(b.of.size)
		full := min(int(done*barWidth), barWidth)
		text = fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done*100, text)
	}
	if b.terminal {
		fmt.Fprintf(b.out, "\r%s\x1b[K", text)
		return
	}
	fmt.Fprintln(b.out, text)
}

// end leaves the line of the bar.
func (b *bar) end() {
	if b.terminal {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
