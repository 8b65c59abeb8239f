package bus_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"countersign.dev/pkg/bus"
	"countersign.dev/pkg/bus/bustest"
)

// verdict is what a proxy does with an acknowledged publication.
type verdict int

const (
	pass    verdict = iota
	cut             // lose it and the connection with it
	swallow         // lose it and everything after it, but stay connected
)

// proxy stands between a bus and its server and loses answers.
type proxy struct {
	addr   string
	server string
	mu     sync.Mutex
	decide func() verdict
	conns  map[net.Conn]bool // nil when the test is over
	pumps  sync.WaitGroup
}

func newProxy(t *testing.T, srv *bustest.NATS) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		addr:   "nats://" + l.Addr().String(),
		server: strings.TrimPrefix(srv.URL, "nats://"),
		decide: func() verdict { return pass },
		conns:  map[net.Conn]bool{},
	}
	p.pumps.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.conns = nil
		p.mu.Unlock()
		p.pumps.Wait()
	})
	return p
}

func (p *proxy) use(c *bus.Config) { c.URL = p.addr }

// onAnswer sets what happens to the answers of publications to CHALLENGES.
func (p *proxy) onAnswer(decide func() verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

func (p *proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, upstream) {
			return
		}
		p.pumps.Go(func() {
			_, _ = io.Copy(upstream, client)
			_ = upstream.Close()
		})
		p.pumps.Go(func() {
			p.answers(client, upstream)
			_, _ = client.Close(), upstream.Close()
		})
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.conns == nil {
			_ = c.Close()
			continue
		}
		p.conns[c] = true
	}
	return p.conns != nil
}

func (p *proxy) answers(client, upstream net.Conn) {
	silent := false
	buf := make([]byte, 64<<10)
	for {
		n, err := upstream.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte(`{"stream":"`+bus.StreamChallenges+`"`)) {
			p.mu.Lock()
			decide := p.decide
			p.mu.Unlock()
			switch decide() {
			case cut:
				return
			case swallow:
				silent = true
			case pass:
			}
		}
		if silent {
			continue
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
