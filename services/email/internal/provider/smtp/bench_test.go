package smtp

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// BenchmarkSend measures mails a second through one connection of the
// provider, beside the floor in the same run: the same octets of one mail, over
// one warm connection and TLS, to the same server, by nothing but writes and
// reads. The last figure says how much of the
// floor's pace is left.
func BenchmarkSend(b *testing.B) {
	s := stage(b, func(o *options) {
		o.sink.User, o.sink.Password, o.config.User, o.config.Password = "", "", "", Config{}.Password
		o.config.Connections = 1
	})
	s.mustSend(b, message) // warm
	bare := dialBare(b, s)
	l, err := s.provider.compose(message)
	if err != nil {
		b.Fatal(err)
	}
	data := strings.ReplaceAll(string(l.data), "\r\n.", "\r\n..") + ".\r\n"
	var ours, floor time.Duration
	for b.Loop() { // in turns, so that whatever else the machine does meets both
		start := time.Now()
		s.mustSend(b, message)
		ours += time.Since(start)
		start = time.Now()
		bare.send(b, l.from.text, l.to.text, data)
		floor += time.Since(start)
		s.sink.Clear()
	}
	b.ReportMetric(float64(b.N)/ours.Seconds(), "mails/s")
	b.ReportMetric(float64(b.N)/floor.Seconds(), "floor-mails/s")
	b.ReportMetric(100*floor.Seconds()/ours.Seconds(), "%-of-floor")
}

// BenchmarkSendParallel is what four connections do together.
func BenchmarkSendParallel(b *testing.B) {
	s := stage(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.provider.Send(b.Context(), message); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

// bare is a connection without anything around it.
type bare struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialBare(b *testing.B, s *scene) *bare {
	b.Helper()
	raw, err := new(net.Dialer).DialContext(b.Context(), "tcp", s.provider.cfg.address())
	if err != nil {
		b.Fatal(err)
	}
	c := &bare{raw, bufio.NewReader(raw)}
	c.read(b)
	c.say(b, "EHLO bench.test")
	c.say(b, "STARTTLS")
	c.conn = tls.Client(raw, s.provider.tls)
	c.r = bufio.NewReader(c.conn)
	c.say(b, "EHLO bench.test")
	b.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (c *bare) send(b *testing.B, from, to, data string) {
	b.Helper()
	c.say(b, "MAIL FROM:<"+from+"> BODY=8BITMIME")
	c.say(b, "RCPT TO:<"+to+">")
	c.say(b, "DATA")
	if _, err := c.conn.Write([]byte(data)); err != nil {
		b.Fatal(err)
	}
	c.read(b)
}

func (c *bare) say(b *testing.B, line string) {
	b.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		b.Fatal(err)
	}
	c.read(b)
}

// read takes one answer, of as many lines as it has.
func (c *bare) read(b *testing.B) {
	b.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || len(line) < 4 || line[0] > '3' {
			b.Fatalf("%q: %v", line, err)
		}
		if line[3] == ' ' {
			return
		}
	}
}
